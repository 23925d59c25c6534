"""Samples and requests: YAML manifests go through the engine's wire form before a rule sees them.

What a program says to the engine and not to Kubernetes stands in a manifest under the key `pulumi`: `type` (the token
of what is no Kubernetes object), `name` (logical), `protect`, `timeouts` (seconds by operation), `after` and `parent`
(names, as in `name`). It never goes over the wire.
"""

import json
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto.analyzer_pb2 import AnalyzeRequest, AnalyzerResource, AnalyzerResourceOptions

from policies.configuration import Configuration
from policies.decode import SIGNATURE, UNKNOWN, Secret, Unknown
from policies.judge import Diagnostic, Judge
from policies.pack import RULES
from policies.rule import Rule
from policies.view import Resource, Stack
from policies.wire_view import order, resources

POLICIES = Path(__file__).parents[2] / "policies"
SAMPLES = Path(__file__).parent / "samples"
TODAY = date(2026, 11, 20)
UNKNOWN_STRING = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"
Manifest = dict[str, Any]


class _Loader(yaml.SafeLoader):
    """YAML with `!unknown` and `!secret text`."""


_Loader.add_constructor("!unknown", lambda *_: UNKNOWN)
_Loader.add_constructor("!secret", lambda _, node: Secret(node.value))


def manifests(path: Path) -> list[Manifest]:
    return list(yaml.load_all(path.read_text(), _Loader))


def expected(path: Path) -> list[str]:
    lines = path.read_text().splitlines()
    return [line.removeprefix("# expect: ") for line in lines if line.startswith("# expect: ")]


def configured(path: Path, rule: Rule) -> Configuration:
    """The settings that a sample asks for in a line `# settings: {...}`; else the rule's defaults."""
    lines = [line for line in path.read_text().splitlines() if line.startswith("# settings: ")]
    asked = json.loads(lines[0].removeprefix("# settings: ")) if lines else {}
    return Configuration(settings={rule.name: rule.settings.model_validate(asked)})


def on_the_wire(value: Any) -> Any:
    if isinstance(value, Unknown):
        return UNKNOWN_STRING
    if isinstance(value, Secret):
        return {SIGNATURE: SECRET_SIGNATURE, "value": on_the_wire(value.reveal())}
    if isinstance(value, dict):
        return {key: on_the_wire(child) for key, child in value.items()}
    if isinstance(value, list):
        return [on_the_wire(child) for child in value]
    return value


def bare(manifest: Manifest) -> Manifest:
    """The object itself, without what only an engine is told."""
    return {key: value for key, value in manifest.items() if key != "pulumi"}


def struct(manifest: Manifest) -> Struct:
    found = Struct()
    found.update(on_the_wire(bare(manifest)))
    return found


def _identity(manifest: Manifest, index: int = 0) -> dict[str, Any]:
    said = manifest.get("pulumi", {})
    token = said.get("type", f"kubernetes:{manifest.get('apiVersion')}:{manifest.get('kind')}")
    name = said.get("name", f"r{index}")
    timeouts = AnalyzerResourceOptions.CustomTimeouts(**said.get("timeouts", {}))
    options = AnalyzerResourceOptions(protect=said.get("protect", False), customTimeouts=timeouts)
    return {"urn": f"urn:pulumi:dev::ml-platform::{token}::{name}", "type": token, "name": name, "options": options}


def request(manifest: Manifest) -> AnalyzeRequest:
    return AnalyzeRequest(properties=struct(manifest), **_identity(manifest))


def stack_resource(manifest: Manifest, index: int) -> AnalyzerResource:
    return AnalyzerResource(properties=struct(manifest), **_identity(manifest, index))


WANTED = frozenset(kind for rule in RULES for kind in rule.kinds)


def stack_request(found: list[Manifest]) -> list[AnalyzerResource]:
    """The resources of a stack, with what each of them waits for."""
    wire = [stack_resource(manifest, index) for index, manifest in enumerate(found)]
    urns = {one.name: one.urn for one in wire}
    for one, manifest in zip(wire, found, strict=True):
        said = manifest.get("pulumi", {})
        one.dependencies.extend(urns[name] for name in said.get("after", ()))
        one.parent = urns.get(said.get("parent", ""), "")
    return wire


def decoded(found: list[Manifest]) -> list[Resource]:
    """The objects as the server gives them to every rule: those that any rule of the pack wants."""
    return [resource for one in stack_request(found) for resource in resources(one, WANTED)]


def judge(
    rule: Rule,
    found: list[Manifest],
    configuration: Configuration | None = None,
    *,
    preview: bool = False,
    today: date = TODAY,
) -> list[Diagnostic]:
    court = Judge((rule,), configuration or Configuration(), preview, today)
    views = decoded(found)
    if rule.scope == "stack":
        return court.stack(Stack(tuple(views), order(stack_request(found))))
    return [diagnostic for view in views for diagnostic in court.resource(view)]


def rule_named(name: str) -> Rule:
    return next(rule for rule in RULES if rule.name == name)
