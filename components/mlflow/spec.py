"""Decisions about MLflow. Sizes default to those of the reports (`docs/requirements.md` M1, M2)."""

from typing import Annotated, Literal

from pydantic import Field

from components.kube.model import (
    Compute,
    Cron,
    DnsLabel,
    Host,
    ImageRef,
    PositiveCount,
    Resources,
    Scale,
    Seconds,
    Spec,
)


class MLflowImages(Spec):
    """The images that this subsystem runs, by role."""

    mlflow: ImageRef
    """Server, migration and garbage collection."""
    store_client: ImageRef
    """Dumps the databases before a migration."""


class GarbageCollection(Spec):
    """Removes for good what users have deleted: runs, their artifacts, experiments."""

    cron: Cron = "0 3 * * 0"
    """When, in UTC."""
    older_than_days: PositiveCount = 30
    """How long what is deleted can still be restored."""


class MLflowSpec(Scale):
    """The tracking server."""

    resources: Resources = Resources(requests=Compute(cpu="500m", memory="1Gi"), limits=Compute(cpu="1", memory="2Gi"))
    """Size of one pod."""
    workers: PositiveCount = 2
    """Processes in one pod; each takes about 350 MiB."""
    authentication: Literal["basic", "none"] = "basic"
    """`basic`: users with passwords, kept in a database of their own; `none`: whoever reaches the server does all."""
    default_permission: Literal["READ", "EDIT", "MANAGE", "NO_PERMISSIONS"] = "READ"
    """What a user may do with the experiments and models of others, with `basic`."""
    database: DnsLabel = "mlflow"
    """Which of `stores.databases` holds experiments and models."""
    users_database: DnsLabel = "mlflow-auth"
    """Which of `stores.databases` holds the users; its owner is that of `database`."""
    bucket: DnsLabel = "mlflow-artifacts"
    """Which of `stores.buckets` holds the artifacts, which clients reach through the server."""
    backup_bucket: DnsLabel = "backups"
    """Which of `stores.buckets` gets a dump of the databases before every migration."""
    hosts: tuple[Host, ...] = ()
    """Further names that it is reached by over HTTPS, such as a gateway's; a Host header of another name is refused."""
    client_namespaces: tuple[DnsLabel, ...] = ()
    """Namespaces, of other teams, that get the ConfigMap `mlflow-client`; they exist already."""
    garbage_collection: GarbageCollection | None = GarbageCollection()
    """When deleted runs and their artifacts are removed for good; null for never."""
    migration_timeout_seconds: Seconds = 1800
    """How long the backup, and then the migration of the databases, may take."""
    ready_timeout_seconds: Annotated[Seconds, Field(ge=30)] = 600
    """How long a rollout may take until it has failed."""
