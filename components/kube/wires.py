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
class KeyValueStore:
    """A Redis-compatible store."""

    endpoint: Endpoint
    password: SecretRef


@dataclass(frozen=True)
class Bucket:
    """A bucket of an S3-compatible store; the keys are those of an access key pair."""

    endpoint: Endpoint
    name: "pulumi.Input[str]"
    access_key: SecretRef
    secret_key: SecretRef
