"""Feast: online features over HTTP and gRPC, a registry, and what fills both."""

from components.feast.component import FeastEndpoints, FeastStore
from components.feast.spec import FeastImages, FeastSpec

__all__ = ["FeastEndpoints", "FeastImages", "FeastSpec", "FeastStore"]
