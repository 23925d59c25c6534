"""Platform: the one composition, and the only file that knows two subsystems."""

from typing import Any

import pulumi
import pulumi_kubernetes

from components.access import CLIENT_LABELS
from components.base import plain
from components.feast import FeastStore
from components.gateway import Gateway
from components.kube.diagnosis import pods_hook
from components.kube.logs import LogAgent
from components.mesh import MeshSecurity
from components.mlflow import MLflowServer
from components.observability import Observability
from components.ray import RayCluster, RaySpec, live_scaling
from components.settings import Settings
from components.stores import DataStores
from components.target import Target
from components.tenancy import Tenancy
from components.watched import watched


class Platform:
    """Every subsystem of one environment, wired.

    Attributes:
        outputs: the values of PlatformOutputs, by field.
    """

    def __init__(self, settings: Settings, target: Target) -> None:
        # A rotated password changes its Secret in place; the provider's default makes a new one, which would need
        # another name, or a moment without any.
        cluster = pulumi_kubernetes.Provider(
            "cluster", context=target.connection.context, enable_secret_mutable=True, enable_config_map_mutable=True
        )
        opts = pulumi.ResourceOptions(providers=[cluster])
        tells_why = pods_hook("pods", target.connection, {"RayCluster": "ray.io/cluster"})
        tenancy = Tenancy("tenancy", settings.tenancy, keeps_data=settings.keeps_data, opts=opts)
        table = settings.access(target.api_server)
        mesh = MeshSecurity(
            "mesh",
            settings.mesh,
            table,
            namespace=tenancy.endpoints.namespace,
            client_labels=CLIENT_LABELS,
            sidecars=settings.tenancy.mesh_injection,
            watched=settings.observability is not None,
            opts=opts,
        )
        # Nothing runs before it is said who may talk to it, nor after that has been taken back.
        opts = pulumi.ResourceOptions(providers=[cluster], depends_on=[mesh])
        stores = DataStores(
            "stores",
            settings.stores,
            settings.images.for_stores(),
            namespace=tenancy.endpoints.namespace,
            priority_classes=tenancy.endpoints.priority_classes,
            generation=settings.secrets.generation,
            watched=settings.observability is not None,
            pod_annotations=mesh.endpoints.pod_annotations,
            on_error=tells_why,
            opts=opts,
        )
        watch = settings.observability
        observability = (
            Observability(
                "observability",
                watch,
                settings.images.for_observability(),
                namespace=tenancy.endpoints.namespace,
                priority_classes=tenancy.endpoints.priority_classes,
                workloads=table.workloads,
                watched=watched(settings, watch),
                generation=settings.secrets.generation,
                pod_annotations=mesh.endpoints.pod_annotations,
                on_error=tells_why,
                opts=opts,
            )
            if watch
            else None
        )
        traces = observability.endpoints.traces if observability else None
        mlflow = MLflowServer(
            "mlflow",
            settings.mlflow,
            settings.images.for_mlflow(),
            namespace=tenancy.endpoints.namespace,
            priority_classes=tenancy.endpoints.priority_classes,
            database=stores.endpoints.databases[settings.mlflow.database],
            bucket=stores.endpoints.buckets[settings.mlflow.bucket],
            backups=stores.endpoints.buckets[settings.mlflow.backup_bucket],
            generation=settings.secrets.generation,
            watched=settings.observability is not None,
            traces=traces,
            pod_annotations=mesh.endpoints.pod_annotations,
            on_error=tells_why,
            opts=opts,
        )
        feast = FeastStore(
            "feast",
            settings.feast,
            settings.images.for_feast(),
            namespace=tenancy.endpoints.namespace,
            priority_classes=tenancy.endpoints.priority_classes,
            database=stores.endpoints.databases[settings.feast.database],
            redis=stores.endpoints.redis,
            repository=target.feature_repository,
            traces=traces,
            pod_annotations=mesh.endpoints.pod_annotations,
            on_error=tells_why,
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
            generation=settings.secrets.generation,
            redis=stores.endpoints.redis,
            tracking=mlflow.endpoints.tracking,
            login=mlflow.endpoints.login,
            features=feast.endpoints.online,
            bucket=stores.endpoints.buckets[settings.ray.bucket],
            logs=_log_agent(settings, observability),
            traces=traces,
            pod_annotations=mesh.endpoints.pod_annotations,
            on_error=tells_why,
            opts=opts,
        )
        gateway = settings.gateway and Gateway(
            "gateway",
            settings.gateway,
            namespace=tenancy.endpoints.namespace,
            serve=ray.endpoints.serve,
            features=feast.endpoints.online,
            tracking=mlflow.endpoints.tracking,
            opts=opts,
        )
        self.outputs: dict[str, Any] = {
            "tenancy": plain(tenancy.endpoints),
            "mesh": plain(mesh.endpoints),
            "stores": plain(stores.endpoints),
            "mlflow": plain(mlflow.endpoints),
            "feast": plain(feast.endpoints),
            "ray": {
                "version": settings.ray.version,
                "image": settings.images.for_ray().ray,
                **plain(ray.endpoints),
            },
            "gateway": gateway and plain(gateway.endpoints),
            "observability": observability and plain(observability.endpoints),
        }


def _log_agent(settings: Settings, observability: Observability | None) -> LogAgent | None:
    """What reads Ray's log files, where someone keeps logs."""
    watch, store = settings.observability, observability and observability.endpoints.logs
    if not (watch and watch.logs and store):
        return None
    return LogAgent(store=store, image=settings.images.for_logs(), size=watch.logs.agent)


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
