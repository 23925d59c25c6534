"""Every TCP port of a Service says what it speaks.

Restricted fields: `appProtocol`, `name` and `protocol` of every port of a Service; the same of the Services inside of
Ray's custom resources, `headGroupSpec.headService` and `serveService`.

Allowed values: `appProtocol`, or else the name up to its first dash, is one that Istio knows: http, http2, https, grpc,
grpc-web, tls, tcp, mongo, mysql, redis; as `appProtocol` also kubernetes.io/h2c, kubernetes.io/ws, kubernetes.io/wss.
A known name does not help beside an unknown `appProtocol`, which is the stronger one. UDP and SCTP are not in the mesh,
and a Service of the type ExternalName has no ports of its own. What KubeRay itself makes says tcp everywhere.

Why: without a word the sidecar guesses from the first bytes. That costs each connection to a server that speaks first,
such as MySQL, a timeout of seconds, and makes one call HTTP and the next one not, in metrics, retries and policies.
"""

from collections.abc import Iterator
from typing import Final

from policies.rule import Finding, Results, Rule, RuleSettings
from policies.view import Node, Resource

_NAMES: Final = ("http", "http2", "https", "grpc", "grpc-web", "tls", "tcp", "mongo", "mysql", "redis")
_STANDARD: Final = ("kubernetes.io/h2c", "kubernetes.io/ws", "kubernetes.io/wss")
"""Both as ConvertProtocol in istio pkg/config/kube/conversion.go reads them."""
_RAY: Final = {
    "RayCluster": (("spec", "headGroupSpec", "headService"),),
    "RayService": (("spec", "serveService"), ("spec", "rayClusterConfig", "headGroupSpec", "headService")),
    "RayJob": (("spec", "rayClusterSpec", "headGroupSpec", "headService"),),
    "RayCronJob": (("spec", "jobTemplate", "rayClusterSpec", "headGroupSpec", "headService"),),
}


class Settings(RuleSettings):
    """Nothing to choose."""


def find(resource: Resource, settings: Settings) -> Results:
    """Judge every port."""
    del settings
    for path in _RAY.get(resource.kind, ((),)):
        service = resource.body.get(*path)
        if service.get("spec", "type").text() != "ExternalName":
            for port in service.get("spec", "ports").items():
                yield from _judge(resource, port)


def _judge(resource: Resource, port: Node) -> Iterator[Finding]:
    if port.get("protocol").text("TCP") != "TCP":
        return
    said, name = port.get("appProtocol"), port.get("name")
    known = _known(said.text()) or said.text() in _STANDARD if said.exists() else _known(name.text())
    if not known:
        node = said if said.exists() else name
        what = node.shown() if node.exists() else "nothing"
        yield Finding(
            resource,
            node.path,
            f"{what} is said of what port {port.get('port').shown()} speaks, and Istio does not know that",
            f"appProtocol or a prefix of the name, one of {', '.join(_NAMES)}",
            "set appProtocol",
        )


def _known(text: str) -> bool:
    """Whether Istio knows it, in capitals or not, with or without more behind a dash."""
    lower = text.lower()
    return lower.startswith("grpc-web") or lower.partition("-")[0] in _NAMES


RULE = Rule(
    name="port-protocol",
    scope="resource",
    kinds=frozenset({("", "Service"), *(("ray.io", kind) for kind in _RAY)}),
    settings=Settings,
    find=find,
    doc=__doc__,
)
