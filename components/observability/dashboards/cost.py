"""Cost and quota: what is set aside, what of it is used, and by whom.

Names and labels: kube-state-metrics, docs/metrics/policy/resourcequota-metrics.md and workload/pod-metrics.md;
cAdvisor (kubelet), container_*; NVIDIA/dcgm-exporter. There are no prices here: hours of a core, of a GiB and of a GPU
are what a bill multiplies.
"""

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from components.observability.alerts.rule import Watched
from components.observability.dashboards.panel import board, lines, percent, query, red_above, rows, values
from components.observability.dashboards.promql import rate, total

_HASH = "bcdfghjklmnpqrstvwxz2456789"
"""Letters of a ReplicaSet's hash (k8s.io/apimachinery, util/rand): names without vowels are not words."""

_STEP, _PER_HOUR = "5m", 12
"""How often a day is looked at, and how many times that is in an hour."""

_NAMED = 'container!=""'


def dashboard(watched: Watched) -> Dashboard:
    """What the platform takes of the cluster, and what of it for nothing."""
    return board(
        "cost",
        "ML Platform - Cost and quota",
        "The namespace's quota, requests against use, and hours of CPU, memory and GPUs by workload.",
        ("Quota", [quota_taken(watched), _quotas(watched)]),
        ("Requests against use", _against(watched)),
        ("The last 24 hours", _hours(watched)),
        ("GPUs", _gpus(watched) if watched.gpus else []),
    )


def quota_taken(watched: Watched) -> Panel:
    """What part of its quota the namespace has taken, by resource."""
    bound = watched.thresholds.quota_ratio
    return lines(
        "Quota taken",
        "percentunit",
        f"What is set aside of what the namespace may. From {percent(bound)} on it is bad: the next workers or an "
        "update are refused.",
        query(f"{_quota(watched, 'used')} / ({_quota(watched, 'hard')} > 0)", "{{resource}}"),
        thresholds=red_above(bound),
    )


def _quotas(watched: Watched) -> Panel:
    return rows(
        "Quota by resource",
        "short",
        "Taken and allowed, in cores, bytes and pieces. Taken near allowed is bad; far below for weeks, the quota can "
        "be smaller.",
        query(_quota(watched, "used"), "taken"),
        query(_quota(watched, "hard"), "allowed"),
    )


def _quota(watched: Watched, kind: str) -> str:
    taken_or_allowed = watched.series("kube_resourcequota", f'type="{kind}"')
    return f"max by (resource) ({taken_or_allowed})"


def _against(watched: Watched) -> list[Panel]:
    series = watched.series
    used = {
        "cpu": rate(series("container_cpu_usage_seconds_total", _NAMED)),
        "memory": total(series("container_memory_working_set_bytes", _NAMED)),
    }
    units = {"cpu": "short", "memory": "bytes"}
    found = [
        lines(
            f"{'CPU' if resource == 'cpu' else 'Memory'}: asked for and used",
            unit,
            "What running pods have set aside, and what they use. Use far below the requests is bad: others could have "
            "it.",
            query(total(_requested(watched, resource)), "asked for"),
            query(used[resource], "used"),
        )
        for resource, unit in units.items()
    ]
    return [
        *found,
        rows(
            "CPU by workload: asked for and used",
            "short",
            "Cores. A workload that asks for much more than it uses is bad: it makes a place dear that stays empty.",
            query(_by_workload(watched, _requested(watched, "cpu")), "asked for"),
            query(
                _by_workload(watched, f"rate({series('container_cpu_usage_seconds_total', _NAMED)}[1h])"),
                "used (1 hour)",
            ),
        ),
        rows(
            "Memory by workload: asked for and used",
            "bytes",
            "Memory. A workload that asks for much more than it uses is bad: it makes a place dear that stays empty.",
            query(_by_workload(watched, _requested(watched, "memory")), "asked for"),
            query(_by_workload(watched, series("container_memory_working_set_bytes", _NAMED)), "used"),
        ),
    ]


def _requested(watched: Watched, resource: str) -> str:
    """Requests of containers whose pod has not ended: those of ended ones are still told."""
    asked = watched.series("kube_pod_container_resource_requests", f'resource="{resource}"')
    alive = watched.series("kube_pod_status_phase", 'phase=~"Pending|Running"')
    return f"{asked} * on (namespace, pod) group_left () max by (namespace, pod) ({alive})"


def _by_workload(watched: Watched, expr: str) -> str:
    """Sums by what the pods belong to: a Deployment without the hash of its ReplicaSet, a CronJob without the time."""
    owner = f"max by (namespace, pod, owner_name) (max_over_time({watched.series('kube_pod_owner')}[1d]))"
    pattern = f"(.*?)(-[{_HASH}]{{8,10}}|-[0-9]{{8}})?"
    workload = f'label_replace({owner}, "workload", "$1", "owner_name", "{pattern}")'
    return f"sum by (workload) ({expr} * on (namespace, pod) group_left (workload) {workload})"


def _hours(watched: Watched) -> list[Panel]:
    series = watched.series
    cores = f"increase({series('container_cpu_usage_seconds_total', _NAMED)}[1d]) / 3600"
    memory = series("container_memory_working_set_bytes", _NAMED)
    gigabytes = f"sum_over_time({total(memory, 'namespace, pod')}[1d:{_STEP}]) / {_PER_HOUR} / 2^30"
    found = [
        rows(
            "CPU hours by workload",
            "h",
            "Hours of one core in use. What rises from week to week without more work is bad.",
            query(_by_workload(watched, cores), "hours"),
        ),
        rows(
            "Memory hours by workload",
            "short",
            "Hours of one GiB in use. What rises from week to week without more work is bad.",
            query(_by_workload(watched, gigabytes), "GiB hours"),
        ),
    ]
    if watched.gpus:
        held = total(series("kube_pod_container_resource_requests", 'resource="nvidia_com_gpu"'), "namespace, pod")
        hours = f"sum_over_time({held}[1d:{_STEP}]) / {_PER_HOUR}"
        found.append(
            rows(
                "GPU hours by workload",
                "h",
                "Hours of one GPU that was set aside, used or not. Many with little use are bad: see below.",
                query(_by_workload(watched, hours), "hours"),
            )
        )
    return found


def _gpus(watched: Watched) -> list[Panel]:
    idle = watched.thresholds.gpu_idle_ratio
    used = watched.series("DCGM_FI_DEV_GPU_UTIL")
    waste = f"sum by (pod) (sum_over_time(({used} < bool {100 * idle:g})[1d:{_STEP}])) / {_PER_HOUR}"
    return [
        values(
            "Idle GPU hours, last 24 hours",
            "h",
            f"Hours that GPUs were held and used less than {percent(idle)}: times the price of an hour, the cost of "
            "nothing. 0 is good.",
            query(f"sum({waste})", "hours"),
            thresholds=red_above(1),
        ),
        values(
            "Idle among held, last 24 hours",
            "percentunit",
            "Part of the GPU hours in which the GPU was idle. From a half on it is bad: let the group go to 0 workers.",
            query(f"avg(avg_over_time(({used} < bool {100 * idle:g})[1d:{_STEP}]))", "idle"),
            thresholds=red_above(0.5),
        ),
        rows(
            "Idle GPU hours by pod, last 24 hours",
            "h",
            "Who held them. A pod that is here each day is bad: it needs no GPU, or none of its own.",
            query(waste, "hours"),
        ),
    ]
