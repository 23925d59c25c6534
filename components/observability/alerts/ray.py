"""Ray's cluster: head, workers, operator, demand, memory. What it serves is in `serve.py`.

Names and labels are those of Ray 2.60 (`ray/dashboard/modules/reporter`, `src/ray/raylet`) and of KubeRay 1.6
(`ray-operator/controllers/ray/metrics`). `ray_cluster_failed_nodes` counts scale-downs too, so no alert reads it.
"""

from collections.abc import Iterator

from components.observability.alerts.rule import Alert, Bounds, Group, Rule, Watched, grown


def group(watched: Watched) -> Group:
    """Rules about the cluster."""
    return Group("ray", (*_cluster(watched), *_workers(watched), *_demand(watched), *_memory(watched)))


def _cluster(watched: Watched) -> Iterator[Rule]:
    yield Alert(
        name="RayHeadDown",
        expr=watched.down("ray-head"),
        lasting="2m",
        severity="critical",
        summary="Ray's head in {{ $labels.namespace }} does not answer",
        description="No job starts, no worker joins and Serve takes no new request until the head is back.",
    )
    unready = watched.series("kuberay_cluster_condition_provisioned", 'condition="false"')
    yield Alert(
        name="RayClusterNotProvisioned",
        expr=f"max by (namespace, name) ({unready}) == 1",
        lasting="30m",
        severity="warning",
        summary="RayCluster {{ $labels.name }} in {{ $labels.namespace }} has not got all its pods",
        description="The operator has not seen all pods of the cluster ready since it was made.",
    )
    if watched.operator:
        yield Alert(
            name="RayOperatorDown",
            expr=watched.down("kuberay-operator"),
            lasting="10m",
            severity="warning",
            summary="KubeRay's operator in {{ $labels.namespace }} does not answer",
            description="Ray goes on, but lost pods are not replaced, and no worker is added or removed.",
        )


def _workers(watched: Watched) -> Iterator[Rule]:
    fewest = {name: bounds for name, bounds in watched.worker_groups.items() if bounds.least}
    if fewest:
        yield Alert(
            name="RayWorkersMissing",
            expr="\nor\n".join(_missing(watched, name, bounds) for name, bounds in fewest.items()),
            lasting="10m",
            severity="warning",
            summary="Ray's worker group {{ $labels.node_type }} in {{ $labels.namespace }} is below its minimum",
            description="Only {{ $value }} of its workers are in the cluster, so work that fits no other group waits.",
        )
    yield Alert(
        name="RayNodesPending",
        expr=f"sum by (namespace, node_type) ({watched.series('ray_cluster_pending_nodes')}) > 0",
        lasting="20m",
        severity="warning",
        summary="Workers of {{ $labels.node_type }} in {{ $labels.namespace }} do not come",
        description="Ray has asked for {{ $value }} workers that are not there after 20 minutes; work waits for them.",
    )
    if watched.worker_groups:
        tasks = watched.series("ray_tasks", 'State="PENDING_NODE_ASSIGNMENT"')
        waiting = f"(sum ({tasks}) > 0 or sum ({_pending_actors(watched)}) > 0)"
        full = "\nor\n".join(
            f"{_nodes(watched, name)} >= {bounds.most}" for name, bounds in watched.worker_groups.items()
        )
        yield Alert(
            name="RayWorkerGroupAtMaximum",
            expr=f"({full})\nand on () {waiting}",
            lasting="30m",
            severity="warning",
            summary="Ray's worker group {{ $labels.node_type }} in {{ $labels.namespace }} is at its maximum",
            description="All its {{ $value }} workers are there and still tasks or actors wait.",
        )


def _nodes(watched: Watched, group_name: str) -> str:
    """Workers of a group that are in the cluster: busy ones and, which the autoscaler counts apart, idle ones."""
    of_group = f'node_type="{group_name}"'
    either = f"{watched.series('ray_cluster_active_nodes', of_group)} or {_idle(watched, of_group)}"
    return f"sum by (namespace, node_type) ({either})"


def _idle(watched: Watched, of_group: str) -> str:
    # Another label keeps `or` from taking one of the two for the other.
    return f'label_replace({watched.series("ray_cluster_idle_nodes", of_group)}, "idle", "true", "", "")'


def _missing(watched: Watched, name: str, bounds: Bounds) -> str:
    """Fewer workers than the least, none included; only while the head reports at all."""
    head = watched.series("up", 'job="ray-head"')
    none = f'label_replace({head} == 1, "node_type", "{name}", "", "") * 0'
    counted = _nodes(watched, name)
    return f"({counted} or max by (namespace, node_type) ({none})) < {bounds.least}"


def _demand(watched: Watched) -> Iterator[Rule]:
    yield Alert(
        name="RayActorsPending",
        expr=f"sum by (namespace, Name) ({_pending_actors(watched)}) > 0",
        lasting="15m",
        severity="warning",
        summary="Actors {{ $labels.Name }} in {{ $labels.namespace }} wait for a place",
        description="{{ $value }} actors have found no room for 15 minutes; replicas of Serve are actors too.",
    )
    yield Alert(
        name="RayTasksInfeasible",
        expr=f"max by (namespace, pod) ({watched.series('ray_internal_num_infeasible_scheduling_classes')}) > 0",
        lasting="15m",
        severity="warning",
        summary="Work that {{ $labels.pod }} in {{ $labels.namespace }} asks for fits no worker",
        description="{{ $value }} kinds of tasks or actors ask for more than any worker has; they wait for ever.",
    )


def _pending_actors(watched: Watched) -> str:
    return watched.series("ray_actors", 'Source="gcs", State="PENDING_CREATION"')


def _memory(watched: Watched) -> Iterator[Rule]:
    stored = watched.series("ray_object_store_memory", 'Location=~"MMAP_SHM|MMAP_DISK"')
    capacity = watched.series("ray_resources", 'Name="object_store_memory"')
    yield Alert(
        name="RayObjectStoreFull",
        expr=f"sum by (namespace, pod) ({stored}) / (sum by (namespace, pod) ({capacity}) > 0) > 0.95",
        lasting="15m",
        severity="warning",
        summary="The object store of {{ $labels.pod }} in {{ $labels.namespace }} is full",
        description="It is {{ $value | humanizePercentage }} full; objects go to disk, and tasks that make them wait.",
    )
    spilled = watched.series("ray_object_store_memory", 'Location="SPILLED"')
    yield Alert(
        name="RayObjectsSpilled",
        expr=f"sum by (namespace, pod) ({spilled}) > 0",
        lasting="30m",
        severity="info",
        summary="{{ $labels.pod }} in {{ $labels.namespace }} keeps objects on disk",
        description="{{ $value | humanize1024 }}B of objects had no room in memory for half an hour; work is slower.",
    )
    killed = watched.series("ray_memory_manager_worker_eviction_total")
    yield Alert(
        name="RayWorkersOutOfMemory",
        expr=f"sum by (namespace, pod, Name) ({grown(killed, '15m')}) > 0",
        severity="warning",
        summary="Ray killed {{ $labels.Name }} on {{ $labels.pod }} in {{ $labels.namespace }} for its memory",
        description="{{ $value | humanize }} times within 15 minutes; Ray tries it again, as long as it has retries.",
    )
