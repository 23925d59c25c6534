"""A large image is on the nodes before pods need it, or an update waits as long as its pull takes.

Restricted fields: `image` and `imagePullPolicy` in every pod template, those of Ray's resources included, against the
DaemonSets of the stack and the time that the program gives the object to be created (`customTimeouts.create`).

Allowed values: an image that the catalogue of the settings has as larger than `large` is pulled `IfNotPresent` or
`Never`, and either a DaemonSet of the stack runs the same reference, or the object's time is at least size divided by
`bandwidth`; without one of its own the provider gives it ten minutes. The DaemonSet itself needs the time: it is what
pulls. A CronJob is not waited for.

Why: the update fails after ten minutes while the nodes still pull. The platform that this one replaces spent 90 minutes
on one image of 4 to 5 GB (`docs/requirements.md` R6).
"""

import math
from collections.abc import Iterator
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Final

from pydantic import Field

from policies import images, quantity
from policies.pods import KINDS, templates
from policies.rule import Finding, Results, Rule, RuleSettings
from policies.view import Node, Resource, Stack, Unreadable

_ON_NODES: Final = frozenset({"IfNotPresent", "Never"})
_PROVIDER_SECONDS: Final = 600
"""How long the provider waits for a workload: pulumi-kubernetes provider/pkg/await."""
_NOT_AWAITED: Final = ("CronJob", "RayCronJob")
_SIZES: Final = {
    "rayproject/ray-llm:*": "8Gi",
    "rayproject/ray-ml:*": "5Gi",
    "rayproject/ray:*-cu*": "4Gi",
    "rayproject/ray:*-gpu*": "4Gi",
}


class Settings(RuleSettings):
    """What images weigh and how fast they come."""

    sizes: dict[str, str] = _SIZES
    """Size as pulled, by `repository:tag` without registry; `*` is any text."""
    large: str = "1536Mi"
    """From here on an image needs care."""
    bandwidth: str = "1Mi"
    """Bytes a second of a node's pull; that of the pull of 90 minutes was less."""
    nodes_have: tuple[str, ...] = Field(default=(), examples=[["ml-platform/*"]])
    """`repository:tag` of images that every node is made with; `*` is any text."""


def find(stack: Stack, settings: Settings) -> Results:
    """Judge each workload of the stack, and go on where one cannot be read."""
    pulled: set[str] = set()
    for resource in stack.of("apps", "DaemonSet"):
        try:
            pulled |= {node.text() for node in _images(resource)}
        except Unreadable:
            continue  # the same is met, and told, below
    for resource in stack.resources:
        try:
            if (resource.group, resource.kind) in KINDS:
                yield from _judge(resource, pulled, settings)
        except Unreadable as unreadable:
            yield unreadable.at(resource)


def _judge(resource: Resource, pulled: set[str], settings: Settings) -> Iterator[Finding]:
    for template in templates(resource):
        for container in images.containers(template):
            image = container.get("image")
            size = _size(image.text(), settings)
            if size <= quantity.parse(settings.large):
                continue
            policy = container.get("imagePullPolicy")
            if not _stays(policy.text(), image.text()):
                yield Finding(
                    resource,
                    policy.path,
                    f"{images.shown(image)} of {_show(size)} is asked for at the registry whenever a pod starts",
                    "IfNotPresent or Never",
                    "set imagePullPolicy (ml-platform:ray.imagePullPolicy)",
                )
            yield from _time(resource, image, size, pulled, settings)


def _time(resource: Resource, image: Node, size: Fraction, pulled: set[str], settings: Settings) -> Iterator[Finding]:
    pulls = resource.kind == "DaemonSet"
    if resource.kind in _NOT_AWAITED or (image.text() in pulled and not pulls):
        return
    needed = math.ceil(size / quantity.parse(settings.bandwidth))
    given = resource.options.create_timeout_seconds or _PROVIDER_SECONDS
    if given < needed:
        way = "" if pulls else "let a DaemonSet pull it first (ml-platform:ray.prePullImages), or "
        yield Finding(
            resource,
            image.path,
            f"{images.shown(image)} of {_show(size)} takes {needed} s to pull, and the update waits {given:.0f} s",
            f"{needed} s or more" + ("" if pulls else ", or an image that a DaemonSet of the stack has pulled"),
            f"{way}give the object customTimeouts.create (ml-platform:ray.readyTimeoutSeconds)",
        )


def _size(reference: str, settings: Settings) -> Fraction:
    """The size that the catalogue says; nothing for an image that it does not have, or that nodes have."""
    image = images.parse(reference)
    if image is None:
        return Fraction(0)
    named = f"{image.path}:{image.tag}"
    if any(_matches(named, pattern) for pattern in settings.nodes_have):
        return Fraction(0)
    sizes = [quantity.parse(size) for pattern, size in settings.sizes.items() if _matches(named, pattern)]
    return max(sizes, default=Fraction(0))


def _matches(named: str, pattern: str) -> bool:
    """Whether it is that image, or a mirror's copy under a longer path."""
    return fnmatchcase(named, pattern) or fnmatchcase(named, f"*/{pattern}")


def _stays(policy: str, reference: str) -> bool:
    """Kubernetes' default is Always for `latest` and for no tag, else IfNotPresent (pkg/apis/core/v1/defaults.go)."""
    image = images.parse(reference)
    moving = image is not None and not image.digest and image.tag in ("", "latest")
    return (policy or ("Always" if moving else "IfNotPresent")) in _ON_NODES


def _images(resource: Resource) -> Iterator[Node]:
    for template in templates(resource):
        yield from (container.get("image") for container in images.containers(template))


def _show(size: Fraction) -> str:
    return f"{float(size / 2**30):.1f}Gi"


RULE = Rule(name="big-image", scope="stack", kinds=KINDS, settings=Settings, find=find, doc=__doc__)
