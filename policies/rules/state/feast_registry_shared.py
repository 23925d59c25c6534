"""A registry of Feast that is a file is read by one pod at most.

Restricted fields: `registry` in every `feature_store.yaml` of a ConfigMap or Secret, against the largest number of pods
of the workloads that mount it or read it into their environment.

Allowed values: a registry that pods can share: `registry_type: sql`, `remote` or `snowflake.registry`. A file, which a
registry is that is a path or says no type, only for a workload that never has more than one pod, whatever its
autoscaler does. Jobs come and go, and are not counted.

Why: each pod has a copy of its own, and writes all of it: what one registers the others never see, or overwrite. The
reports ran two servers over a file "for simplicity".
"""

import base64
import binascii
from collections.abc import Iterator
from typing import Final

from policies import pods
from policies.references import references
from policies.rule import Finding, Results, Rule, RuleSettings
from policies.scale import AUTOSCALERS, SCALABLE, Scales
from policies.view import Malformed, Node, Resource, Stack, Unreadable

_FILES: Final = ("feature_store.yaml", "feature_store.yml")
_HOLDERS: Final = ("ConfigMap", "Secret")
_ENDING: Final = ("Job", "CronJob", "RayJob", "RayCronJob")
Holder = tuple[str, str, str]
"""Namespace, kind and name."""


class Settings(RuleSettings):
    """None."""


def find(stack: Stack, settings: Settings) -> Results:
    """Find the configurations with a file, then the workloads of several pods that read one."""
    del settings
    scales, files = Scales(), dict[Holder, str]()
    for resource in stack.resources:
        try:
            scales.add(resource)
            if resource.group == "" and resource.kind in _HOLDERS:
                for path in _file_registries(resource):
                    files[resource.namespace, resource.kind, resource.name] = path
        except Unreadable as unreadable:
            yield unreadable.at(resource)
    for resource in stack.resources:
        if (resource.group, resource.kind) not in pods.KINDS or resource.kind in _ENDING:
            continue
        try:
            yield from _judge(resource, scales, files)
        except Unreadable as unreadable:
            yield unreadable.at(resource)


def _judge(resource: Resource, scales: Scales, files: dict[Holder, str]) -> Iterator[Finding]:
    for template in pods.templates(resource):
        read = {(resource.namespace, reference.kind, reference.name) for reference in references(template)}
        shared = sorted(read & set(files))
        if not shared:
            continue
        most = _most(resource, template, scales)
        if most > 1:
            _, kind, name = shared[0]
            number = "any number of" if most >= pods.UNLIMITED else f"up to {most}"
            yield Finding(
                resource,
                template.role,
                f"{number} pods have the file registry of {kind} {name} ({files[shared[0]]}), each its own",
                "one pod, or a registry that pods can share",
                "use registry_type: sql over PostgreSQL, or remote over one registry server",
            )


def _most(resource: Resource, template: pods.PodTemplate, scales: Scales) -> int:
    if (resource.group, resource.kind) in SCALABLE:
        return scales.of(resource).most
    return pods.UNLIMITED if resource.kind == "DaemonSet" else template.copies()


def _file_registries(holder: Resource) -> Iterator[str]:
    """Where in a ConfigMap or Secret a `feature_store.yaml` names a file."""
    for field in ("data", "stringData"):
        for key, node in holder.body.get(field).mapping().items():
            if key.endswith(_FILES) and _is_file(_parsed(node, encoded=holder.kind == "Secret" and field == "data")):
                yield f"{node.path}.registry"


def _is_file(configuration: Node) -> bool:
    """Whether the registry is a file: feast/repo_config.py RegistryConfig, whose `registry_type` is `file`."""
    registry = configuration.get("registry")
    if not registry.exists() or isinstance(registry.raw, str):
        return registry.exists()
    return registry.get("registry_type").text("file") == "file"


def _parsed(node: Node, *, encoded: bool) -> Node:
    """A configuration as Feast reads it; an error quotes nothing of it."""
    import yaml  # noqa: PLC0415 - for stacks with Feast only: the pack starts twice in every update

    text = node.text()
    try:
        plain = base64.b64decode(text, validate=True).decode() if encoded else text
        parsed = yaml.safe_load(plain)
    except (binascii.Error, UnicodeDecodeError, yaml.YAMLError, RecursionError, ValueError):
        raise Malformed(node.path, "expected YAML") from None
    if not isinstance(parsed, dict) or not all(isinstance(key, str) for key in parsed):
        raise Malformed(node.path, "expected the configuration of a feature store")
    registry = parsed.get("registry")
    if not isinstance(registry, dict | str | None):
        raise Malformed(f"{node.path}.registry", "expected a path or an object")
    if isinstance(registry, dict):
        registry = {str(key): value for key, value in registry.items()}
    return Node({"registry": registry}, node.path, node.hidden)


RULE = Rule(
    name="feast-registry-shared",
    scope="stack",
    kinds=pods.KINDS | AUTOSCALERS | {("", kind) for kind in _HOLDERS},
    settings=Settings,
    find=find,
    doc=__doc__,
)
