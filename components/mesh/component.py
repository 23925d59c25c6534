"""MeshSecurity: the access table in force.

It promises that what no row of the table admits is denied, from before the first workload is made until after the last
is gone. It needs a network plugin that enforces NetworkPolicies; one that does not ignores them without a word.
"""

from dataclasses import dataclass

import pulumi

from components.base import Component
from components.kube.access import AccessTable
from components.mesh import manifests


@dataclass(frozen=True)
class MeshEndpoints:
    """What others may know.

    Attributes:
        client_labels: labels that a pod needs in the namespace to reach what the platform serves.
    """

    client_labels: dict[str, str]


class MeshSecurity(Component[MeshEndpoints], token="mlplatform:mesh:MeshSecurity"):
    """Every NetworkPolicy of the namespace."""

    def __init__(
        self,
        name: str,
        table: AccessTable,
        *,
        namespace: pulumi.Output[str],
        client_labels: dict[str, str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(name, opts)
        for policy, manifest in manifests.network_policies(table, namespace).items():
            self.child(f"network-{policy}", manifest)
        self.publish(MeshEndpoints(client_labels=client_labels))
