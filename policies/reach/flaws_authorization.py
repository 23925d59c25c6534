"""Flaws of AuthorizationPolicies.

Sources: Istio, "Authorization Policy", "Security Best Practices", "Protocol Selection", ISTIO-SECURITY-2021-004. The
split rule is that of Kubeflow's Ray example (kubeflow/manifests, experimental/ray/raycluster_example.yaml).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from policies.reach.authorization import IDENTITIES, AuthorizationPolicy, Rule
from policies.reach.matching import namespace_matches, principal_matches
from policies.reach.words import Flaw, Pod

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies.reach.authorization import Condition, Conditions
    from policies.reach.destinations import Service, ServicePort
    from policies.reach.objects import Objects

OPAQUE: Final = ("tcp", "tls", "https", "mongo", "mysql", "redis")
"""Declared protocols in which a sidecar sees no requests ("Protocol Selection")."""
_NOBODY: Final = "\0"


def find(objects: Objects, pods: tuple[Pod, ...]) -> Iterator[Flaw]:
    """The flaws of all AuthorizationPolicies, and namespaces of the mesh without a default."""
    for policy in objects.authorization_policies:
        yield from _not_enforced(policy, objects.root_namespace)
        yield from _split_rule(policy)
        if policy.action == "ALLOW":
            for number, rule in enumerate(policy.rules, 1):
                yield from _open_rule(policy, number, rule, objects.trust_domain)
                yield from _http_on_tcp(policy, number, rule, objects, pods)
    for namespace in sorted({pod.namespace for pod in pods if pod.meshed}):
        yield from _no_default_deny(objects, namespace)


def _not_enforced(policy: AuthorizationPolicy, root: str) -> Iterator[Flaw]:
    if policy.action == "CUSTOM":
        what = "its answer comes from an external server that nothing here judges. Fix: say the same with ALLOW or DENY"
        yield Flaw("authorization-custom", str(policy), what)
    if policy.dry_run:
        what = "istio.io/dry-run is set, so it enforces nothing. Fix: remove the annotation"
        yield Flaw("authorization-dry-run", str(policy), what)
    if policy.namespace == root and not policy.pods.empty:
        what = (
            "with its selector it is for such pods of every namespace of the mesh. Fix: move it to the pods it is for"
        )
        yield Flaw("selector-in-root-namespace", str(policy), what)


def _split_rule(policy: AuthorizationPolicy) -> Iterator[Flaw]:
    who = [n for n, rule in enumerate(policy.rules, 1) if rule.sources and not rule.operations]
    where = [n for n, rule in enumerate(policy.rules, 1) if rule.operations and not rule.sources]
    if who and where:
        what = (
            f"rule {who[0]} has only `from` and rule {where[0]} only `to`: they are two rules, and either one matches."
            " Fix: put `from` and `to` into one element of `rules`"
        )
        yield Flaw("authorization-split-rule", str(policy), what)


def _open_rule(policy: AuthorizationPolicy, number: int, rule: Rule, trust_domain: str) -> Iterator[Flaw]:
    at, name = f"rule {number}", str(policy)
    ways: tuple[Conditions, ...] = tuple((*source, *rule.when) for source in rule.sources) or (rule.when,)
    if rule.empty:
        what = f"{at} is {{}}, which allows everything. Fix: name who may do what; to deny all, have no rules at all"
        yield Flaw("authorization-admits-everyone", name, what)
    elif not rule.sources and not any(each.attribute in (*IDENTITIES, "source.ip") for each in rule.when):
        what = f"{at} has no `from`, so everyone may, also without an identity. Fix: name who may"
        yield Flaw("authorization-any-source", name, what)
    if any(_admits_strangers(each, trust_domain) for way in ways for each in way):
        what = f"{at} has a principal or namespace that matches every identity. Fix: name who may"
        yield Flaw("authorization-wildcard", name, what)
    if any(_only_negative(way) for way in ways):
        what = (
            f"{at} says only who may not: plain text has no identity, and passes (ISTIO-SECURITY-2021-004)."
            " Fix: name who may"
        )
        yield Flaw("authorization-only-not", name, what)


def _admits_strangers(condition: Condition, trust_domain: str) -> bool:
    """Whether an identity that nobody can have is let in."""
    stranger = f"{trust_domain}/ns/{_NOBODY}/sa/{_NOBODY}"
    if condition.attribute == "source.principal":
        return any(principal_matches(value, stranger, trust_domain) for value in condition.values)
    return condition.attribute == "source.namespace" and any(
        namespace_matches(value, stranger) for value in condition.values
    )


def _only_negative(way: Conditions) -> bool:
    about_callers = [each for each in way if each.attribute in (*IDENTITIES, "source.ip", "remote.ip")]
    identities = [each for each in about_callers if each.attribute in IDENTITIES]
    return bool(identities) and not any(each.values for each in about_callers)


def _http_on_tcp(
    policy: AuthorizationPolicy, number: int, rule: Rule, objects: Objects, pods: tuple[Pod, ...]
) -> Iterator[Flaw]:
    if not any(each.http_only for each in rule.conditions):
        return
    wanted = {int(value) for each in rule.conditions if each.attribute == "destination.port" for value in each.values}
    for service in objects.services:
        known = any(service.selects(pod) and policy.applies_to(pod, objects.root_namespace) for pod in pods)
        if not (known or _may_serve(policy, service, objects.root_namespace)):
            continue
        named = [(port, _container_ports(port, service, pods)) for port in service.ports if port.protocol == "TCP"]
        meant = [(port, numbers) for port, numbers in named if not wanted or numbers & wanted]
        opaque = [port for port, _ in meant if _protocol(port) in OPAQUE]
        if opaque and (wanted or len(opaque) == len(meant)):
            ports = ", ".join(f"{port.number} ({_protocol(port)})" for port in opaque)
            what = (
                f"rule {number} asks for fields of HTTP, and Service {service.namespace}/{service.name} says that port"
                f" {ports} is none: it never matches there. Fix: drop these fields, or declare the port as http"
            )
            yield Flaw("authorization-http-on-tcp", str(policy), what)


def _may_serve(policy: AuthorizationPolicy, service: Service, root: str) -> bool:
    """Whether the policy is for pods of the Service, as far as the labels that both name tell."""
    if service.pods is None or policy.attached or policy.namespace not in (service.namespace, root):
        return False
    labels = {each.key: each.values[0] for each in service.pods.requirements}
    return policy.pods.matches(labels)


def _container_ports(port: ServicePort, service: Service, pods: tuple[Pod, ...]) -> set[int]:
    if isinstance(port.target, int):
        return {port.target}
    return {pod.ports[port.target] for pod in pods if service.selects(pod) and port.target in pod.ports}


def _protocol(port: ServicePort) -> str:
    """What the port says it speaks: `appProtocol`, else its name up to a dash."""
    return (port.app_protocol or port.name.partition("-")[0]).lower()


def _no_default_deny(objects: Objects, namespace: str) -> Iterator[Flaw]:
    general = [
        each
        for each in objects.authorization_policies
        if each.namespace in (namespace, objects.root_namespace) and each.pods.empty
    ]
    if not any(each.action == "ALLOW" and not (each.rules or each.attached or each.dry_run) for each in general):
        what = (
            "no AuthorizationPolicy denies by default, so a pod that no other policy selects takes every call. Fix: add"
            " one with an empty spec"
        )
        yield Flaw("authorization-no-default-deny", f"Namespace {namespace}", what)
