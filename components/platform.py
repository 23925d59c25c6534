"""Platform: the one composition, and the only file that knows two subsystems."""

from dataclasses import fields
from typing import Any

import pulumi
import pulumi_kubernetes

from components.kube.diagnosis import pods_hook
from components.kube.wires import Endpoint, SecretRef
from components.ray import RayCluster, RaySpec, live_scaling
from components.settings import Settings, Target
from components.stores import DataStores
from components.tenancy import Tenancy


class Platform:
    """Every subsystem of one environment, wired.

    Attributes:
        outputs: the values of PlatformOutputs, by field.
    """

    def __init__(self, settings: Settings, target: Target) -> None:
        cluster = pulumi_kubernetes.Provider("cluster", context=target.connection.context)
        opts = pulumi.ResourceOptions(providers=[cluster])
        tenancy = Tenancy("tenancy", settings.tenancy, opts=opts)
        stores = DataStores(
            "stores",
            settings.stores,
            settings.images.for_stores(),
            namespace=tenancy.endpoints.namespace,
            priority_classes=tenancy.endpoints.priority_classes,
            opts=opts,
        )
        ray = RayCluster(
            "ray",
            settings.ray,
            settings.images.for_ray(),
            namespace=tenancy.endpoints.namespace,
            priority_classes=tenancy.endpoints.priority_classes,
            crds=_crds(target.crds_stack, settings.ray),
            scaling=live_scaling(target.ray_cluster, target.ray_pods),
            redis=stores.endpoints.redis,
            on_error=pods_hook(
                "ray-pods", target.connection, settings.tenancy.namespace, settings.ray.cluster_name, "ray.io/cluster"
            ),
            opts=opts,
        )
        self.outputs: dict[str, Any] = {
            "tenancy": {field.name: getattr(tenancy.endpoints, field.name) for field in fields(tenancy.endpoints)},
            "ray": {
                "version": settings.ray.version,
                "image": settings.images.for_ray().ray,
                **{field.name: _published(getattr(ray.endpoints, field.name)) for field in fields(ray.endpoints)},
            },
        }


def _published(wire: Any) -> Any:
    if isinstance(wire, Endpoint | SecretRef):
        return {field.name: getattr(wire, field.name) for field in fields(wire)}
    return wire


def _crds(stack: str, ray: RaySpec) -> pulumi.Output[str]:
    """The release of the cluster's CRDs, once it is seen to be the operator's."""
    installed = pulumi.StackReference(stack).get_output("kuberay")
    return installed.apply(lambda release: check_crds(release, stack, ray.kuberay_version))


def check_crds(installed: str | None, stack: str, wanted: str) -> str:
    """See that the CRDs of a stack are there and of the operator's release.

    Raises:
        pulumi.RunError: there are none, or they are of another release.
    """
    if installed is None:
        raise pulumi.RunError(
            f"the stack {stack} has no KubeRay CRDs: apply them with `make crds`, or name the stack that has them in "
            "ml-platform:cluster.crdsStack"
        )
    if installed != wanted:
        raise pulumi.RunError(
            f"ml-platform:ray.kuberayVersion is {wanted}, but the CRDs of stack {stack} are of {installed}: "
            "set it to that, or apply the others with `make crds`"
        )
    return installed
