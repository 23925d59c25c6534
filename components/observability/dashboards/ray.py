"""Ray: nodes, work, resources and what Ray Serve answers.

Names and labels: Ray 2.60.0, dashboard/modules/reporter/reporter_agent.py (nodes), serve/_private/*.py (Serve) and
dashboard/modules/metrics/dashboards (tasks, actors, resources, objects); KubeRay 1.6.2, controllers/ray/metrics.
Not here: a node's disk, which Ray does not measure within Kubernetes (reporter_agent.py, `_get_disk_usage`).
"""

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from components.observability.alerts.rule import Watched
from components.observability.dashboards.panel import board, choice, lines, query, red_above, red_below, values
from components.observability.dashboards.promql import growth, mean, total
from components.observability.dashboards.ray_serve import models, requests

_POD = 'pod=~"$pod"'
_NOT_ENDED = 'State!~"FINISHED|FAILED"'


def dashboard(watched: Watched) -> Dashboard:
    """Whether Ray is well, what it does and where it is short of something."""
    return board(
        "ray",
        "ML Platform - Ray",
        "Nodes, tasks and actors, resources and Ray Serve of the platform's Ray cluster.",
        ("Cluster", [*_health(watched), *_nodes(watched)]),
        ("Tasks and actors", _work(watched)),
        ("Resources", [*_handed_out(watched), *_used(watched)]),
        ("Ray Serve: requests as clients see them", requests(watched)),
        ("Ray Serve: deployments (models)", models(watched)),
        choices=[choice("pod", "Pod", watched.series("ray_node_cpu_count"))],
    )


def _health(watched: Watched) -> list[Panel]:
    series = watched.series
    return [
        values(
            "Head answers",
            "percentunit",
            "Whether Prometheus reaches the head. 100 % is good; without the head no work is started and, without "
            "fault tolerance, what runs is lost.",
            query(mean(series("up", 'job="ray-head"')), "head"),
            thresholds=red_below(1),
        ),
        values(
            "Workers answer",
            "percentunit",
            "Workers that Prometheus reaches among those that are there. Under 100 % for longer than a start takes "
            "is bad.",
            query(mean(series("up", 'job="ray-worker"')), "workers"),
            thresholds=red_below(1),
        ),
        values(
            "Cluster provisioned",
            "short",
            "1 once all pods of the RayCluster have been ready, as KubeRay says; 0 is bad when it stays.",
            query(series("kuberay_cluster_condition_provisioned", 'condition="true"'), "{{name}}"),
            thresholds=red_below(1),
        ),
        values(
            "Workers that failed",
            "short",
            "Worker processes that ended without being told to, in the last hour. 0 is good; many are bad: look at "
            "what was killed for memory.",
            query(growth(series("ray_node_manager_unexpected_worker_failure_total"), window="1h"), "processes"),
        ),
    ]


def _nodes(watched: Watched) -> list[Panel]:
    series = watched.series
    most = ", ".join(f"{name} {group.most}" for name, group in watched.worker_groups.items()) or "there is no group"
    return [
        lines(
            "Nodes by group",
            "short",
            "Nodes that work (active), that have nothing to do (idle) and that are asked for (pending). Pending for "
            f"long is bad: the cluster has no room, or the group is at its most workers ({most}).",
            query(total(series("ray_cluster_active_nodes"), "node_type"), "{{node_type}} active"),
            query(total(series("ray_cluster_idle_nodes"), "node_type"), "{{node_type}} idle"),
            query(total(series("ray_cluster_pending_nodes"), "node_type"), "{{node_type}} pending"),
        ),
        lines(
            "Nodes that left, by group",
            "short",
            "Nodes that Ray has lost, and those that it removed since it needed fewer: it counts both. Bad only where "
            "nothing was scaled down.",
            query(total(series("ray_cluster_failed_nodes"), "node_type"), "{{node_type}}"),
        ),
    ]


def _work(watched: Watched) -> list[Panel]:
    series = watched.series
    return [
        lines(
            "Tasks by state",
            "short",
            "Tasks that have not ended. Many that wait for a node (PENDING_NODE_ASSIGNMENT) while no node is pending "
            "is bad: they ask for what no group has.",
            query(f"clamp_min({total(series('ray_tasks', _NOT_ENDED), 'State')}, 0)", "{{State}}"),
        ),
        lines(
            "Actors by state",
            "short",
            "Actors of all jobs and of Ray Serve. PENDING_CREATION or RESTARTING for minutes is bad.",
            query(total(series("ray_actors", 'Source="gcs", State!="DEAD"'), "State"), "{{State}}"),
        ),
        lines(
            "Killed for memory",
            "short",
            "Tasks and actors that Ray killed since a node ran out of memory, in 5 minutes. Anything but 0 is bad: "
            "they ask for too little memory, or the group's workers have too little.",
            query(growth(series("ray_memory_manager_worker_eviction_total"), "Name"), "{{Name}}"),
            thresholds=red_above(1),
        ),
        lines(
            "Jobs",
            "short",
            "Jobs that run, and that ended in the last hour, Ray Serve's own and each driver among them. One that runs "
            "for ever without tasks is bad: it keeps what it holds.",
            query(total(series("ray_running_jobs")), "running"),
            query(growth(series("ray_finished_jobs_total"), window="1h"), "ended, last hour"),
        ),
    ]


def _handed_out(watched: Watched) -> list[Panel]:
    names = {"CPU": "short", "memory": "bytes", **({"GPU": "short"} if watched.gpus else {})}
    return [
        lines(
            f"{name[0].upper()}{name[1:]} handed out",
            unit,
            f"{name[0].upper()}{name[1:]} that tasks and actors have asked for, against all that Ray has. At the total "
            "for long is bad: work waits.",
            query(total(watched.series("ray_resources", f'Name="{name}", State="USED"')), "used"),
            query(total(watched.series("ray_resources", f'Name="{name}"')), "total"),
        )
        for name, unit in names.items()
    ]


def _used(watched: Watched) -> list[Panel]:
    series = watched.series
    stored = total(series("ray_object_store_memory", f'{_POD}, Location!="SPILLED"'), "pod")
    room = total(series("ray_resources", f'{_POD}, Name="object_store_memory"'), "pod")
    memory = total(series("ray_node_mem_used", _POD), "pod"), total(series("ray_node_mem_total", _POD), "pod")
    return [
        lines(
            "CPU used by node",
            "percentunit",
            "CPU that a node really uses, of what its container may. Low while all is handed out is bad: tasks ask for "
            "more than they use.",
            query(f"{mean(series('ray_node_cpu_utilization', _POD), 'pod')} / 100", "{{pod}}"),
        ),
        lines(
            "Memory used by node",
            "percentunit",
            "Memory that a node really uses, objects included, of its container's limit. From 95 % on it is bad: "
            "Ray kills tasks.",
            query(" / ".join(memory), "{{pod}}"),
            thresholds=red_above(0.95),
        ),
        lines(
            "Object store used",
            "percentunit",
            "Shared memory that objects take, of what there is. Near 100 % is bad: objects go to disk.",
            query(f"{stored} / {room}", "{{pod}}"),
            thresholds=red_above(0.9),
        ),
        lines(
            "Objects by place",
            "bytes",
            "Where objects are. SPILLED is on disk: little, and for a short time, is good.",
            query(total(series("ray_object_store_memory", _POD), "Location"), "{{Location}}"),
        ),
    ]
