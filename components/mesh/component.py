"""MeshSecurity: the access table in force.

It promises that what no row of the table admits is denied, from before the first workload is made until after the last
is gone: by the network, and in a mesh by the identity of the caller too, with mutual TLS on every port. It needs a
network plugin that enforces NetworkPolicies; one that does not ignores them without a word.
"""

from dataclasses import dataclass

import pulumi

from components.base import Component
from components.kube.access import AccessTable
from components.mesh import manifests
from components.mesh.spec import MeshSpec


@dataclass(frozen=True)
class MeshEndpoints:
    """What others may know.

    Attributes:
        client_labels: labels that a pod needs in the namespace to reach what the platform serves.
        pod_annotations: of every pod of the platform: its sidecar's size and kind. Empty without a mesh.
    """

    client_labels: dict[str, str]
    pod_annotations: dict[str, str]


class MeshSecurity(Component[MeshEndpoints], token="mlplatform:mesh:MeshSecurity"):
    """Every policy of the namespace."""

    def __init__(
        self,
        name: str,
        spec: MeshSpec,
        table: AccessTable,
        *,
        namespace: pulumi.Output[str],
        client_labels: dict[str, str],
        sidecars: bool,
        watched: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(name, opts)
        for policy, manifest in manifests.network_policies(table, namespace).items():
            self.child(f"network-{policy}", manifest)
        if sidecars:
            for role, manifest in manifests.istio(spec, table, namespace).items():
                self.child(role, manifest)
        annotations = manifests.pod_annotations(spec, watched=watched) if sidecars else {}
        self.publish(MeshEndpoints(client_labels=client_labels, pod_annotations=annotations))
