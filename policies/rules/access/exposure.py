"""Nothing can be reached from outside but what the stack says, encrypted, and Ray's doors never.

Restricted fields: `type`, `externalIPs` and `ports` of a Service; `tls`, `rules` and `defaultBackend` of an Ingress;
`listeners` of a Gateway and `backendRefs` of its routes; `serviceType`, `enableIngress` and `headService` of Ray's
heads, `serveService` of a RayService.

Allowed values: a Service inside the cluster, unless the settings name it in `publicServices`. An Ingress with a
certificate for every host, a listener that speaks HTTPS or TLS. Behind them never a port of `private` (Ray's dashboard
and client, its state, Redis), and one of `guarded` (MLflow, Feast) only where `published` names Service and port: that
is said once someone has put authentication in front. A Service shows a private port under its own number, so that a
route to it cannot pass for another.

Why: Ray's job API runs whatever it is sent, as whom Ray runs, and so does its client port; MLflow's and Feast's own
doors are meant for the namespace. A NodePort is open on every node, past the gateway and its keys.
"""

from collections.abc import Iterator
from typing import Final

from policies import ray
from policies.rule import Finding, Results, Rule, RuleSettings, as_far_as_readable
from policies.view import Node, Resource

_PRIVATE: Final = {
    6379: "the state of Ray, or Redis",
    8265: "Ray's dashboard, whose job API runs what it is sent",
    10001: "Ray's client port, which runs what it is sent",
}
_GUARDED: Final = {
    5000: "MLflow",
    6566: "Feast's feature server",
    6567: "Feast's feature server",
    6570: "Feast's registry",
}
_NAMES: Final = {"client": 10001, "dashboard": 8265, "gcs": 6379, "gcs-server": 6379, "redis": 6379}
_GATEWAY: Final = "gateway.networking.k8s.io"
_ROUTES: Final = ("GRPCRoute", "HTTPRoute", "TCPRoute", "TLSRoute", "UDPRoute")
_OUTSIDE: Final = frozenset({"LoadBalancer", "NodePort"})


class Settings(RuleSettings):
    """Which ports are whose, and what is meant to be reached."""

    private: dict[int, str] = _PRIVATE
    """Ports that nobody outside reaches, and what they are."""
    private_names: dict[str, int] = _NAMES
    """Names of such ports, where a number is not said."""
    guarded: dict[int, str] = _GUARDED
    """Ports that are reached where `published` says so, and what they are."""
    published: tuple[str, ...] = ()
    """`service:port` of what has authentication in front."""
    public_services: tuple[str, ...] = ()
    """`namespace/name` of Services of type NodePort or LoadBalancer, such as a gateway's."""


def find(resource: Resource, settings: Settings) -> Results:
    """Judge what opens a way from outside, and go on where one way cannot be read."""
    spec = resource.body.get("spec")
    match resource.group, resource.kind:
        case "", "Service":
            checks = [_service(resource, spec, settings), _renumbered(resource, spec, settings)]
        case "networking.k8s.io", "Ingress":
            checks = [_certificates(resource, spec), *_backends_of_ingress(resource, spec, settings)]
        case "gateway.networking.k8s.io", "Gateway":
            checks = [_listener(resource, listener) for listener in spec.get("listeners").items()]
        case "gateway.networking.k8s.io", _:
            checks = [_route(resource, rule, settings) for rule in spec.get("rules").items()]
        case _:
            checks = [_ray(resource)]
    yield from as_far_as_readable(checks)


def _service(resource: Resource, spec: Node, settings: Settings) -> Iterator[Finding]:
    public = f"{resource.namespace}/{resource.name}" in settings.public_services
    if spec.get("type").text() in _OUTSIDE and not public:
        yield _open(resource, spec.get("type"), f"the Service is of type {spec.get('type').shown()}")
    if spec.get("externalIPs").items() and not public:
        yield _open(resource, spec.get("externalIPs"), "the Service answers on addresses of its own choice")
    if public:
        for port in spec.get("ports").items():
            if owner := settings.private.get(_private_target(port, settings) or port.get("port").integer(0)):
                yield _open(resource, port, f"{owner}, is reached from outside")


def _renumbered(resource: Resource, spec: Node, settings: Settings) -> Iterator[Finding]:
    for port in spec.get("ports").items():
        target = _private_target(port, settings)
        if target and port.get("port").integer(0) not in settings.private:
            yield Finding(
                resource,
                port.path,
                f"{settings.private[target]}, stands here under the number of another port",
                f"port {target}",
                "give the Service's port the number of its target",
            )


def _private_target(port: Node, settings: Settings) -> int:
    target = port.get("targetPort").scalar()
    number = settings.private_names.get(target, 0) if isinstance(target, str) else target
    return number if isinstance(number, int) and number in settings.private else 0


def _certificates(resource: Resource, spec: Node) -> Iterator[Finding]:
    covered = {host.text() for tls in spec.get("tls").items() for host in tls.get("hosts").items()}
    for rule in spec.get("rules").items():
        host = rule.get("host")
        if host.text() not in covered:
            which = f"host {host.shown()} has no certificate" if host.exists() else "every host is served, without one"
            yield _plain(resource, rule, which)
    if spec.get("defaultBackend").exists() and not spec.get("rules").items():
        yield _plain(resource, spec.get("defaultBackend"), "every host is served, without a certificate")


def _backends_of_ingress(resource: Resource, spec: Node, settings: Settings) -> Iterator[Iterator[Finding]]:
    paths = [path for rule in spec.get("rules").items() for path in rule.get("http", "paths").items()]
    for backend in (spec.get("defaultBackend"), *(path.get("backend") for path in paths)):
        service = backend.get("service")
        number = service.get("port", "number")
        port = number if number.exists() else service.get("port", "name")
        yield _backend(resource, service.get("name"), port, settings)


def _listener(resource: Resource, listener: Node) -> Iterator[Finding]:
    protocol = listener.get("protocol")
    if protocol.text() not in ("HTTPS", "TLS"):
        yield _plain(resource, protocol, f"the listener speaks {protocol.shown()}")


def _route(resource: Resource, rule: Node, settings: Settings) -> Iterator[Finding]:
    for backend in rule.get("backendRefs").items():
        yield from _backend(resource, backend.get("name"), backend.get("port"), settings)


def _backend(resource: Resource, service: Node, port: Node, settings: Settings) -> Iterator[Finding]:
    said = port.scalar()
    number = settings.private_names.get(said, 0) if isinstance(said, str) else said
    if not isinstance(number, int):
        return
    if owner := settings.private.get(number):
        yield _open(resource, port, f"{owner}, is reached from outside")
    elif (owner := settings.guarded.get(number)) and f"{service.text()}:{number}" not in settings.published:
        yield Finding(
            resource,
            port.path,
            f"{owner} is reached from outside",
            "what `published` of the rule's settings names",
            f"put authentication in front and add {service.shown()}:{number} to `published`, or remove the route",
        )


def _ray(resource: Resource) -> Iterator[Finding]:
    for cluster in ray.clusters(resource):
        head = cluster.get("headGroupSpec")
        for service_type in (head.get("serviceType"), head.get("headService", "spec", "type")):
            if service_type.text() in _OUTSIDE:
                yield _open(resource, service_type, f"the head's Service is of type {service_type.shown()}")
        if head.get("enableIngress").flag():
            yield _open(resource, head.get("enableIngress"), "KubeRay makes an Ingress to Ray's dashboard")
    served = resource.body.get("spec", "serveService", "spec", "type")
    if resource.kind == "RayService" and served.text() in _OUTSIDE:
        yield _open(resource, served, f"the Service of the applications is of type {served.shown()}")


def _open(resource: Resource, node: Node, found: str) -> Finding:
    fix = "remove it; what users need goes through the gateway (ml-platform:gateway)"
    return Finding(resource, node.path, found, "reached inside the cluster only", fix)


def _plain(resource: Resource, node: Node, found: str) -> Finding:
    return Finding(resource, node.path, found, "TLS for every host", "name a certificate (ml-platform:gateway.tls)")


RULE = Rule(
    name="exposure",
    scope="resource",
    kinds=ray.KINDS
    | {("", "Service"), ("networking.k8s.io", "Ingress")}
    | {(_GATEWAY, kind) for kind in ("Gateway", *_ROUTES)},
    settings=Settings,
    find=find,
    doc=__doc__,
)
