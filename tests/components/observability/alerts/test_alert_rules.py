"""Every alert fires where it should and nowhere else, on Prometheus's own engine, and has a page that says what to do.

The YAML files are promtool's unit tests (https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/),
each about the group of its name. promtool compares annotations as a whole, so there rules have their summary alone;
descriptions and links are looked at here.
"""

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.observability.alerts import groups
from components.observability.alerts.rule import Alert, Group, Watched
from components.observability.spec import ObservabilitySpec, Thresholds
from sandbox.tools import Toolbox
from tests.support import golden
from tests.support.watched import SMALL, WHOLE

HERE = Path(__file__).parent
RUNBOOKS = golden.FOLDER.parents[1] / "docs" / "runbooks"
FILES = sorted(HERE.glob("*.yaml"))
ALWAYS = {"Watchdog"}
"""Alerts that have no case in which they do not fire."""


def alerts(found: Iterable[Group]) -> list[Alert]:
    return [rule for group in found for rule in group.rules if isinstance(rule, Alert)]


ALERTS = alerts(groups(WHOLE))
BY_NAME = {alert.name: alert for alert in ALERTS}


@pytest.fixture(scope="session")
def promtool(toolbox: Toolbox) -> Path:
    return toolbox.binary("promtool")


def run(promtool: Path, *args: str, cwd: Path) -> str:
    done = subprocess.run([promtool, *args], cwd=cwd, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def written(folder: Path, found: Iterable[Group], *, summaries: bool = False) -> str:
    """The rules as a file, with summaries as their only annotations where asked for; its name."""
    manifests = [group.manifest("docs/runbooks") for group in found]
    for rule in (rule for manifest in manifests for rule in manifest["rules"] if summaries and "alert" in rule):
        rule["annotations"] = {"summary": rule["annotations"]["summary"]}
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": manifests}))
    return "rules.yaml"


def failures(promtool: Path, folder: Path, file: Path, found: Iterable[Group]) -> str:
    (folder / file.name).write_text(file.read_text())
    written(folder, [group for group in found if group.name == file.stem], summaries=True)
    return run(promtool, "test", "rules", file.name, cwd=folder)


@pytest.mark.parametrize("watched", [WHOLE, SMALL], ids=["whole", "small"])
def test_rules_are_valid(promtool: Path, tmp_path: Path, watched: Watched) -> None:
    assert not run(promtool, "check", "rules", written(tmp_path, groups(watched)), cwd=tmp_path)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_alerts_fire_where_they_should(promtool: Path, tmp_path: Path, file: Path) -> None:
    assert not failures(promtool, tmp_path, file, groups(WHOLE))


def test_a_wrong_bound_is_found(promtool: Path, tmp_path: Path) -> None:
    bounds = Thresholds(gpu_temperature_celsius=84, gpu_idle_ratio=0.06)
    wrong = groups(Watched(WHOLE.namespace, bounds, gpus=True))
    found = failures(promtool, tmp_path, HERE / "gpu.yaml", wrong)
    assert set(re.findall(r"alertname: (\w+), time", found)) == {"GPUHot", "GPUIdle"}


def cases(files: Iterable[Path]) -> dict[str, set[bool]]:
    """Name of an alert to whether there are cases in which it fires, and in which it does not."""
    found: dict[str, set[bool]] = {}
    for file in files:
        for test in yaml.safe_load(file.read_text())["tests"]:
            for case in test["alert_rule_test"]:
                found.setdefault(case["alertname"], set()).add(bool(case.get("exp_alerts")))
    return found


def untested(names: Iterable[str], files: Iterable[Path]) -> set[str]:
    there = cases(files)
    return {name for name in names if there.get(name, set()) != ({True} if name in ALWAYS else {True, False})}


def test_every_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    assert not untested(BY_NAME, FILES)
    assert set(cases(FILES)) == set(BY_NAME)
    assert {group.name for group in groups(WHOLE)} == {file.stem for file in FILES}


def test_an_alert_without_both_cases_is_found(tmp_path: Path) -> None:
    half = {"tests": [{"alert_rule_test": [{"alertname": "OnlyFires", "exp_alerts": [{}]}]}]}
    (tmp_path / "half.yaml").write_text(yaml.safe_dump(half))
    files = [*FILES, tmp_path / "half.yaml"]
    assert untested(["MadeUp", "OnlyFires", "GPUHot"], files) == {"MadeUp", "OnlyFires"}


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(ALERTS)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_says_what_is_wrong_and_where(alert: Alert) -> None:
    assert "$labels." in alert.summary or alert.name in ALWAYS
    assert alert.description.endswith("."), alert.description
    assert not alert.summary.endswith("."), alert.summary


def section(page: str, heading: str) -> str:
    """The text under a heading of a page; empty where there is none."""
    return page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0].strip()


HEADINGS = ("What it means", "See it", "Likely causes", "What to do")


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_the_page_of_an_alert_says_what_to_do(name: str) -> None:
    page = (RUNBOOKS / f"{name}.md").read_text()
    assert page.startswith(f"# {name}\n")
    assert [heading for heading in HEADINGS if section(page, heading)] == list(HEADINGS)
    assert not re.findall(r"(?<![\w-])-n (?!data-platform|istio-system|kong|NAMESPACE)\S+", page)


def decided(path: str) -> bool:
    """Whether observability has a key of this path."""
    schema: dict[str, Any] = ObservabilitySpec.model_json_schema(by_alias=True)
    node = schema
    for part in path.split("."):
        refs = [each["$ref"] for each in (node, *node.get("anyOf", [])) if "$ref" in each]
        node = schema["$defs"][refs[0].rpartition("/")[2]] if refs else node
        if part not in node.get("properties", {}):
            return False
        node = node["properties"][part]
    return True


def test_what_a_page_names_is_there() -> None:
    settings = (RUNBOOKS.parent / "configuration.md").read_text()
    for page in RUNBOOKS.glob("*.md"):
        text = page.read_text()
        for key in re.findall(r"`ml-platform:([^`]+)`", text):
            area, _, rest = key.partition(".")
            there = decided(rest) if area == "observability" else f"`ml-platform:{key}`" in settings
            assert there, f"{page.name}: {key}"
        for other in re.findall(r"\]\((\w+)\.md\)", text):
            assert other in BY_NAME, f"{page.name}: {other}"
        for decision in re.findall(r"docs/[\w/-]+\.md", text):
            assert (RUNBOOKS.parents[1] / decision).is_file(), f"{page.name}: {decision}"


def test_a_key_that_is_not_there_is_found() -> None:
    assert decided("alerts.objectives.serve.availability")
    assert decided("prometheus.existing.selector")
    assert not decided("alerts.thresholds.madeUp")
    assert not decided("alerts.thresholds.quotaRatio.madeUp")


def test_queries_of_pages_are_valid(promtool: Path, tmp_path: Path) -> None:
    queries = [
        (page.stem, line)
        for page in sorted(RUNBOOKS.glob("*.md"))
        for block in re.findall(r"```promql\n(.*?)```", page.read_text(), re.DOTALL)
        for line in block.splitlines()
    ]
    assert {name for name, _ in queries} == set(BY_NAME)
    rules = [{"record": f"page:{name}:{number}", "expr": line} for number, (name, line) in enumerate(queries)]
    (tmp_path / "pages.yaml").write_text(yaml.safe_dump({"groups": [{"name": "pages", "rules": rules}]}))
    assert not run(promtool, "check", "rules", "pages.yaml", cwd=tmp_path)


REPORTED = {
    "pod in CrashLoopBackOff": ("PodCrashLooping", "MLFlowPodDown"),
    "401 Unauthorized, single sign-on": ("MLFlowUnauthorized",),
    "a scheduler's tasks do not log runs": ("MLFlowUnauthorized", "MeshRequestsDenied", "MLFlowPodDown"),
    "upload of artifacts to S3 fails": ("MLFlowArtifactFailed", "ObjectStoreDown"),
    "high memory, OOMKilled": ("MLFlowHighMemory", "ContainerOutOfMemory"),
    "slow page, timeouts": ("MLFlowLatencyHigh", "GatewayLatencyHigh", "AutoscalerAtMaximum"),
}
"""The issues of the reports' troubleshooting guide to the pages that meet them."""


def index(found: list[Alert]) -> str:
    """The runbooks as tables."""
    rows = "".join(
        f"| [{alert.name}]({alert.name}.md) | {alert.severity} | {alert.lasting or 'at once'} | {alert.description} |\n"
        for alert in found
    )
    issues = "".join(
        f"| {issue} | {', '.join(f'[{page}]({page}.md)' for page in pages)} |\n" for issue, pages in REPORTED.items()
    )
    return (
        "# Runbooks\n\nOne page for each alert; this one is written by `make golden` from"
        " `components/observability/alerts`. `critical` wakes someone, `warning` is for working hours, `info` is read"
        " beside another.\n\n| alert | severity | after | what it means |\n|---|---|---|---|\n"
        + re.sub(r"{{ \$(?:value|labels\.\w+)[^}]*}}", "…", rows)
        + "\nThe issues of the reports' troubleshooting guide:\n\n| issue | pages |\n|---|---|\n"
        + issues
    )


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    golden.check("../../docs/runbooks/README.md", index(ALERTS))
    assert {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"} == set(BY_NAME)


def expressions(found: Iterable[Group]) -> str:
    return "\n".join(rule.expr for group in found for rule in group.rules)


def test_what_is_not_there_is_not_asked_for() -> None:
    asked = expressions(groups(SMALL))
    for absent in ("envoy_", "citadel_", "kong_", "DCGM_", "pg_", "redis_", "cronjob"):
        assert absent not in asked, absent
    assert "data-platform" not in asked
    assert not {"RayOperatorDown", "RayWorkersMissing", "MLFlowArtifactFailed"} & {
        alert.name for alert in alerts(groups(SMALL))
    }
