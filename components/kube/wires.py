"""Wires: what one subsystem hands to another, in words that belong to neither.

A wire carries addresses and references to secrets, never a secret; its values may be known only after apply.

Where something has to be made before what a wire names can be used, the wire carries that too (`after`): as a resource
to come after and not as a value that depends on it. A Job that is made anew is removed first, and Pulumi then removes
whatever has a value of it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pulumi


@dataclass(frozen=True)
class SecretRef:
    """Where a secret lies: a key of a Secret in the platform's namespace.

    Attributes:
        name: of the Secret.
        key: within it.
        digest: changes with the Secret's content and tells nothing of it: as an annotation it makes pods roll and Jobs
            run again. Empty for a Secret that the platform does not make.
    """

    name: "pulumi.Input[str]"
    key: str
    digest: "pulumi.Input[str]" = ""


@dataclass(frozen=True)
class Endpoint:
    """An address that answers on `host:port`; `url` is the same with the scheme that clients use."""

    host: "pulumi.Input[str]"
    port: int
    url: "pulumi.Input[str]"


@dataclass(frozen=True)
class Database:
    """A PostgreSQL database and the role that owns it.

    Attributes:
        endpoint: the server.
        name: of the database.
        owner: the role that owns it, or where its name lies.
        password: the owner's.
        tls: libpq's `sslmode`.
        after: makes the database and its owner.
    """

    endpoint: Endpoint
    name: str
    owner: str | SecretRef
    password: SecretRef
    tls: str
    after: "tuple[pulumi.Resource, ...]" = ()


@dataclass(frozen=True)
class KeyValueStore:
    """A Redis-compatible store.

    Attributes:
        endpoint: the server.
        password: that it asks for.
        tls: whether it speaks TLS.
        after: the server, where it is the platform's own.
    """

    endpoint: Endpoint
    password: SecretRef
    tls: bool = False
    after: "tuple[pulumi.Resource, ...]" = ()


@dataclass(frozen=True)
class Login:
    """A user of a service, and where the password lies."""

    user: str
    password: SecretRef


@dataclass(frozen=True)
class Bucket:
    """A bucket of an S3-compatible store; the keys are those of an access key pair.

    Attributes:
        url: of the S3 API.
        region: that requests are signed for.
        name: of the bucket.
        access_key: the key's id.
        secret_key: the key itself.
        after: makes the bucket.
    """

    url: "pulumi.Input[str]"
    region: str
    name: "pulumi.Input[str]"
    access_key: SecretRef
    secret_key: SecretRef
    after: "tuple[pulumi.Resource, ...]" = ()


@dataclass(frozen=True)
class LogStore:
    """Where logs are kept that outlive their pods.

    Attributes:
        url: of OTLP over HTTP, without `/v1/logs`.
        tenant: whose logs they are (`X-Scope-OrgID`), where the store asks for one.
    """

    url: "pulumi.Input[str]"
    tenant: str | None = None


@dataclass(frozen=True)
class TraceStore:
    """Where traces are kept.

    Attributes:
        url: that takes spans (OTLP over HTTP, `/v1/traces`).
        sampling_percent: how many of the requests are traced that come without a trace of their own.
    """

    url: "pulumi.Input[str]"
    sampling_percent: float
