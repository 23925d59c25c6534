"""The volume claims of a workload, wherever they are written: one table for all rules."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from policies import operators, pods, quantity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies.pods import PodTemplate
    from policies.podsize import Amounts
    from policies.view import Node, Resource

CLASS_SUFFIX: Final = ".storageclass.storage.k8s.io"
"""Between a storage class and the amount, in a key of a quota that counts by class."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim: `role` says where in the object, `template` is the pods that have one each, where it is ephemeral."""

    role: str
    spec: Node
    template: PodTemplate | None = None

    @property
    def storage(self) -> Node:
        """How much is claimed."""
        return self.spec.get("resources", "requests", "storage")

    def amounts(self, default_class: str = "") -> Amounts:
        """What one such claim counts, in all and in its storage class; one that names none has the default."""
        counted = {
            "persistentvolumeclaims": Fraction(1),
            "requests.storage": quantity.read(self.storage) or Fraction(0),
        }
        storage_class = self.spec.get("storageClassName").text(default_class)
        by_class = {f"{storage_class}{CLASS_SUFFIX}/{key}": amount for key, amount in counted.items()}
        return counted | by_class if storage_class else counted


def claims(resource: Resource) -> Iterator[Claim]:
    """The claims that an object is or makes; one without a `template` counts once for each replica."""
    spec = resource.body.get("spec")
    if resource.kind == "PersistentVolumeClaim":
        yield Claim("", spec)
        return
    if (resource.group, resource.kind) in operators.KINDS:
        for role, claimed in operators.claim_specs(spec):
            yield Claim(role, claimed)
        return
    for template in pods.templates(resource):
        for volume in template.spec.get("volumes").items():
            claim = volume.get("ephemeral", "volumeClaimTemplate", "spec")
            if claim.exists():
                yield Claim(f"volume {volume.get('name').shown()}", claim, template)
    for claim in spec.get("volumeClaimTemplates").items():
        yield Claim(f"claim {claim.get('metadata', 'name').shown()}", claim.get("spec"))
