"""Pods start again when what they read changes.

Restricted fields: the annotations of the pod templates of everything that keeps running, Ray clusters included, against
the ConfigMaps and Secrets of the stack that they mount or read into their environment; of Jobs, the ConfigMaps.

Allowed values: the template has an annotation for a digest of ConfigMaps where it reads one, and one for a digest of
Secrets where it reads one, under a name that the settings admit; its value is at least eight hexadecimal digits, or not
known yet. An immutable object with a generated name needs none: another content has another name. CronJobs and Ray jobs
read when they start, and a Job need not run again for a new password. One annotation may stand for several objects.

Why: a ConfigMap that changes in place changes nothing that runs: the update succeeds, and the old configuration, or a
password that was rotated away, serves on until some pod happens to die.
"""

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Final

from policies import pods
from policies.pods import PodTemplate
from policies.references import Reference, references
from policies.rule import Finding, Results, Rule, RuleSettings
from policies.view import Node, Resource, Stack, Undecided, Unreadable

_HOLDERS: Final = ("ConfigMap", "Secret")
_EACH_TIME: Final = ("CronJob", "RayJob", "RayCronJob")
_DIGEST: Final = re.compile(r"(sha256:)?[0-9a-f]{8,64}")


class Settings(RuleSettings):
    """Names of annotations that hold a digest; `*` stands for anything."""

    config_maps: tuple[str, ...] = ("*/config-hash", "*/repository-hash", "checksum/config*")
    """Of ConfigMaps."""
    secrets: tuple[str, ...] = ("*/secret-hash", "*/secrets-hash", "checksum/secret*")
    """Of Secrets."""


def find(stack: Stack, settings: Settings) -> Results:
    """Judge each template against what the stack itself declares."""
    changing = set[tuple[str, str, str]]()
    for holder in stack.of("", *_HOLDERS):
        try:
            if not _has_a_new_name(holder):
                changing.add((holder.namespace, holder.kind, holder.name))
        except Unreadable as unreadable:
            yield unreadable.at(holder)
    for resource in stack.resources:
        if (resource.group, resource.kind) not in pods.KINDS or resource.kind in _EACH_TIME:
            continue
        try:
            for template in pods.templates(resource):
                yield from _judge(resource, template, changing, settings)
        except Unreadable as unreadable:
            yield unreadable.at(resource)


def _judge(
    resource: Resource, template: PodTemplate, changing: set[tuple[str, str, str]], settings: Settings
) -> Iterator[Finding]:
    read = [each for each in references(template) if (resource.namespace, each.kind, each.name) in changing]
    for kind, names in (("ConfigMap", settings.config_maps), ("Secret", settings.secrets)):
        of_kind = {reference.name: reference for reference in read if reference.kind == kind}
        if not of_kind or (kind == "Secret" and resource.kind == "Job") or _digest(template, names):
            continue
        first: Reference = next(iter(of_kind.values()))
        yield Finding(
            resource,
            first.path,
            f"it reads {kind} {', '.join(of_kind)}, and does not start again when that changes",
            f"an annotation {' or '.join(names)} on the pod template with a digest of the content",
            "annotate the pod template with a digest: fingerprint and digest in components make one",
        )


def _digest(template: PodTemplate, names: tuple[str, ...]) -> bool:
    annotations = template.node.get("metadata", "annotations").mapping()
    held = (node for key, node in annotations.items() if any(fnmatchcase(key, name) for name in names))
    return any(_is_digest(node) for node in held)


def _is_digest(node: Node) -> bool:
    """What is not known yet is made of something that is not known yet: enough."""
    try:
        return bool(_DIGEST.fullmatch(node.text()))
    except Undecided:
        return True


def _has_a_new_name(holder: Resource) -> bool:
    """Whether another content would be another object: the provider then generates a name for it."""
    generated = holder.body.get("metadata", "annotations", "pulumi.com/autonamed").text() == "true"
    return generated and holder.body.get("immutable").flag()


RULE = Rule(
    name="config-rolls-pods",
    scope="stack",
    kinds=pods.KINDS | {("", kind) for kind in _HOLDERS},
    settings=Settings,
    find=find,
    doc=__doc__,
)
