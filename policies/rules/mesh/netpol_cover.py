"""NetworkPolicies deny everything by default, and every pod still gets what each pod needs.

Restricted fields: `spec` of every NetworkPolicy; every pod template, those of Ray groups included, with the labels that
their controllers give the pods (`ray.io/cluster`), and its `hostNetwork`.

Allowed values: each namespace with pods has a policy that selects all of them, with both policy types and no rules. No
ingress rule admits everyone, and no `from` has a namespaceSelector and a podSelector as two neighbouring elements.
Every pod may ask the cluster's DNS, by UDP and TCP; one with a sidecar reaches istiod on 15012; the scraper, where the
settings name one, reaches each port with the name `metrics`. No pod is on the host's network, where policies end.

Why: a pod that no policy selects is open to the whole cluster. A default without DNS or istiod is worse to find: names
do not resolve, or the sidecar never gets a certificate, hours after a change that looked like hardening.
"""

from collections.abc import Iterator

from policies.mesh import WORKLOAD, Mesh, MeshSettings, PodsOf, Workload, kinds, survey
from policies.reach import Pod
from policies.reach.flaws_network import find as flaws
from policies.reach.network import Connection
from policies.reach.words import Protocol
from policies.rule import Finding, Results, Rule
from policies.view import Stack, Unreadable

_ALLOWED = {
    "network-no-default-deny": "a NetworkPolicy with an empty podSelector, both policyTypes and no rules",
    "network-admits-everyone": "ingress from those that are named",
    "network-split-selectors": "one element of from that has both selectors",
}
_PROTOCOLS: tuple[Protocol, ...] = ("UDP", "TCP")


class Settings(MeshSettings):
    """What every pod needs."""

    dns: PodsOf = PodsOf(namespace="kube-system", labels={"k8s-app": "kube-dns"})
    """The cluster's DNS."""
    istiod: PodsOf = PodsOf(namespace="istio-system", labels={"app": "istiod"})
    """The mesh's control plane, which pods with a sidecar reach."""
    scraper: PodsOf | None = None
    """Who reads metrics; nobody where there is none yet."""


def find(stack: Stack, settings: Settings) -> Results:
    """Judge every NetworkPolicy, and what they leave to each pod."""
    mesh = survey(stack, settings)
    yield from mesh.unreadable(WORKLOAD, "Namespace", "NetworkPolicy")
    for flaw in flaws(mesh.objects, mesh.pods):
        allowed = _ALLOWED[flaw.rule]
        if flaw.rule != "network-no-default-deny":
            yield Finding(mesh.sources[flaw.object], "spec", flaw.found, allowed, flaw.fix)
            continue
        namespace = flaw.object.removeprefix("Namespace ")
        home = mesh.home(namespace)
        if home and not mesh.doubtful(namespace, "NetworkPolicy"):
            yield Finding(*home, flaw.found, allowed, flaw.fix)
    for workload in mesh.workloads:
        try:
            yield from _on_the_host(workload)
        except Unreadable as unreadable:
            yield unreadable.at(workload.resource)
        if not mesh.doubtful(workload.pod.namespace, "NetworkPolicy"):
            yield from _cut_off(mesh, workload, settings)


def _on_the_host(workload: Workload) -> Iterator[Finding]:
    node = workload.template.spec.get("hostNetwork")
    if node.flag():
        found = "the pod is on the host's network, where no NetworkPolicy holds"
        yield Finding(workload.resource, node.path, found, "a network of its own", "remove it")


def _cut_off(mesh: Mesh, workload: Workload, settings: Settings) -> Iterator[Finding]:
    pod, network = workload.pod, mesh.objects.network
    dns = settings.dns.pod(dns=53, **{"dns-tcp": 53})
    for protocol in _PROTOCOLS:
        if not network.leaves(Connection(pod, dns, 53, protocol), pod).allowed:
            yield _finding(workload, f"may not ask the cluster's DNS ({protocol} 53 of {_told(dns)})")
    istiod = settings.istiod.pod(**{"https-dns": 15012})
    if pod.meshed and not network.leaves(Connection(pod, istiod, 15012), pod).allowed:
        yield _finding(workload, f"has a sidecar that may not reach istiod (TCP 15012 of {_told(istiod)})")
    scraper, metrics = settings.scraper, pod.ports.get("metrics")
    if scraper and metrics and not network.enters(Connection(scraper.pod(), pod, metrics), pod).allowed:
        yield _finding(workload, f"may not be scraped (TCP {metrics} from {_told(scraper.pod())})")


def _told(pod: Pod) -> str:
    labels = ",".join(f"{key}={value}" for key, value in sorted(pod.labels.items()))
    return f"{labels} in {pod.namespace}"


def _finding(workload: Workload, found: str) -> Finding:
    fix = "admit it in a NetworkPolicy for all pods (ml-platform:mesh.dns, mesh.controlPlane)"
    return Finding(workload.resource, workload.path(""), found, "what every pod needs", fix)


RULE = Rule(name="netpol-cover", scope="stack", kinds=kinds("NetworkPolicy"), settings=Settings, find=find, doc=__doc__)
