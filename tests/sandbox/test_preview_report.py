"""The check of a pull request: what is read from the engine's events, and what the report says of it."""

import json
from typing import Any

import pytest
import yaml

from sandbox.check import budgets, pages, stack_file
from sandbox.cluster import CONTEXT
from sandbox.preview import Preview, Violation, leaves, read
from sandbox.report import CHARACTERS, Budget, report

SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "[secret]"}
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


def created(**inputs: Any) -> str:
    metadata = {"op": "create", "urn": "urn:pulumi:dev::p::t::n", "old": None, "new": {"inputs": inputs}}
    return json.dumps({"sequence": 1, "resourcePreEvent": {"metadata": metadata}})


def told(severity: str, message: str) -> str:
    return json.dumps({"sequence": 2, "diagnosticEvent": {"severity": severity, "message": message}})


def violated(policy: str, level: str, message: str) -> str:
    event = {"policyName": policy, "enforcementLevel": level, "message": f"{message}\n"}
    return json.dumps({"sequence": 3, "policyEvent": event})


def config_map(name: str, **data: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "ml"}, "data": data}


def preview(*objects: dict[str, Any], violations: tuple[Violation, ...] = ()) -> Preview:
    found = read(created(**each) for each in objects)
    return Preview(found.objects, violations, ())


def test_objects_violations_and_errors_are_read_and_the_rest_is_left_out() -> None:
    found = read(
        [
            "no event",
            "[]",
            created(**config_map("one", key="value")),
            created(length=32),  # a password, not an object of Kubernetes
            json.dumps({"resourcePreEvent": {"metadata": {"op": "delete", "new": None}}}),
            told("debug", "Registering resource"),
            violated("quota-covers-demand", "mandatory", "too small"),
            told("error", "preview failed\n"),
        ]
    )
    assert list(found.objects) == ["ConfigMap/ml/one"]
    assert found.violations == (Violation("quota-covers-demand", "mandatory", "too small"),)
    assert found.errors == ()
    assert found.refused


def test_bad_settings_are_told_without_the_engines_last_words() -> None:
    lines = [told("error", "1 problem in Pulumi.dev.yaml"), told("error", "an unhandled error occurred: code: 1\n")]
    assert read(lines).errors == ("1 problem in Pulumi.dev.yaml",)
    # Where there is nothing else, they are better than nothing.
    assert read(lines[1:]).errors == ("an unhandled error occurred: code: 1",)
    assert read(lines).refused


@pytest.mark.parametrize(("level", "refused"), [("mandatory", True), ("advisory", False)])
def test_what_is_mandatory_refuses_and_what_is_advisory_does_not(level: str, refused: bool) -> None:
    assert read([violated("big-image", level, "large")]).refused == refused


def test_secrets_and_unknowns_are_words() -> None:
    found = preview(config_map("one", password=SECRET, later=UNKNOWN, list=[1, {"a": True}]))
    assert dict(leaves(found.objects["ConfigMap/ml/one"].body.get("data").raw)) == {
        "password": "a secret",
        "later": "not known yet",
        "list[0]": "1",
        "list[1].a": "true",
    }


def test_changes_are_told_object_by_object_with_paths_and_values() -> None:
    before = preview(config_map("same", a=1), config_map("old"), config_map("one", a="`x`", b=1, gone=True))
    after = preview(config_map("same", a=1), config_map("new"), config_map("one", a="y" * 100, b=1, password=SECRET))
    text = report("dev", after, before=before, against="main")
    assert "1 new, 1 changed, 1 removed, 1 the same." in text
    assert "- new: `ConfigMap/ml/new`" in text
    assert "- removed: `ConfigMap/ml/old`" in text
    assert f'  - `data.a`: `"\'x\'"` → `"{"y" * 79}…`' in text
    assert "  - `data.gone`: `true` → nothing" in text
    assert "  - `data.password`: nothing → `a secret`" in text
    assert "data.b" not in text


def test_findings_lead_to_the_page_of_their_rule_and_the_undecided_stand_apart() -> None:
    found = (
        Violation("big-image", "advisory", "4 GB | large"),
        Violation("plain-secret", "mandatory", "a password"),
        Violation("digest", "advisory", "undecided: Pod/ml/x spec.image: not known yet"),
    )
    text = report("prod", preview(violations=found), pages={"plain-secret": "docs/rules/plain-secret.md"})
    assert "## Stack `prod`: refused, 1 mandatory finding\n" in text
    rows = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    assert rows == [
        "| rule | level | what |",
        "| [plain-secret](docs/rules/plain-secret.md) | mandatory | a password |",
        "| big-image | advisory | 4 GB \\| large |",
        "| rule | level | what |",
        "| digest | advisory | undecided: Pod/ml/x spec.image: not known yet |",
    ]
    assert text.index("plain-secret") < text.index("### Undecided until") < text.index("digest")


def test_what_it_costs_is_a_table() -> None:
    text = report("dev", preview(), budgets=[Budget("limits.cpu of ml", "10 CPU", "12 CPU", "16 CPU", 0.75)])
    assert "| limits.cpu of ml | 10 CPU | 12 CPU | 16 CPU | 75% |" in text
    assert "## Stack `dev`: may be deployed\n" in text


def test_the_costs_are_those_of_the_objects_at_their_largest() -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "quota", "namespace": "ml"}}
    hard = {"spec": {"hard": {"requests.cpu": "1", "pods": "20"}}}

    def server(replicas: int) -> dict[str, Any]:
        container = {"name": "server", "image": "a/b:1", "resources": {"requests": {"cpu": "100m"}}}
        spec = {"replicas": replicas, "template": {"spec": {"containers": [container]}}}
        metadata = {"name": "server", "namespace": "ml"}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}

    # A rollout starts a quarter more, rounded up: 4 and 1, 8 and 2. Stack dev keeps nothing free.
    before, after = preview(quota | hard, server(4)), preview(quota | hard, server(8))
    assert budgets("dev", after, before) == [
        Budget("requests.cpu of ml", "0.5 CPU", "1 CPU", "1 CPU", 1.0),
        Budget("pods of ml", "5", "10", "20", 0.5),
    ]
    assert [each.before for each in budgets("dev", after, None)] == ["", ""]


def test_a_report_that_no_comment_holds_is_cut_and_says_so() -> None:
    text = report(
        "dev", preview(*(config_map(f"c{number}") for number in range(9000))), before=preview(), against="main"
    )
    assert CHARACTERS - 1000 < len(text) < CHARACTERS + 200
    assert "<details>" in text
    assert text.endswith("\n\n</details>\n\nThe report goes on; this is as much as a comment holds.\n")


@pytest.mark.parametrize(("objects", "folded"), [(30, False), (31, True)])
def test_many_changes_are_folded_away(objects: int, folded: bool) -> None:
    text = report("dev", preview(*(config_map(f"c{number}") for number in range(objects))), before=preview())
    assert ("<details><summary>" in text and "</details>" in text) == folded
    assert text.count("- new: ") == objects


def test_the_same_comment_is_found_again() -> None:
    assert report("dev", preview()).startswith("<!-- ml-platform check dev -->\n")


def test_a_stack_of_an_existing_cluster_is_led_to_the_sandbox() -> None:
    own = {"config": {"ml-platform:cluster": {"kind": "existing", "crdsStack": "theirs"}, "kubernetes:context": "prod"}}
    config = yaml.safe_load(stack_file(yaml.safe_dump(own)))["config"]
    assert config == {"ml-platform:cluster": {"kind": "existing"}, "kubernetes:context": CONTEXT}
    assert yaml.safe_load(stack_file("config: {}")) == {"config": {}}


@pytest.mark.parametrize(
    ("environment", "root"),
    [
        (
            {"GITHUB_SERVER_URL": "https://g.example", "GITHUB_REPOSITORY": "a/b", "GITHUB_SHA": "c"},
            "https://g.example/a/b/blob/c/",
        ),
        ({"CI_PROJECT_URL": "https://l.example/a/b", "CI_COMMIT_SHA": "c"}, "https://l.example/a/b/-/blob/c/"),
        ({}, ""),
    ],
)
def test_pages_are_those_of_the_commit_where_a_ci_system_says_it(environment: dict[str, str], root: str) -> None:
    assert pages(environment)["quota-covers-demand"] == f"{root}docs/rules/quota-covers-demand.md"
