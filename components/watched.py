"""What of a platform there is to watch: the one place that reads it out of all subsystems' settings."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from components.feast.manifests import SERVER
from components.gateway.manifests import GATEWAY
from components.mlflow import manifests as mlflow
from components.observability.alerts.rule import Bounds, Watched
from components.stores.manifests import OBJECT_STORE, POSTGRES, external_stores

if TYPE_CHECKING:
    from components.observability.spec import ObservabilitySpec
    from components.settings import Settings


def watched(settings: "Settings", spec: "ObservabilitySpec") -> Watched:
    """What rules and dashboards are about; what nobody scrapes is left out.

    Args:
        settings: of the platform.
        spec: how it is watched.
    """
    gateway, sidecars = settings.gateway, settings.tenancy.mesh_injection

    def shown(exporter: str) -> bool:
        return spec.prometheus.existing is not None or exporter in spec.exporters

    return Watched(
        namespace=settings.tenancy.namespace,
        thresholds=spec.alerts.thresholds,
        objectives=spec.alerts.objectives,
        mesh=sidecars,
        gateway=gateway.proxies.namespace if gateway and shown("gateway") else None,
        control_plane=settings.mesh.control_plane if sidecars and shown("istiod") else None,
        certificates=(GATEWAY,) if gateway and gateway.tls and gateway.tls.issuer else (),
        operator=settings.ray.operator.mode == "managed",
        worker_groups={
            group.name: Bounds(group.min_replicas, group.max_replicas) for group in settings.ray.worker_groups
        },
        gpus=shown("gpu") and any(group.gpu for group in settings.ray.worker_groups),
        autoscalers=tuple(_autoscalers(settings)),
        stores=tuple(name for name, store in external_stores(settings.stores).items() if not store),
        database=_service(settings, POSTGRES),
        bucket=_service(settings, OBJECT_STORE),
        materialization=settings.feast.materialization is not None,
        backups=(mlflow.BACKUP,),
    )


def _autoscalers(settings: "Settings") -> Iterator[str]:
    """Each has the name of its Deployment."""
    if settings.mlflow.autoscaling:
        yield mlflow.NAME
    if settings.feast.online.autoscaling:
        yield SERVER


def _service(settings: "Settings", store: str) -> str:
    """The first part of the name by which a store is reached."""
    external = external_stores(settings.stores)[store]
    return external.address[0].partition(".")[0] if external else store
