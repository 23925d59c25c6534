"""Grafana's dashboards; one module for each."""

from json import dumps

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from components.observability.alerts.rule import Watched
from components.observability.dashboards import cost, feast, gpu, mesh, mlflow, overview, ray
from components.observability.dashboards.panel import from_source
from components.observability.spec import DashboardsSpec


def dashboards(watched: Watched, spec: DashboardsSpec) -> dict[str, str]:
    """Name of each dashboard to its JSON, the same for the same platform; without those of what is not there."""
    modules = {
        "overview": overview,
        "ray": ray,
        "feast": feast,
        "mlflow": mlflow,
        "cost": cost,
        **({"mesh": mesh} if watched.mesh else {}),
        **({"gpu": gpu} if watched.gpus else {}),
    }
    made = {name: from_source(module.dashboard(watched), spec.found_by.datasource) for name, module in modules.items()}
    return {name: dumps(made[name], cls=JSONEncoder, indent=1, sort_keys=True) for name in sorted(made)}
