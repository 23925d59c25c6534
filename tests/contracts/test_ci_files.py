"""The ready workflow files: they check every stack by the command that people use, and find their own comment again."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.preview import Preview
from sandbox.report import report

ROOT = Path(__file__).resolve().parents[2]
STACKS = sorted(path.name.split(".")[1] for path in ROOT.glob("Pulumi.*.yaml"))


def github() -> dict[str, Any]:
    loaded: dict[Any, Any] = yaml.safe_load((ROOT / ".github/workflows/check.yml").read_text())
    assert loaded[True] == "pull_request"  # `on` is a truth value in YAML 1.1
    return dict(loaded["jobs"]["check"])


def gitlab() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text())["check"])


def test_every_stack_is_checked() -> None:
    assert sorted(github()["strategy"]["matrix"]["stack"]) == STACKS
    assert sorted(gitlab()["parallel"]["matrix"][0]["STACK"]) == STACKS


def test_they_run_what_people_run_and_say_what_changes_and_where_the_report_goes() -> None:
    (step,) = [each for each in github()["steps"] if each.get("run") == "make check"]
    assert set(step["env"]) == {"STACK", "BASE", "REPORT"}
    assert gitlab()["script"] == ["make check"]
    assert {"BASE", "REPORT"} <= set(gitlab()["variables"])
    assert re.search(r"^check: .*BASE=.*REPORT=", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", [".github/workflows/check.yml", ".gitlab-ci.yml"])
def test_the_comment_is_found_by_the_line_that_reports_begin_with(name: str) -> None:
    line = report("STACK", Preview({}, (), ())).splitlines()[0]
    pattern = re.escape(line).replace("STACK", r"(\$STACK|\$\{\{ matrix\.stack \}\})")
    assert re.search(pattern, (ROOT / name).read_text())


def test_the_cache_is_the_one_of_the_sandbox_and_changes_with_the_tools() -> None:
    (cache,) = [each["with"] for each in github()["steps"] if each.get("uses", "").startswith("actions/cache@")]
    assert cache["path"] == "~/.cache/ml-platform"
    keyed = re.findall(r"'([^']+)'", cache["key"]) + gitlab()["cache"]["key"]["files"]
    assert {"requirements-dev.txt", "sandbox/tools.toml"} <= set(keyed)
    assert all(list(ROOT.glob(each)) for each in keyed)
    assert gitlab()["variables"]["ML_PLATFORM_CACHE"] == f"$CI_PROJECT_DIR/{gitlab()['cache']['paths'][0]}"
