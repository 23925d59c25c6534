"""What a pod template refers to by name: claims, ConfigMaps and Secrets of its namespace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies.pods import PodTemplate
    from policies.view import Node

CLAIM: Final = "PersistentVolumeClaim"
_VOLUMES: Final = (
    (CLAIM, ("persistentVolumeClaim", "claimName")),
    ("ConfigMap", ("configMap", "name")),
    ("Secret", ("secret", "secretName")),
)
_PROJECTED: Final = (("ConfigMap", ("configMap", "name")), ("Secret", ("secret", "name")))
_ENVIRONMENTS: Final = (("ConfigMap", ("configMapRef", "name")), ("Secret", ("secretRef", "name")))
_VARIABLES: Final = (("ConfigMap", ("configMapKeyRef", "name")), ("Secret", ("secretKeyRef", "name")))


@dataclass(frozen=True, slots=True)
class Reference:
    """One reference: the kind and name of an object, and where it is named."""

    kind: str
    name: str
    path: str


def references(template: PodTemplate) -> Iterator[Reference]:
    """All references of a template, in the order in which they stand. Raises `Unreadable` where one is not known."""
    for volume in template.spec.get("volumes").items():
        yield from _named(volume, _VOLUMES)
        for source in volume.get("projected", "sources").items():
            yield from _named(source, _PROJECTED)
    for container in [*template.init_containers(), *template.containers()]:
        for environment in container.get("envFrom").items():
            yield from _named(environment, _ENVIRONMENTS)
        for variable in container.get("env").items():
            yield from _named(variable.get("valueFrom"), _VARIABLES)


def _named(node: Node, places: tuple[tuple[str, tuple[str, str]], ...]) -> Iterator[Reference]:
    for kind, keys in places:
        name = node.get(*keys)
        if name.text():
            yield Reference(kind, name.text(), name.path)
