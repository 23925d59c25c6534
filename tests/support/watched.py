"""Platforms to make rules and dashboards of."""

from components.observability.alerts.rule import Bounds, Watched
from components.observability.spec import Thresholds

WHOLE = Watched(
    "data-platform",
    Thresholds(),
    mesh=True,
    gateway="kong",
    control_plane="istio-system",
    certificates=("ml-platform",),
    worker_groups={"cpu": Bounds(2, 5), "gpu": Bounds(0, 2)},
    gpus=True,
    autoscalers=("mlflow", "feast-server"),
    stores=("postgres", "redis", "object-store"),
    backups=("mlflow-backup",),
)
"""One that has everything."""

SMALL = Watched("ml", Thresholds(), operator=False, materialization=False)
"""One that has nothing that can be left out."""
