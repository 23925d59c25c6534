"""Tenancy: the namespace that everything else lives in, and its bounds.

It promises that the quota, the defaults and the priorities are in force before any workload is created.
It refuses nothing at run time: what the bounds must satisfy is decided in `spec.py` and judged by policy.
"""

from dataclasses import dataclass

import pulumi

from components.base import Component
from components.kube import rbac
from components.tenancy import manifests
from components.tenancy.spec import TenancySpec


@dataclass(frozen=True)
class TenancyEndpoints:
    """What others may know of the namespace.

    Attributes:
        namespace: its name, known once quota and defaults are in force.
        quota: the name of the ResourceQuota.
        priority_classes: role (`control`, `serving`, `batch`) to the name of the PriorityClass.
        service_accounts: identities for workloads of other teams.
    """

    namespace: pulumi.Output[str]
    quota: pulumi.Output[str]
    priority_classes: dict[str, pulumi.Output[str]]
    service_accounts: list[pulumi.Output[str]]


class Tenancy(Component[TenancyEndpoints], token="mlplatform:tenancy:Tenancy"):
    """The namespace, its quota, its defaults, its priorities and its identities."""

    def __init__(
        self, name: str, spec: TenancySpec, *, keeps_data: bool = False, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, opts)
        # With a namespace goes all that is in it.
        namespace = self.child("namespace", manifests.namespace(spec), protect=keeps_data)
        quota = self.child("quota", manifests.resource_quota(spec), after=[namespace])
        defaults = self.child("defaults", manifests.limit_range(spec), after=[namespace])
        priorities = {
            priority.name: self.child(f"priority-{priority.name}", manifests.priority_class(spec, priority))
            for priority in spec.priority_classes
        }
        accounts = [
            self.child(
                f"account-{account}", rbac.service_account("tenancy", spec.namespace, account), after=[namespace]
            )
            for account in spec.service_accounts
        ]
        self.publish(
            TenancyEndpoints(
                namespace=pulumi.Output.all(namespace.named(), quota.named(), defaults.named()).apply(
                    lambda known: str(known[0])
                ),
                quota=quota.named(),
                priority_classes={role: priority.named() for role, priority in priorities.items()},
                service_accounts=[account.named() for account in accounts],
            )
        )
