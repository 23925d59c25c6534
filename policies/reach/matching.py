"""AuthorizationPolicy as it is enforced by the sidecar of the target.

Sources: Istio, "Authorization Policy": CUSTOM, then DENY, then ALLOW; without an ALLOW policy for the workload all is
allowed, with one only what a rule matches; a policy without rules never matches, the rule `{}` always.
"Authorization Policy Conditions" for the attributes. What the pages leave open is taken from
pilot/pkg/security/authz/{builder,model,matcher}:

- HTTP-only fields on TCP ("TCP Traffic", https://istio.io/latest/docs/tasks/security/authorization/authz-tcp/): an
  ALLOW rule that has one anywhere is dropped as a whole; in a DENY rule "missing attributes are treated as matches",
  so the field is ignored and the rule denies more;
- identities without mutual TLS (ISTIO-SECURITY-2021-004): the caller's is empty. `principals`, `namespaces` and
  `serviceAccounts` never match then, not even `*`, and their not-twins always do, in ALLOW and in DENY;
- `cluster.local` as trust domain of a principal means the mesh's own ("Trust Domain Migration");
- an asterisk in a namespace is `.*`, in all other texts it is a prefix, a suffix or "not empty".

What nobody can know from objects (the IP of a pod, the SNI, the metadata of filters) is decided as Istio decides a
missing attribute: an ALLOW rule that needs it does not match, a DENY rule does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from policies.reach.authorization import IDENTITIES
from policies.reach.words import Address, Http, Pod, Ruling

if TYPE_CHECKING:
    from collections.abc import Callable

    from policies.reach.authorization import AuthorizationPolicy, Condition, Conditions, Rule
    from policies.reach.objects import Objects


@dataclass(frozen=True)
class Call:
    """A connection that has come to the target's sidecar; `identity` is empty where it came as plain text."""

    source: Pod | Address
    target: Pod
    port: int
    identity: str
    http: Http | None


def identity_of(pod: Pod, trust_domain: str) -> str:
    """The identity in a pod's certificate, without `spiffe://`."""
    return f"{trust_domain}/ns/{pod.namespace}/sa/{pod.account}"


def authorize(objects: Objects, call: Call) -> Ruling:
    """Whether the sidecar lets the call through. CUSTOM asks a server that we do not know: taken as allowed."""
    enforced = [
        each
        for each in objects.authorization_policies
        if each.applies_to(call.target, objects.root_namespace) and not each.dry_run
    ]
    for policy in enforced:
        number = _matching(policy, call, objects) if policy.action == "DENY" else None
        if number:
            return Ruling(False, f"{policy} denies {_told(call)} (rule {number})")
    allowing = [policy for policy in enforced if policy.action == "ALLOW"]
    if not allowing:
        return Ruling(True, f"no AuthorizationPolicy that allows speaks of {call.target}: all is allowed")
    for policy in allowing:
        number = _matching(policy, call, objects)
        if number:
            return Ruling(True, f"{policy} allows {_told(call)} (rule {number})")
    return Ruling(False, " and ".join(f"{policy} allows nothing {_told(call)}" for policy in allowing))


def _told(call: Call) -> str:
    who = f"as {call.identity}" if call.identity else "without an identity"
    return f"from {call.source} {who} to {call.target} on {call.port}"


def _matching(policy: AuthorizationPolicy, call: Call, objects: Objects) -> int | None:
    """The number of the first rule that matches, counted from 1."""
    return next((n for n, rule in enumerate(policy.rules, 1) if _rule_matches(rule, policy, call, objects)), None)


def _rule_matches(rule: Rule, policy: AuthorizationPolicy, call: Call, objects: Objects) -> bool:
    if policy.action == "ALLOW" and call.http is None and any(each.http_only for each in rule.conditions):
        return False

    def all_hold(conditions: Conditions) -> bool:
        return all(_holds(each, policy, call, objects) for each in conditions)

    return (
        (not rule.sources or any(all_hold(each) for each in rule.sources))
        and (not rule.operations or any(all_hold(each) for each in rule.operations))
        and all_hold(rule.when)
    )


def _holds(condition: Condition, policy: AuthorizationPolicy, call: Call, objects: Objects) -> bool:
    """Whether a condition holds; the unknowable counts as a match for DENY only."""
    actual = _actual(condition.attribute, call)
    if actual is None:
        return policy.action == "DENY"
    matches = _matcher(condition.attribute, policy.namespace, objects.trust_domain)

    def is_one_of(values: tuple[str, ...]) -> bool:
        return any(matches(value, text) for value in values for text in actual)

    return (not condition.values or is_one_of(condition.values)) and not is_one_of(condition.not_values)


def _actual(attribute: str, call: Call) -> list[str] | None:
    """What an attribute of the call is, one text or several or none; None where nobody can know."""
    if attribute in IDENTITIES:
        return [call.identity]
    if attribute == "destination.port":
        return [str(call.port)]
    # In HTTP, remote.ip comes from the header X-Forwarded-For, which the caller wrote.
    if attribute == "source.ip" or (attribute == "remote.ip" and call.http is None):
        return [call.source.ip] if isinstance(call.source, Address) else None
    return _of_request(attribute, call.http) if call.http else None


def _of_request(attribute: str, http: Http) -> list[str] | None:
    issuer, subject = http.claims.get("iss"), http.claims.get("sub")
    known = {
        "method": [http.method],
        "path": re.split(r"[?#]", http.path, maxsplit=1)[:1],
        "host": [http.host],
        "request.auth.principal": [f"{issuer}/{subject}"] if issuer and subject else [],
        "request.auth.audiences": _claim(["aud"], http),
        "request.auth.presenter": _claim(["azp"], http),
    }
    if attribute in known:
        return known[attribute]
    names = re.findall(r"\[([^\]]*)\]", attribute)
    if attribute.startswith("request.headers["):
        return [text for name, text in http.headers.items() if name.lower() == names[0].lower()]
    return _claim(names, http) if attribute.startswith("request.auth.claims[") else None


def _claim(names: list[str], http: Http) -> list[str]:
    """The values of a claim; `scope` and `permission` are lists with spaces between (Envoy, jwt_authn filter)."""
    found: object = http.claims
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return [found, *(found.split() if names[-1] in ("scope", "permission") else [])]
    return [str(each) for each in found] if isinstance(found, list | tuple) else []


def identity_matches(attribute: str, own_namespace: str, trust_domain: str) -> Callable[[str, str], bool]:
    """How a value of one of `IDENTITIES` in a policy of that namespace is compared with an identity."""
    return _matcher(attribute, own_namespace, trust_domain)


def _matcher(attribute: str, own_namespace: str, trust_domain: str) -> Callable[[str, str], bool]:
    """How a value of a policy is compared with what is."""
    special: dict[str, Callable[[str, str], bool]] = {
        "source.principal": lambda value, identity: principal_matches(value, identity, trust_domain),
        "source.namespace": namespace_matches,
        "source.serviceAccount": lambda value, identity: _account_matches(value, identity, own_namespace),
        "source.ip": _ip_matches,
        "remote.ip": _ip_matches,
        "destination.port": lambda value, port: int(value) == int(port),
        "path": _path_matches,
        "host": lambda value, host: text_matches(value.lower(), host.lower()),
    }
    return special.get(attribute, text_matches)


def _ip_matches(value: str, ip: str) -> bool:
    return ip_address(ip) in ip_network(value, strict=False)


def _account_matches(value: str, identity: str, own_namespace: str) -> bool:
    namespace, _, account = value.rpartition("/")
    return identity.endswith(f"/ns/{namespace or own_namespace}/sa/{account}")


def principal_matches(value: str, identity: str, trust_domain: str) -> bool:
    """Whether `principals` with this value matches an identity; an empty one never."""
    if value.startswith("cluster.local/"):
        value = f"{trust_domain}/{value.removeprefix('cluster.local/')}"
    return text_matches(value, identity)


def namespace_matches(value: str, identity: str) -> bool:
    """Whether `namespaces` with this value matches an identity; an empty one never."""
    pattern = ".*".join(re.escape(part) for part in value.split("*"))
    return re.fullmatch(f".*/ns/{pattern}/.*", identity, re.DOTALL) is not None


def text_matches(pattern: str, text: str) -> bool:
    """Exact, `prefix*`, `*suffix`, or `*` for whatever is not empty."""
    if pattern == "*":
        return text != ""
    if pattern.startswith("*"):
        return text.endswith(pattern[1:])
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern


def _path_matches(pattern: str, path: str) -> bool:
    """As other texts, or a template where `{*}` is one segment and `{**}` any number of them."""
    if "{*}" not in pattern and "{**}" not in pattern:
        return text_matches(pattern, path)
    parts = re.split(r"(\{\*\*?\})", pattern)
    meaning = {"{*}": "[^/]+", "{**}": ".*"}
    return re.fullmatch("".join(meaning.get(part, re.escape(part)) for part in parts), path) is not None
