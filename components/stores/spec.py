"""Decisions about data stores: each is `embedded` (in the namespace) or `external` (there already), never both."""

from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from components.kube.model import (
    Compute,
    DnsLabel,
    Host,
    ImageRef,
    Labels,
    Port,
    Resources,
    Spec,
    Volume,
    unique,
)

StoreT = TypeVar("StoreT", "Postgres", "Redis", "ObjectStore")


def _bucket_name(value: str) -> str:
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html, without dots: they break TLS.
    if not 3 <= len(value) <= 63:
        raise ValueError("must have 3 to 63 characters")
    return value


def _one_of_both(store: StoreT) -> StoreT:
    if store.external and "embedded" in store.model_fields_set:
        raise ValueError("has both embedded and external: keep the one you mean")
    return store


class StoresImages(Spec):
    """The images that this subsystem runs, by role."""

    postgres: ImageRef
    """PostgreSQL; started with the environment of the official image."""
    redis: ImageRef
    """Redis, or what speaks its protocol."""
    object_store: ImageRef
    """The S3-compatible server."""
    store_client: ImageRef
    """Clients of PostgreSQL and S3: makes databases, roles and buckets."""
    postgres_exporter: ImageRef
    """Tells Prometheus of PostgreSQL."""
    redis_exporter: ImageRef
    """Tells Prometheus of Redis."""


class EmbeddedPostgres(Spec):
    """PostgreSQL in the namespace: one pod with a disk of its own."""

    resources: Resources = Resources(
        requests=Compute(cpu="250m", memory="512Mi"), limits=Compute(cpu="1", memory="1Gi")
    )
    """Size of the server."""
    volume: Volume = Volume(size="10Gi")
    """Its disk."""


class ExternalPostgres(Spec):
    """A PostgreSQL that is there already, such as the reports' `postgres-shared`."""

    host: Host
    """DNS name or address."""
    port: Port = 5432
    """TCP port."""
    tls: Literal["disable", "require", "verify-full"] = "require"
    """`verify-full` also compares the certificate with the host; libpq's `sslmode`."""
    admin_secret: DnsLabel
    """Secret in the namespace with the keys `username` and `password` of a role that may create roles and databases."""
    pods: Labels = Field(default_factory=dict)
    """Labels of its pods, where those are in the platform's namespace: what is not admitted there is denied."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self.host, self.port


class Postgres(Spec):
    """PostgreSQL 15 or newer."""

    embedded: EmbeddedPostgres = EmbeddedPostgres()
    """Size and disk of one in the namespace."""
    external: ExternalPostgres | None = None
    """One that is there already, instead."""

    @model_validator(mode="after")
    def _one_of_both(self) -> "Postgres":
        return _one_of_both(self)


class EmbeddedRedis(Spec):
    """Redis in the namespace: one pod with a disk of its own. It never evicts: Ray's state lies in it."""

    resources: Resources = Resources(
        requests=Compute(cpu="100m", memory="256Mi"), limits=Compute(cpu="500m", memory="512Mi")
    )
    """Size of the server; three quarters of the memory limit hold data, then writes are refused."""
    volume: Volume = Volume(size="2Gi")
    """Its disk, for the append-only file."""


class ExternalRedis(Spec):
    """A Redis-compatible store that is already there; its password lies in a Secret of the platform's namespace."""

    host: Host
    """DNS name or address."""
    port: Port = 6379
    """TCP port."""
    tls: bool = False
    """Whether it speaks TLS."""
    password_secret: DnsLabel
    """Name of the Secret."""
    password_key: str = "password"  # noqa: S105 the name of a key
    """Key within the Secret."""
    pods: Labels = Field(default_factory=dict)
    """Labels of its pods, where those are in the platform's namespace: what is not admitted there is denied."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self.host, self.port


class Redis(Spec):
    """The online store of features, and Ray's state with `ray.gcsFaultTolerance`; it must not evict."""

    embedded: EmbeddedRedis = EmbeddedRedis()
    """Size and disk of one in the namespace."""
    external: ExternalRedis | None = None
    """One that is there already, instead."""

    @model_validator(mode="after")
    def _one_of_both(self) -> "Redis":
        return _one_of_both(self)


class EmbeddedObjectStore(Spec):
    """An S3-compatible server in the namespace: one pod with a disk of its own."""

    resources: Resources = Resources(
        requests=Compute(cpu="100m", memory="128Mi"), limits=Compute(cpu="1", memory="512Mi")
    )
    """Size of the server."""
    volume: Volume = Volume(size="20Gi")
    """Its disk."""


class ExternalObjectStore(Spec):
    """An S3-compatible store that is there already: AWS S3, or the reports' MinIO."""

    url: Annotated[str, Field(pattern=r"^https?://[a-z0-9.-]+(:[0-9]+)?$")]
    """Address of the S3 API, with scheme and port."""
    region: str = "us-east-1"
    """Region that requests are signed for."""
    secret: DnsLabel
    """Secret in the namespace with the access key."""
    access_key: str = "access-key"
    """Key within the Secret: the access key's id."""
    secret_key: str = "secret-key"  # noqa: S105 the name of a key
    """Key within the Secret: the access key itself."""
    pods: Labels = Field(default_factory=dict)
    """Labels of its pods, where those are in the platform's namespace: what is not admitted there is denied."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or {"http": 80, "https": 443}[parts.scheme]


class ObjectStore(Spec):
    """Artifacts and backups."""

    embedded: EmbeddedObjectStore = EmbeddedObjectStore()
    """Size and disk of one in the namespace."""
    external: ExternalObjectStore | None = None
    """One that is there already, instead."""

    @model_validator(mode="after")
    def _one_of_both(self) -> "ObjectStore":
        return _one_of_both(self)


class DatabaseSpec(Spec):
    """A database that the platform makes, and the role that owns it."""

    name: DnsLabel
    """Its name, unique in the server."""
    owner: DnsLabel | None = None
    """The role that owns it, one with its name when absent; a role may own several databases."""

    @property
    def role(self) -> str:
        """Who owns it."""
        return self.owner or self.name


class BucketSpec(Spec):
    """A bucket that the platform makes."""

    name: Annotated[DnsLabel, AfterValidator(_bucket_name)]
    """Its name, unique in the store."""
    versioning: bool = False
    """Keeps what is overwritten and deleted."""


class StoresSpec(Spec):
    """Data stores, and what lies in them."""

    postgres: Postgres = Postgres()
    """Metadata of MLflow, registry and offline store of Feast."""
    redis: Redis = Redis()
    """Online store of Feast, state of Ray."""
    object_store: ObjectStore = ObjectStore()
    """Artifacts of MLflow, backups."""
    databases: tuple[DatabaseSpec, ...] = (
        DatabaseSpec(name="mlflow"),
        DatabaseSpec(name="mlflow-auth", owner="mlflow"),
        DatabaseSpec(name="feast"),
    )
    """Databases and the roles that own them; where someone watches, the rows of the first one's tables are told."""
    buckets: tuple[BucketSpec, ...] = (
        BucketSpec(name="mlflow-artifacts", versioning=True),
        BucketSpec(name="backups"),
        BucketSpec(name="ray"),
    )
    """Buckets."""

    @property
    def keeps_data(self) -> bool:
        """Whether a store in the namespace has a disk that stays."""
        stores = self.postgres, self.redis, self.object_store
        return any(not store.external and store.embedded.volume.retention == "Retain" for store in stores)

    @model_validator(mode="after")
    def _names_are_unique(self) -> "StoresSpec":
        unique("databases", self.databases)
        unique("buckets", self.buckets)
        return self
