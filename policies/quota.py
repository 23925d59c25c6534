"""A ResourceQuota, one bound at a time, and which shares of the demand it counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from policies import quantity
from policies.view import Malformed, Node, Resource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from fractions import Fraction

    from policies.demand import Share

_ALIASES: Final = {
    "cpu": "requests.cpu",
    "memory": "requests.memory",
    "ephemeral-storage": "requests.ephemeral-storage",
    "count/pods": "pods",
    "count/persistentvolumeclaims": "persistentvolumeclaims",
}
_OF_CLAIMS: Final = ("persistentvolumeclaims", "requests.storage")
_COMPUTE: Final = ("requests.cpu", "requests.memory", "limits.cpu", "limits.memory")


@dataclass(frozen=True, slots=True)
class Quota:
    """One hard value: the amount it bounds, where it stands, and the scopes that narrow it to some pods."""

    resource: Resource
    key: str
    path: str
    hard: Fraction
    scopes: tuple[tuple[str, str, tuple[str, ...]], ...]
    """(scope, operator, values), all of which a pod must match."""

    def counts(self, share: Share) -> bool:
        """Whether this quota counts the share; claims have no scope, so a scoped quota never counts one."""
        if share.template is None:
            return not self.scopes
        return all(_matches(share, *scope) for scope in self.scopes)


def quotas_of(resource: Resource) -> Iterator[Quota]:
    """The bounds of one ResourceQuota; a key that has two spellings is yielded under one."""
    spec = resource.body.get("spec")
    scopes = tuple(_scopes(spec))
    for name, node in spec.get("hard").mapping().items():
        hard = quantity.read(node)
        if hard is not None:
            yield Quota(resource, _ALIASES.get(name, name), node.path, hard, scopes)


def _scopes(spec: Node) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    for node in spec.get("scopes").items():
        yield node.text(), "Exists", ()
    for node in spec.get("scopeSelector", "matchExpressions").items():
        values = tuple(value.text() for value in node.get("values").items())
        yield node.get("scopeName").text(), node.get("operator").text(), values


def _matches(share: Share, scope: str, operator: str, values: tuple[str, ...]) -> bool:
    """Whether a pod is in a scope: kubernetes pkg/quota/v1/evaluator/core/pods.go podMatchesScopeFunc."""
    spec = share.template.spec if share.template else Node(None)
    terminating = spec.get("activeDeadlineSeconds").exists()
    best_effort = not any(share.each.get(key) for key in _COMPUTE)
    match scope:
        case "Terminating":
            return terminating
        case "NotTerminating":
            return not terminating
        case "BestEffort":
            return best_effort
        case "NotBestEffort":
            return not best_effort
        case "PriorityClass":
            name = spec.get("priorityClassName").text()
            return {"Exists": bool(name), "In": name in values, "NotIn": name not in values,
                    "DoesNotExist": not name}.get(operator, False)  # fmt: skip
        case "CrossNamespacePodAffinity":
            return False
        case _:
            raise Malformed("spec.scopes", "expected a scope that Kubernetes knows")
