"""What clients in the mesh send to a host of the mesh is the mesh's own mutual TLS, to whom they expect there.

Restricted fields: `tls`, its `mode` and `subjectAltNames`, of every DestinationRule: in `trafficPolicy`, in its
`portLevelSettings`, and in both of every subset, whatever namespaces it is exported to; `host` tells whether it is
about the mesh.

Allowed values: `tls` absent, or ISTIO_MUTUAL, for a Service of the stack whose pods have sidecars, for a host in the
domain of the cluster that the stack does not know, for one that a ServiceEntry puts into the mesh, and for a wildcard
over any of them. A host without a dot is a Service of the rule's own namespace. Hosts outside of the mesh may have any
`tls`: those in another domain, the API server, Services whose pods have no sidecar, and those in the settings. Where
`subjectAltNames` are said, they have the identity of every pod of the stack that is in the mesh and behind the host:
`spiffe://<trust domain>/ns/<namespace>/sa/<account>`.

Why: a DestinationRule that says DISABLE sends plain text, and one with an empty `tls` says DISABLE. SIMPLE brings a
certificate that is not the mesh's, so the callee knows nobody. Against a STRICT callee either one is an outage, with
503 as the only explanation. So is a name too few, such as that of the workers' account behind a Service that has the
head of Ray too.
"""

from policies.mesh import WORKLOAD, MeshSettings, kinds, survey
from policies.reach.flaws_mtls import find as flaws
from policies.rule import Finding, Results, Rule
from policies.view import Stack


class Settings(MeshSettings):
    """The mesh, and who is not in it."""

    outside_hosts: tuple[str, ...] = ()
    """Hosts in the cluster's domain that have no sidecars, as DestinationRules name them in full."""


_ALLOWED = {
    "client-tls-weak": "ISTIO_MUTUAL or no tls for a host of the mesh",
    "client-tls-names": "no subjectAltNames, or the identities of all pods behind the host",
}


def find(stack: Stack, settings: Settings) -> Results:
    """Judge every DestinationRule."""
    mesh = survey(stack, settings)
    yield from mesh.unreadable(WORKLOAD, "Namespace", "Service", "ServiceEntry", "DestinationRule")
    hosts = {str(rule): rule.full_host for rule in mesh.objects.destination_rules}
    for flaw in flaws(mesh.objects, mesh.pods):
        if flaw.rule in _ALLOWED and hosts[flaw.object] not in settings.outside_hosts:
            yield Finding(mesh.sources[flaw.object], "spec", flaw.found, _ALLOWED[flaw.rule], flaw.fix)


RULE = Rule(
    name="dr-tls",
    scope="stack",
    kinds=kinds("Service", "ServiceEntry", "DestinationRule"),
    settings=Settings,
    find=find,
    doc=__doc__,
)
