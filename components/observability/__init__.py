"""Observability: who scrapes, when an alert fires, what there is to see."""

from components.observability.component import Observability, ObservabilityEndpoints
from components.observability.spec import ObservabilitySpec

__all__ = ["Observability", "ObservabilityEndpoints", "ObservabilitySpec"]
