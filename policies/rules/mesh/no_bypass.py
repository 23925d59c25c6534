"""No pod sends or takes traffic past its sidecar.

Restricted fields: of every pod template, those of Ray groups included: the annotations `traffic.sidecar.istio.io/*`
that leave traffic out, `sidecar.istio.io/interceptionMode`, `interceptionMode` in `proxy.istio.io/config`, and
`inject.istio.io/templates`; `runAsUser` and `runAsGroup` of the pod and of every container.

Allowed values: `exclude...` absent or empty, `includeInboundPorts` and `includeOutboundIPRanges` absent or `*`;
REDIRECT or TPROXY; the template `sidecar`; any user and group but 1337, which is the sidecar's own, so that its traffic
is left alone (IST0144). What needs to be outside has an exception for the path.

Why: a port that is left out takes plain text whatever PeerAuthentication says, and nobody looks for that in an
annotation. Ray is the usual case: with interception NONE everything works, and nothing is encrypted any more.
"""

import re
from collections.abc import Iterator
from typing import Final

from policies.pods import KINDS, PodTemplate, templates
from policies.rule import Finding, Results, Rule, RuleSettings
from policies.view import Node, Resource

_TRAFFIC: Final = "traffic.sidecar.istio.io/"
_ALLOWED: Final = {
    f"{_TRAFFIC}excludeInboundPorts": ("",),
    f"{_TRAFFIC}excludeOutboundPorts": ("",),
    f"{_TRAFFIC}excludeOutboundIPRanges": ("",),
    f"{_TRAFFIC}excludeInterfaces": ("",),
    f"{_TRAFFIC}includeInboundPorts": ("*",),
    f"{_TRAFFIC}includeOutboundIPRanges": ("*",),
    "sidecar.istio.io/interceptionMode": ("REDIRECT", "TPROXY"),
    "inject.istio.io/templates": ("sidecar",),
}
"""Annotations and the values with which nothing gets past: https://istio.io/latest/docs/reference/config/annotations/."""
_CONFIG: Final = "proxy.istio.io/config"
_NO_INTERCEPTION: Final = re.compile(r"interceptionMode\W{0,9}NONE\b")
_PROXY: Final = 1337
"""User and group of istio-proxy, which its iptables rules leave alone."""


class Settings(RuleSettings):
    """Nothing to choose: what is needed has an exception."""


def find(resource: Resource, settings: Settings) -> Results:
    """Judge every pod template."""
    del settings
    for template in templates(resource):
        yield from _annotations(resource, template)
        yield from _users(resource, template)


def _annotations(resource: Resource, template: PodTemplate) -> Iterator[Finding]:
    for name, allowed in _ALLOWED.items():
        node = template.annotation(name)
        if node.exists() and node.text() not in allowed:
            yield _finding(resource, node, f"{node.shown()!r} leads traffic past the sidecar", " or ".join(allowed))
    config = template.annotation(_CONFIG)
    if _NO_INTERCEPTION.search(config.text()):
        yield _finding(
            resource, config, "interceptionMode NONE leads all traffic past the sidecar", "REDIRECT or TPROXY"
        )


def _users(resource: Resource, template: PodTemplate) -> Iterator[Finding]:
    containers = (*template.containers(), *template.init_containers())
    for owner in (template.spec, *containers):
        for name in ("runAsUser", "runAsGroup"):
            node = owner.get("securityContext", name)
            if node.integer(0) == _PROXY:
                found = f"traffic of {_PROXY}, the sidecar's own, is left alone"
                yield _finding(resource, node, found, f"any other than {_PROXY}")


def _finding(resource: Resource, node: Node, found: str, allowed: str) -> Finding:
    return Finding(resource, node.path, found, allowed or "nothing left out", "remove it, or give it an exception")


RULE = Rule(name="no-bypass", scope="resource", kinds=KINDS, settings=Settings, find=find, doc=__doc__)
