"""Every image comes from a registry, and from a place in it, that the stack trusts.

Restricted fields: every image of a pod template, those of Ray's resources included, `autoscalerOptions.image`, image
volumes, and what operators are told to run (`--...-image=`, variables `..._IMAGE`).

Allowed values: a repository that is one of the settings or lies below one, whole path segments compared after what
Docker Hub leaves out is put in: `rayproject/ray` is `docker.io/rayproject/ray`, `redis` is `docker.io/library/redis`.
So `quay.io` admits neither `quay.io.evil.com` nor `quay.io:5000`, and `docker.io/ray` not `docker.io/rayproject`.

Why: whoever may push where a node pulls runs programs in the cluster. A name without a registry is Docker Hub's, where
anyone may take a free one: `ml-platform/...` is nobody's there, so a stack trusts it only where its nodes have these
images already or `ml-platform:images.registry` puts a mirror in front.
"""

from collections.abc import Iterator

from policies import images
from policies.pods import KINDS
from policies.rule import Finding, Results, Rule, RuleSettings, as_far_as_readable
from policies.view import Node, Resource


class Settings(RuleSettings):
    """What a stack trusts."""

    trusted: tuple[str, ...] = ("docker.io/rayproject", "quay.io/kuberay")
    """Registries, or registries with the beginning of a path; the registry is always said."""


def find(resource: Resource, settings: Settings) -> Results:
    """Judge every image that the object names, and go on where one is not known."""
    yield from as_far_as_readable(_judge(resource, node, settings) for node in images.named(resource))


def _judge(resource: Resource, node: Node, settings: Settings) -> Iterator[Finding]:
    image = images.parse(node.text())
    if image and any(f"{image.repository}/".startswith(f"{trusted}/") for trusted in settings.trusted):
        return
    yield Finding(
        resource,
        node.path,
        f"image {node.shown()} comes from {image.repository}" if image else "this is no image reference",
        f"images below {', '.join(settings.trusted)}",
        "set ml-platform:images.registry to a mirror that you trust, or add the place to the rule's setting `trusted`",
    )


RULE = Rule(name="image-registry", scope="resource", kinds=KINDS, settings=Settings, find=find, doc=__doc__)
