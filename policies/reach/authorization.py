"""AuthorizationPolicy as it is written: policies, rules, conditions.

Source: Istio, "Authorization Policy" (https://istio.io/latest/docs/reference/config/security/authorization-policy/) and
"Authorization Policy Conditions". As in Istio (pilot/pkg/security/authz/model), each field of a source or an operation
is a condition on the same attribute that `when` names, so all three are one kind of thing here. What Istio's webhook
refuses (ValidateAuthorizationPolicy in pkg/config/validation) is a problem here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from policies.reach.fields import is_number
from policies.reach.selectors import Selector, read_workload_selector

if TYPE_CHECKING:
    from policies.reach.fields import Field
    from policies.reach.words import Pod

ACTIONS: Final = ("ALLOW", "DENY", "AUDIT", "CUSTOM")
SOURCE: Final = {
    "principals": "source.principal",
    "namespaces": "source.namespace",
    "serviceAccounts": "source.serviceAccount",
    "ipBlocks": "source.ip",
    "remoteIpBlocks": "remote.ip",
    "requestPrincipals": "request.auth.principal",
}
OPERATION: Final = {"ports": "destination.port", "methods": "method", "paths": "path", "hosts": "host"}
IDENTITIES: Final = ("source.principal", "source.namespace", "source.serviceAccount")
KEYS: Final = (
    *SOURCE.values(), "destination.ip", "destination.port", "connection.sni",
    "request.auth.audiences", "request.auth.presenter",
)  # fmt: skip
BRACKETED: Final = ("request.headers[", "request.auth.claims[", "experimental.envoy.filters.")


@dataclass(frozen=True)
class Condition:
    """What an attribute must be (one of `values`) and must not be (none of `not_values`)."""

    attribute: str
    values: tuple[str, ...] = ()
    not_values: tuple[str, ...] = ()

    @property
    def http_only(self) -> bool:
        """Whether the attribute exists in HTTP only ("Authorization Policy Conditions", supported protocols)."""
        return self.attribute in ("method", "path", "host") or self.attribute.startswith("request.")


Conditions = tuple[Condition, ...]


@dataclass(frozen=True)
class Rule:
    """One of the sources, one of the operations and all of the conditions; what is empty is not asked for."""

    sources: tuple[Conditions, ...] = ()
    operations: tuple[Conditions, ...] = ()
    when: Conditions = ()

    @property
    def empty(self) -> bool:
        """Whether it matches everything."""
        return not (self.sources or self.operations or self.when)

    @property
    def conditions(self) -> Conditions:
        """All conditions that it has anywhere."""
        return tuple(each for part in (*self.sources, *self.operations, self.when) for each in part)


@dataclass(frozen=True)
class AuthorizationPolicy:
    """A policy. `attached` says that it is for a gateway or waypoint, and not for sidecars."""

    namespace: str
    name: str
    pods: Selector
    action: str
    rules: tuple[Rule, ...]
    attached: bool = False
    dry_run: bool = False

    def __str__(self) -> str:
        return f"AuthorizationPolicy {self.namespace}/{self.name}"

    def applies_to(self, pod: Pod, root: str) -> bool:
        """Whether the pod's sidecar has it: in the root namespace it is for all namespaces, selector included."""
        in_scope = self.namespace in (pod.namespace, root)
        return in_scope and not self.attached and self.pods.matches(pod.labels)


def read_authorization_policy(namespace: str, name: str, spec: Field, *, dry_run: bool) -> AuthorizationPolicy:
    """An AuthorizationPolicy; `dry_run` is its annotation `istio.io/dry-run`, with which it is not enforced."""
    spec.only("selector", "targetRef", "targetRefs", "action", "rules", "provider")
    action = spec.choice("action", ACTIONS, "ALLOW")
    rules = tuple(_read_rule(item) for item in spec.items("rules"))
    if action in ("DENY", "CUSTOM") and not rules:
        spec.wrong(f"has no rules, so {action} never happens. Fix: add rules; the rule {{}} matches everything")
    attached = spec.get("targetRef") is not None or bool(spec.items("targetRefs"))
    if attached and spec.has("selector"):
        spec.wrong("has a selector beside targetRefs, and may have only one of them")
    pods = read_workload_selector(spec.child("selector"))
    return AuthorizationPolicy(namespace, name, pods, action, rules, attached, dry_run)


def _read_rule(field: Field) -> Rule:
    field.only("from", "to", "when")
    sources = tuple(_read_fields(item, "source", SOURCE) for item in field.some("from"))
    operations = tuple(_read_fields(item, "operation", OPERATION) for item in field.some("to"))
    return Rule(sources, operations, tuple(_read_when(item) for item in field.some("when")))


def _read_fields(item: Field, inner: str, attributes: dict[str, str]) -> Conditions:
    field = item.only(inner).child(inner)
    negative = {name: f"not{name[0].upper()}{name[1:]}" for name in attributes}
    field.only(*attributes, *negative.values())
    if not field.mapping():
        item.wrong(f"has an empty {inner}, which restricts nothing. Fix: say what is meant, or leave the item out")
    found = [
        _condition(field, attribute, field.texts(name), field.texts(negative[name]))
        for name, attribute in attributes.items()
        if field.has(name) or field.has(negative[name])
    ]
    used = {each.attribute for each in found}
    if "source.serviceAccount" in used and used & {"source.principal", "source.namespace"}:
        field.wrong("must not have service accounts beside principals or namespaces")
    return tuple(found)


def _read_when(field: Field) -> Condition:
    field.only("key", "values", "notValues")
    key = field.optional("key")
    bracketed = key.startswith(BRACKETED) and "[" in key and key.endswith("]") and "[]" not in key
    if key not in KEYS and not bracketed:
        field.wrong(f"has the key {key!r}, which Istio does not know and would ignore")
    if not (field.has("values") or field.has("notValues")):
        field.wrong("needs values or notValues")
    return _condition(field, key, field.texts("values"), field.texts("notValues"))


def _condition(field: Field, attribute: str, values: tuple[str, ...], not_values: tuple[str, ...]) -> Condition:
    for value in (*values, *not_values):
        item = field.part(value, f"({attribute})")
        match attribute:
            case "destination.port":
                if not (is_number(value) and int(value) < 65536):
                    item.wrong(f"must have port numbers as text, but has {value!r}")
            case "source.ip" | "remote.ip" | "destination.ip":
                item.block(bare=True)
            case "source.serviceAccount":
                if "*" in value or value.count("/") > 1 or "" in value.split("/"):
                    item.wrong(f'must have service accounts as "namespace/name" or "name", but has {value!r}')
    return Condition(attribute, values, not_values)
