"""Grafana's dashboards; one module for each."""

from components.observability.alerts.rule import Watched
from components.observability.spec import DashboardsSpec


def dashboards(_watched: Watched, _spec: DashboardsSpec) -> dict[str, str]:
    """All dashboards, as JSON by name."""
    return {}
