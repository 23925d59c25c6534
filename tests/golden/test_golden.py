"""What each stack creates, what is published, and what can be configured, as files whose diff is reviewed."""

import hashlib
import json
from collections import Counter
from typing import Any

import pytest
from pydantic import BaseModel

from components.outputs import PlatformOutputs
from components.settings import Settings
from policies.pack import RULES
from policies.rule import Rule
from tests.graph.test_program import settings_of
from tests.policies import reported
from tests.policies.reported_faults import FAULTS, GAPS
from tests.policies.support import SAMPLES, configured, judge, manifests
from tests.support import golden, reference
from tests.support.recorder import Registration, record


def shown(manifest: dict[str, Any]) -> dict[str, Any]:
    """A manifest without the text of dashboards, which is code's and thousands of lines long."""
    data = manifest.get("data")
    if not isinstance(data, dict) or not any(name.endswith(".json") for name in data):
        return manifest
    digests = {name: hashlib.sha256(str(text).encode()).hexdigest() for name, text in data.items()}
    return {**manifest, "data": {name: f"sha256:{digest}" for name, digest in digests.items()}}


def entry(resource: Registration) -> dict[str, Any]:
    return {
        "type": resource.type,
        # All comes after the policies, which a law says (tests/graph/test_access_in_force.py).
        "comesAfter": sorted(urn.rsplit("::", 1)[1] for urn in resource.dependencies if ":MeshSecurity$" not in urn),
        "manifest": shown({key: value for key, value in resource.inputs.items() if key not in {"apiVersion", "kind"}})
        if resource.is_kubernetes
        else {},
    }


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_inventory(stack: str) -> None:
    recording = record(settings_of(stack), stack=stack)
    resources = {resource.name: entry(resource) for resource in recording.resources.values()}
    counts = Counter(resource.type for resource in recording.resources.values())
    golden.check(f"{stack}.yaml", {"counts": dict(counts), "resources": resources, "outputs": recording.exports})


def test_configuration_schema() -> None:
    golden.check("config.schema.json", Settings.model_json_schema(by_alias=True))


def breaking(old: dict[str, Any], new: dict[str, Any], path: str = "") -> list[str]:
    """Fields of a schema that another one has lost, or has with another type."""
    found: list[str] = []
    for name, field in old.get("properties", {}).items():
        if name not in new.get("properties", {}):
            found.append(f"{path}{name} is gone")
        elif {key: field.get(key) for key in ("type", "$ref", "anyOf", "items", "const")} != {
            key: new["properties"][name].get(key) for key in ("type", "$ref", "anyOf", "items", "const")
        }:
            found.append(f"{path}{name} has another type")
    for name, definition in old.get("$defs", {}).items():
        found += breaking(definition, new.get("$defs", {}).get(name, {}), f"{path}{name}.")
    return found


def test_the_contract_loses_nothing_within_its_version() -> None:
    version = PlatformOutputs.model_fields["contract"].annotation.__args__[0]  # type: ignore[union-attr]
    schema = PlatformOutputs.model_json_schema(by_alias=True)
    published = golden.FOLDER / f"outputs.{version}.json"
    if published.exists():
        # Before the switch may rewrite the file: a loss needs a new version, and an entry in CHANGELOG.md.
        assert breaking(json.loads(published.read_text()), schema) == []
    golden.check(published.name, schema)


@pytest.mark.parametrize("change", ["remove", "retype"])
def test_a_removed_or_retyped_field_is_noticed(change: str) -> None:
    schema = PlatformOutputs.model_json_schema(by_alias=True)
    changed = json.loads(json.dumps(schema))
    fields = changed["$defs"]["RayOutputs"]["properties"]
    if change == "remove":
        del fields["dashboard"]
    else:
        fields["version"]["type"] = "integer"
    assert len(breaking(schema, changed)) == 1


PAGES: dict[str, tuple[str, str, type[BaseModel], str]] = {
    "configuration.md": (
        "Configuration",
        "Every key of `Pulumi.<stack>.yaml`, written from the code by `make golden`. An unknown key is an error.",
        Settings,
        "ml-platform:",
    ),
    "outputs.md": (
        "Outputs for other teams",
        "What a stack publishes, written from the code by `make golden`. Read it with `PlatformOutputs.from_stack`, "
        "which checks it. Fields are added at any time; removing or retyping one needs a new version of the contract.",
        PlatformOutputs,
        "",
    ),
}


@pytest.mark.parametrize("name", PAGES)
def test_reference_pages_are_those_of_the_code(name: str) -> None:
    golden.check(f"../../docs/{name}", reference.page(*PAGES[name]))


def test_the_access_page_is_that_of_the_code() -> None:
    tables = {stack: settings_of(stack).access([("192.0.2.1", 6443)]) for stack in ("dev", "prod")}
    golden.check("../../docs/access.md", reference.access(tables))


def samples(rule: Rule, verdict: str) -> list[reference.Sample]:
    """What stands in the sample files of a rule, without the lines that tests compare with."""
    found = []
    for path in sorted((SAMPLES / rule.name / verdict).glob("*.yaml")):
        lines = [line for line in path.read_text().splitlines() if not line.startswith("# expect: ")]
        messages = tuple(each.message for each in judge(rule, manifests(path), configured(path, rule)))
        found.append(reference.Sample(path.stem.replace("_", " "), "\n".join(lines), messages))
    return found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_page_of_a_rule_is_that_of_its_file(rule: Rule) -> None:
    page = reference.rule(rule, samples(rule, "allowed"), samples(rule, "refused"))
    golden.check(f"../../docs/rules/{rule.name}.md", page)


def test_every_rule_has_a_page_and_every_page_a_rule() -> None:
    golden.check("../../docs/rules/README.md", reference.rules(RULES))
    pages = {path.stem for path in (golden.FOLDER.parents[1] / "docs" / "rules").glob("*.md")}
    assert pages == {"README", *(rule.name for rule in RULES)}


def test_the_page_of_the_reports_is_what_the_pack_says_of_them() -> None:
    faults = [(fault, reported.told(fault)[0]) for fault in FAULTS]
    golden.check("../../docs/reports-judged.md", reference.reports(faults, GAPS))


@pytest.mark.parametrize("model", [Settings, PlatformOutputs, *(rule.settings for rule in RULES)])
def test_every_key_says_what_it_means(model: type[BaseModel]) -> None:
    schema = model.model_json_schema(by_alias=True)
    for name, definition in {"": schema, **schema.get("$defs", {})}.items():
        assert definition.get("description"), name
        for key, field in definition.get("properties", {}).items():
            assert field.get("description"), f"{name}.{key}"
