"""GPUs that pods of the platform hold.

Names are those of the counters that dcgm-exporter has by default (`etc/default-counters.csv`); with honorLabels,
`pod` and `namespace` are those of the pod that uses the GPU.
"""

from collections.abc import Iterator

from components.observability.alerts.rule import Alert, Group, Rule, Watched

_WHERE = "namespace, pod, Hostname, gpu, modelName"


def group(watched: Watched) -> Group:
    """Rules about GPUs."""
    return Group("gpu", (*_use(watched), *_health(watched)))


def _use(watched: Watched) -> Iterator[Rule]:
    limits = watched.thresholds
    used = f"avg by ({_WHERE}) (avg_over_time({watched.series('DCGM_FI_DEV_GPU_UTIL')}[30m])) / 100"
    yield Alert(
        name="GPUIdle",
        expr=f"{used} < {limits.gpu_idle_ratio:g}",
        lasting="1h",
        severity="warning",
        summary="{{ $labels.pod }} in {{ $labels.namespace }} idles GPU {{ $labels.gpu }} of {{ $labels.Hostname }}",
        description="It was used {{ $value | humanizePercentage }} of the last half hour; nobody else can have it.",
    )
    busy = watched.series("container_cpu_usage_seconds_total", 'container!=""')
    allowed = watched.series("kube_pod_container_resource_limits", 'resource="cpu"')
    processors = f"sum by (namespace, pod) (rate({busy}[5m])) / (sum by (namespace, pod) ({allowed}) > 0) > 0.9"
    slow = f"{used} >= {limits.gpu_idle_ratio:g} < {limits.gpu_starved_ratio:g}"
    yield Alert(
        name="GPUStarved",
        expr=f"{slow}\nand on (namespace, pod) {processors}",
        lasting="30m",
        severity="info",
        summary="GPU {{ $labels.gpu }} of {{ $labels.Hostname }} waits: {{ $labels.pod }} in {{ $labels.namespace }}",
        description="It is used {{ $value | humanizePercentage }} only, while the pod's processors are at their limit.",
    )


def _health(watched: Watched) -> Iterator[Rule]:
    heat = watched.series("DCGM_FI_DEV_GPU_TEMP")
    yield Alert(
        name="GPUHot",
        expr=f"max by ({_WHERE}) ({heat}) > {watched.thresholds.gpu_temperature_celsius:g}",
        lasting="5m",
        severity="warning",
        summary="GPU {{ $labels.gpu }} of {{ $labels.Hostname }} is hot ({{ $labels.pod }} in {{ $labels.namespace }})",
        description="It has {{ $value }} degrees Celsius and slows down; work on it takes longer.",
    )
    # The value is the number of the last error and stays; the pod that it killed has gone from the labels by then.
    last = f"max by (namespace, Hostname, gpu, modelName) ({watched.series('DCGM_FI_DEV_XID_ERRORS')})"
    yield Alert(
        name="GPUError",
        expr=f"max_over_time({last}[15m:30s]) > 0 and changes({last}[15m:30s]) > 0",
        severity="critical",
        summary="GPU {{ $labels.gpu }} of {{ $labels.Hostname }}, used in {{ $labels.namespace }}, has an error",
        description="The driver reports XID {{ $value }}; what ran on it has failed or may be wrong.",
    )
