"""Data stores: PostgreSQL, a Redis-compatible store and an S3-compatible object store, embedded or external."""

from components.stores.component import DataStores, StoresEndpoints
from components.stores.spec import StoresImages, StoresSpec

__all__ = ["DataStores", "StoresEndpoints", "StoresImages", "StoresSpec"]
