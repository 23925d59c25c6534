"""What holds data in a stack: StatefulSets whose claims outlive them, and claims."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from policies.references import CLAIM

if TYPE_CHECKING:
    from policies.view import Resource

KINDS: Final = frozenset({("apps", "StatefulSet"), ("", CLAIM)})


def holds_data(resource: Resource) -> bool:
    """Whether data is in it that shall outlive it.

    A StatefulSet that says `whenDeleted: Delete` says that its data can be made again; without a word it is kept, as
    Kubernetes does. A claim holds data in any case.
    """
    kind = (resource.group, resource.kind)
    if kind != ("apps", "StatefulSet"):
        return kind in KINDS
    spec = resource.body.get("spec")
    kept = spec.get("persistentVolumeClaimRetentionPolicy", "whenDeleted").text("Retain") != "Delete"
    return bool(spec.get("volumeClaimTemplates").items()) and kept
