"""Every image is named by a digest, or at least by a tag that stays.

Restricted fields: every image of a pod template, those of Ray's resources included, `autoscalerOptions.image`, image
volumes, and what operators are told to run (`--...-image=`, variables `..._IMAGE`).

Allowed values: `@sha256:` and 64 hexadecimal digits, with or without a tag before it. Where a stack has `digests` off,
a tag that names a version is enough: never none, never one of the settings' `moving`, such as `latest`. `auto` is
allowed in a pod that Istio fills in from a template.

Why: a tag can be moved. What was tested is then not what a node pulls tomorrow, two pods of one Deployment may run
different programs, and a rollback brings back something new. Digests need a registry that keeps them:
`ml-platform:images.requireDigests` says that a stack has one, and this rule's `digests` has to say the same.
"""

import re
from collections.abc import Iterator
from typing import Final

from policies import images
from policies.pods import KINDS
from policies.rule import Finding, Results, Rule, RuleSettings, as_far_as_readable
from policies.view import Node, Resource

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_VARIABLE: Final = re.compile(r"\$\([A-Za-z_][\w.-]*\)")


class Settings(RuleSettings):
    """What a stack asks for."""

    digests: bool = True
    """Whether a tag alone is refused; the stack's own choice is `ml-platform:images.requireDigests`."""
    moving: tuple[str, ...] = ("dev", "edge", "latest", "main", "master", "nightly", "stable")
    """Tags that are moved as a matter of course, also with more behind them (`latest-gpu`)."""


def find(resource: Resource, settings: Settings) -> Results:
    """Judge every image that the object names, and go on where one is not known."""
    yield from as_far_as_readable(_judge(resource, node, settings) for node in images.named(resource))


def _judge(resource: Resource, node: Node, settings: Settings) -> Iterator[Finding]:
    if _VARIABLE.search(node.text()):
        yield _finding(resource, node, "which image this is stands in a variable", settings)
        return
    image = images.parse(node.text())
    if image is None:
        yield _finding(resource, node, "this is no image reference", settings)
    elif _DIGEST.fullmatch(image.digest):
        return
    elif image.digest:
        yield _finding(resource, node, f"the digest of image {node.shown()} is none of SHA-256", settings)
    elif not image.tag:
        yield _finding(resource, node, f"image {node.shown()} has neither tag nor digest", settings)
    elif re.split(r"[-_.]", image.tag.lower())[0] in settings.moving:
        yield _finding(resource, node, f"the tag of image {node.shown()} is moved as a matter of course", settings)
    elif settings.digests:
        yield _finding(resource, node, f"image {node.shown()} is named by a tag alone", settings)


def _finding(resource: Resource, node: Node, found: str, settings: Settings) -> Finding:
    allowed = "@sha256: and 64 hexadecimal digits" if settings.digests else "a digest, or a tag that names a version"
    return Finding(resource, node.path, found, allowed, "name what was tested (ml-platform:images)")


RULE = Rule(name="image-pinned", scope="resource", kinds=KINDS, settings=Settings, find=find, doc=__doc__)
