"""GPUs: how much those that the platform's pods hold are used, and how well they are.

Names: NVIDIA/dcgm-exporter, etc/default-counters.csv; labels: its pod mapping, with `namespace` and `pod` of the pod
that holds the GPU. A GPU that no pod holds has neither and is not the platform's.
"""

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from components.observability.alerts.rule import Watched
from components.observability.dashboards.panel import board, choice, lines, percent, query, red_above, red_below, values
from components.observability.dashboards.promql import mean, total

_POD = 'pod=~"$pod"'
_ONE = "Hostname, gpu, modelName"
_NAME = "{{Hostname}} GPU {{gpu}} {{modelName}}"


def dashboard(watched: Watched) -> Dashboard:
    """Whether GPUs that are paid for work, and whether they are near a limit."""
    return board(
        "gpu",
        "ML Platform - GPUs",
        "Use, memory, temperature and power of the GPUs that the platform's pods hold, by node and by pod.",
        ("Now", _now(watched)),
        ("By pod", _by(watched, "pod", "{{pod}}")),
        ("By GPU of a node", [*_by(watched, _ONE, _NAME), *_health(watched)]),
        choices=[choice("pod", "Pod", watched.series("DCGM_FI_DEV_GPU_UTIL"))],
    )


def _now(watched: Watched) -> list[Panel]:
    series, bounds = watched.series, watched.thresholds
    used = series("DCGM_FI_DEV_GPU_UTIL")
    return [
        values(
            "GPUs held",
            "short",
            "GPUs that a pod of the platform has now. More than work needs is bad: they are paid for.",
            query(f"count({used}) or vector(0)", "GPUs"),
        ),
        values(
            "GPUs idle",
            "short",
            f"GPUs held and used less than {percent(bounds.gpu_idle_ratio)}. 0 is good; some between two jobs are.",
            query(f"count({used} < {100 * bounds.gpu_idle_ratio:g}) or vector(0)", "idle"),
            thresholds=red_above(1),
        ),
        values(
            "Used",
            "percent",
            "Mean use of all GPUs held. High is good; low with a long queue of tasks is bad: something else is slow.",
            query(mean(used), "mean"),
            thresholds=red_below(100 * bounds.gpu_idle_ratio),
        ),
        values(
            "Hottest",
            "celsius",
            f"From {bounds.gpu_temperature_celsius:g} °C on a GPU slows down, which is bad.",
            query(f"max({series('DCGM_FI_DEV_GPU_TEMP')})", "hottest"),
            thresholds=red_above(bounds.gpu_temperature_celsius),
        ),
    ]


def _by(watched: Watched, by: str, legend: str) -> list[Panel]:
    used, free = (total(watched.series(f"DCGM_FI_DEV_FB_{of}", _POD), by) for of in ("USED", "FREE"))
    hottest = f"max by ({by}) ({watched.series('DCGM_FI_DEV_GPU_TEMP', _POD)})"
    return [
        lines(
            "Used",
            "percent",
            "Part of the time in which the GPU did something. Near 0 while a pod holds it is bad.",
            query(mean(watched.series("DCGM_FI_DEV_GPU_UTIL", _POD), by), legend),
        ),
        lines(
            "Memory used",
            "percentunit",
            "Memory of the GPU. At 100 % the next allocation fails, which is bad; far below, two jobs could share it.",
            query(f"{used} / ({used} + {free})", legend),
            thresholds=red_above(0.95),
        ),
        lines(
            "Temperature",
            "celsius",
            "The hottest GPU. Over the line it slows down, which is bad: look at the node's cooling.",
            query(hottest, legend),
            thresholds=red_above(watched.thresholds.gpu_temperature_celsius),
        ),
        lines(
            "Power",
            "watt",
            "What the GPUs draw. High with little use is bad: a process holds the GPU awake.",
            query(total(watched.series("DCGM_FI_DEV_POWER_USAGE", _POD), by), legend),
        ),
    ]


def _health(watched: Watched) -> list[Panel]:
    return [
        lines(
            "Last error (XID)",
            "short",
            "NVIDIA's number of the last error; 0 is good. 31 and 43 are the program's own; 48, 63, 64, 79, 94 and 95 "
            "are the hardware's: drain the node.",
            query(f"max by ({_ONE}) ({watched.series('DCGM_FI_DEV_XID_ERRORS', _POD)})", _NAME),
            thresholds=red_above(1),
            width=24,
        ),
    ]
