"""Facts of Kubernetes and Istio about who may talk to whom: the access table as policies.

Sources: https://kubernetes.io/docs/concepts/services-networking/network-policies/: a pod that any policy selects for a
direction is denied all that no policy admits; what policies admit adds up. https://istio.io/latest/docs/concepts/security/:
a workload that any ALLOW policy selects is denied what none allows, and a policy without rules allows nothing. Where
both are in force, both must admit.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from components.kube import objects
from components.kube.access import EVERYONE, Access, AccessTable, Neighbour, Port, Token, Workload
from components.kube.pods import PROXY_CONFIG, Manifest
from components.mesh.spec import MeshSpec

DEFAULT_DENY = "default-deny"

_NAMESPACE = "kubernetes.io/metadata.name"
# The API server gives every Namespace this label with its name.


def network_policies(table: AccessTable, namespace: Any) -> dict[str, Manifest]:
    """All NetworkPolicies of the namespace, by name: one that denies, one for everyone, one for each workload."""
    # A direction without rules denies all of it, and everyone says nothing about what enters.
    scraped = _rules(table, table.into(EVERYONE), "from")
    policies = {
        DEFAULT_DENY: _policy(namespace, DEFAULT_DENY, {}, ingress=[], egress=[]),
        EVERYONE: _policy(
            namespace,
            EVERYONE,
            {},
            **({"ingress": scraped} if scraped else {}),
            egress=_rules(table, table.out_of(EVERYONE), "to"),
        ),
    }
    for workload in table.workloads:
        policies[workload.name] = _policy(
            namespace,
            workload.name,
            {"matchLabels": dict(workload.selector)},
            ingress=_rules(table, table.into(workload.name), "from"),
            egress=_rules(table, table.out_of(workload.name), "to"),
        )
    return policies


def _policy(namespace: Any, name: str, selector: Manifest, **directions: list[Manifest]) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": objects.metadata("mesh", namespace, name),
        "spec": {
            "podSelector": selector,
            "policyTypes": [direction.title() for direction in directions],
            **{direction: rules for direction, rules in directions.items() if rules},
        },
    }


def _rules(table: AccessTable, rows: Iterable[Access], end: str) -> list[Manifest]:
    return [
        {
            end: _peers(table, row.source if end == "from" else row.target),
            "ports": [_port(table.port(row, name)) for name in row.ports],
        }
        for row in rows
    ]


def _peers(table: AccessTable, name: str) -> list[Manifest]:
    if name == EVERYONE:
        return [{"podSelector": {}}]
    end = table.end(name)
    if isinstance(end, Neighbour):
        return _outside(end)
    return [{"podSelector": {"matchLabels": dict(end.selector)}}]


def _outside(neighbour: Neighbour) -> list[Manifest]:
    """Selectors of one item are joined by and; items are joined by or."""
    peers: list[Manifest] = [{"ipBlock": {"cidr": cidr}} for cidr in neighbour.cidrs]
    if neighbour.namespace:
        selector = {"matchLabels": {_NAMESPACE: neighbour.namespace}}
        pods = {"podSelector": {"matchLabels": dict(neighbour.labels)}} if neighbour.labels else {}
        peers.append({"namespaceSelector": selector, **pods})
    # Whether a range of addresses covers pods is up to the network plugin, so anywhere says both.
    return peers or [{"ipBlock": {"cidr": "0.0.0.0/0"}}, {"namespaceSelector": {}}]


def _port(port: Port) -> Manifest:
    last = {"endPort": port.last} if port.last else {}
    return {"protocol": "UDP" if port.protocol == "udp" else "TCP", "port": port.number, **last}


def pod_annotations(spec: MeshSpec, *, watched: bool) -> dict[str, str]:
    """What a pod says of its sidecar: it is native, so that Jobs end and init containers have a network, and bounded.

    Source: https://istio.io/latest/docs/reference/config/annotations/; native sidecars need Kubernetes 1.29.

    Args:
        spec: decisions.
        watched: whether someone asks for Envoy's own metrics of requests and connections, which Istio leaves out.
    """
    size = spec.sidecar.resources
    return {
        "sidecar.istio.io/nativeSidecar": "true",
        "sidecar.istio.io/proxyCPU": size.requests.cpu,
        "sidecar.istio.io/proxyMemory": size.requests.memory,
        "sidecar.istio.io/proxyCPULimit": size.limits.cpu,
        "sidecar.istio.io/proxyMemoryLimit": size.limits.memory,
        **({PROXY_CONFIG: json.dumps({"proxyStatsMatcher": _WATCHED})} if watched else {}),
    }


_WATCHED = {
    "inclusionPrefixes": ["cluster.inbound", "cluster.outbound"],
    "inclusionSuffixes": ["no_filter_chain_match"],
}


def istio(spec: MeshSpec, table: AccessTable, namespace: Any) -> dict[str, Manifest]:
    """All objects of Istio in the namespace, by role among the children."""
    made = {
        "peer-authentication": _security("PeerAuthentication", namespace, "default", {"mtls": {"mode": "STRICT"}}),
        "authorization-default-deny": _security("AuthorizationPolicy", namespace, DEFAULT_DENY, {}),
        "sidecar-default": _networking("Sidecar", namespace, "default", _scope(spec, table)),
    }
    for workload in table.workloads:
        name, selector = workload.name, {"selector": {"matchLabels": dict(workload.selector)}}
        if exceptions := list(_plain_text_ports(table, workload)):
            levels = {str(port): {"mode": "PERMISSIVE"} for port in exceptions}
            made[f"peer-authentication-{name}"] = _security(
                "PeerAuthentication", namespace, name, {**selector, "mtls": {"mode": "STRICT"}, "portLevelMtls": levels}
            )
        if tokens := list(dict.fromkeys(row.token for row in table.into(name) if row.token)):
            verified = {**selector, "jwtRules": [_verified(token) for token in tokens]}
            made[f"request-authentication-{name}"] = _security("RequestAuthentication", namespace, name, verified)
        if rows := table.into(name):
            rules = [_rule(table, row) for row in rows]
            allow = {**selector, "action": "ALLOW", "rules": rules}
            made[f"authorization-{name}"] = _security("AuthorizationPolicy", namespace, name, allow)
        if workload.peers:
            scope = {"workloadSelector": {"labels": dict(workload.selector)}, **_scope(spec, table, workload.peers)}
            made[f"sidecar-{name}"] = _networking("Sidecar", namespace, name, scope)
    for service, accounts in _answering(table).items():
        names = [f"spiffe://{spec.trust_domain}/ns/{table.namespace}/sa/{account}" for account in accounts]
        mutual = {"mode": "ISTIO_MUTUAL", "subjectAltNames": names}
        destination = {"host": _host(table, service), "trafficPolicy": {"tls": mutual}}
        made[f"destination-{service}"] = _networking("DestinationRule", namespace, service, destination)
    if told := _telemetry(spec):
        made["telemetry"] = _object("telemetry.istio.io/v1", "Telemetry", namespace, "default", told)
    return made


def _answering(table: AccessTable) -> dict[str, list[str]]:
    """Every Service, and the ServiceAccounts that pods behind it may have.

    Said here, because istiod tells clients only of accounts that had pods when it last told them of the Service: for
    a headless one it does not tell them again when a pod of another account comes (istio commit eed52ebb66ad,
    pilot/pkg/xds/cds.go, `headlessOnly`), and they refuse that pod's certificate.
    """
    found: dict[str, list[str]] = {}
    for workload in table.workloads:
        if workload.accounts:
            for service in (*workload.services, *workload.peers):
                found[service] = list(dict.fromkeys((*found.get(service, []), *workload.accounts)))
    return found


def _security(kind: str, namespace: Any, name: str, spec: Manifest) -> Manifest:
    return _object("security.istio.io/v1", kind, namespace, name, spec)


def _networking(kind: str, namespace: Any, name: str, spec: Manifest) -> Manifest:
    return _object("networking.istio.io/v1", kind, namespace, name, spec)


def _object(api_version: str, kind: str, namespace: Any, name: str, spec: Manifest) -> Manifest:
    metadata = objects.metadata("mesh", namespace, name)
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}


def _rule(table: AccessTable, row: Access) -> Manifest:
    """One row as one rule: `from` and `to` of the same item are joined by and."""
    ports = [str(number) for name in row.ports for number in _numbers(table.port(row, name))]
    source = _source(table, row)
    token: Manifest = {}
    if row.token:
        source["requestPrincipals"] = [f"{row.token.issuer}/*"]
        token = {"when": [{"key": "request.auth.audiences", "values": list(row.token.audiences)}]}
    return {**({"from": [{"source": source}]} if source else {}), "to": [{"operation": {"ports": ports}}], **token}


def _verified(token: Token) -> Manifest:
    """A token that the sidecar looks for; a request with a false one is refused, one without is nobody's.

    Source: https://istio.io/latest/docs/reference/config/security/request_authentication/.
    """
    return {
        "issuer": token.issuer,
        "jwksUri": token.jwks_uri,
        "audiences": list(token.audiences),
        "fromHeaders": [{"name": token.header}],
        "forwardOriginalToken": True,
    }


def _source(table: AccessTable, row: Access) -> Manifest:
    """Who a row's source is to a sidecar; nothing where only its address tells, which is the network's to judge.

    `cluster.local` stands for the trust domain of the mesh, whatever that is ("Trust Domain Migration").
    """
    if row.source == EVERYONE:
        return {"namespaces": [table.namespace]}
    end = table.end(row.source)
    if isinstance(end, Neighbour):
        if row.plain_text:
            return {"ipBlocks": list(end.cidrs)} if end.cidrs else {}
        if not (end.accounts and end.namespace):
            return {"namespaces": [end.namespace]} if end.namespace else {"ipBlocks": list(end.cidrs)}
    home = end.namespace if isinstance(end, Neighbour) else table.namespace
    return {"principals": [f"cluster.local/ns/{home}/sa/{account}" for account in end.accounts]}


def _plain_text_ports(table: AccessTable, workload: Workload) -> Iterator[int]:
    for row in table.into(workload.name):
        if row.plain_text:
            for name in row.ports:
                yield from _numbers(table.port(row, name))


def _numbers(port: Port) -> range:
    return range(port.number, (port.last or port.number) + 1)


def _scope(spec: MeshSpec, table: AccessTable, peers: Iterable[str] = ()) -> Manifest:
    """What a sidecar has to know: the Services that anyone here calls, and the pods that are its own pod's peers.

    Without, each would hold every pod of Ray on every port. What a sidecar does not know it passes on as it is.
    """
    services = [*(service for workload in table.workloads for service in workload.services), *peers]
    called = {row.target for row in table.rows}
    others = [each for each in table.neighbours if each.name in called]
    hosts = [
        *(f"{namespace}/*" for namespace in (spec.control_plane, *(each.namespace for each in others)) if namespace),
        *(f"*/{service}" for each in others for service in each.services),
        *(f"./{_host(table, service)}" for service in services),
    ]
    return {"egress": [{"hosts": list(dict.fromkeys(hosts))}], "outboundTrafficPolicy": {"mode": "ALLOW_ANY"}}


def _host(table: AccessTable, service: str) -> str:
    return f"{service}.{table.namespace}.svc.cluster.local"


_ERRORS = "response.code >= 400 || has(connection.termination_details)"
# The second is set where a connection was denied.


def _telemetry(spec: MeshSpec) -> Manifest:
    """Source: https://istio.io/latest/docs/reference/config/telemetry/."""
    told: Manifest = {}
    if spec.access_log != "none":
        only = {} if spec.access_log == "all" else {"filter": {"expression": _ERRORS}}
        told["accessLogging"] = [{"providers": [{"name": "envoy"}], **only}]
    if spec.tracing:
        traced = {"providers": [{"name": spec.tracing.provider}]}
        told["tracing"] = [{**traced, "randomSamplingPercentage": spec.tracing.sampling_percent}]
    return told
