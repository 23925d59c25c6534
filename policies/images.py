"""Container images: what a reference says, and where an object names one.

Source of the grammar and of what is implied: github.com/distribution/reference, normalize.go and regexp.go.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from policies import ray
from policies.pods import templates
from policies.view import Node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies.pods import PodTemplate
    from policies.view import Resource

_DOCKER_HUB: Final = "docker.io"
_REFERENCE: Final = re.compile(
    r"(?P<name>(?:[A-Za-z0-9.-]+(?::[0-9]+)?/)?[a-z0-9]+(?:(?:/|\.|__?|-+)[a-z0-9]+)*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,}))?"
)
_OPTION: Final = re.compile(r"--?[\w.-]*image(?:=(?P<value>.*))?", re.IGNORECASE)
_INJECTED: Final = "inject.istio.io/templates"


@dataclass(frozen=True, slots=True)
class Image:
    """A reference, with what Docker Hub leaves out: `redis` is `docker.io/library/redis`."""

    registry: str
    """Host, and port where it has one."""
    path: str
    """Repository inside the registry, such as `rayproject/ray`."""
    tag: str
    digest: str
    """`sha256:` and 64 hexadecimal digits."""

    @property
    def repository(self) -> str:
        """Registry and path."""
        return f"{self.registry}/{self.path}"

    def is_of(self, repository: str) -> bool:
        """Whether it is this repository or a mirror of it: `kuberay/operator` in any registry, under any prefix."""
        return self.path == repository or self.path.endswith(f"/{repository}")


def parse(reference: str) -> Image | None:
    """What a reference says; None where it is none."""
    match = _REFERENCE.fullmatch(reference)
    if not match:
        return None
    host, slash, rest = match["name"].partition("/")
    if slash and (set(host) & {".", ":"} or host == "localhost" or host != host.lower()):
        registry, path = host.lower(), rest
    else:
        registry, path = _DOCKER_HUB, match["name"]
    if registry == f"index.{_DOCKER_HUB}":
        registry = _DOCKER_HUB
    if registry == _DOCKER_HUB and "/" not in path:
        path = f"library/{path}"
    return Image(registry, path, match["tag"] or "", match["digest"] or "")


def shown(node: Node) -> str:
    """An image for a message; what is no reference may be anything, a URL with a password too, and is not quoted."""
    return f"image {node.shown()}" if parse(node.text()) else "what is no image"


def named(resource: Resource) -> Iterator[Node]:
    """Every place where an object names an image: containers, image volumes, and what operators are told to run.

    `auto` in a pod that Istio fills in from a template (a gateway) is no image.
    """
    for cluster in ray.clusters(resource):
        yield from _there(cluster.get("autoscalerOptions", "image"))
    for template in templates(resource):
        for container in containers(template):
            image = container.get("image")
            if not (template.annotation(_INJECTED).exists() and image.raw == "auto"):
                yield from _there(image)
            yield from _told(container)
        for volume in template.spec.get("volumes").items():
            yield from _there(volume.get("image", "reference"))


def containers(template: PodTemplate) -> list[Node]:
    """All containers that a template itself has."""
    spec = template.spec
    return [node for part in ("containers", "initContainers", "ephemeralContainers") for node in spec.get(part).items()]


def _there(node: Node) -> Iterator[Node]:
    if node.raw is not None:
        yield node


def _told(container: Node) -> Iterator[Node]:
    """Images that a container is told by `--...-image=` or by a variable `..._IMAGE`, as operators are."""
    option = False
    for argument in container.get("args").items():
        match = _OPTION.fullmatch(argument.raw) if isinstance(argument.raw, str) else None
        if option and not match:
            yield argument
        elif match and match["value"]:
            yield Node(match["value"], argument.path, argument.secret)
        option = match is not None and match["value"] is None
    for variable in container.get("env").items():
        if variable.get("name").text().upper().endswith("_IMAGE"):
            yield from _there(variable.get("value"))
