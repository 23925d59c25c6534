"""Wires: what one subsystem hands to another, in words that belong to neither.

A wire carries addresses and references to secrets, never a secret; its values may be known only after apply.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pulumi


@dataclass(frozen=True)
class SecretRef:
    """Where a secret lies: a key of a Secret in the platform's namespace."""

    name: "pulumi.Input[str]"
    key: str


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
        name: of the database, and of its owner.
        password: the owner's.
        tls: libpq's `sslmode`.
    """

    endpoint: Endpoint
    name: str
    password: SecretRef
    tls: str


@dataclass(frozen=True)
class KeyValueStore:
    """A Redis-compatible store."""

    endpoint: Endpoint
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
    """

    url: "pulumi.Input[str]"
    region: str
    name: "pulumi.Input[str]"
    access_key: SecretRef
    secret_key: SecretRef
