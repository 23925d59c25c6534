"""All of the platform on one screen: parts, alerts, promises, traffic, stores and quota.

Names and labels: Prometheus' own `up` and `ALERTS`; Ray 2.60.0 as in its dashboard; postgres_exporter 0.19.1,
collector/pg_stat_database.go and exporter/pg_setting.go; redis_exporter 1.82.0, exporter/exporter.go; kubelet,
kubelet_volume_stats_*; Kong's plugin prometheus (https://developer.konghq.com/plugins/prometheus/).
"""

from dataclasses import replace

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from components.observability.alerts.rule import Watched
from components.observability.dashboards.cost import quota_taken
from components.observability.dashboards.panel import board, lines, percent, query, red_above, red_below, rows, values
from components.observability.dashboards.promql import budget_left, mean, rate, total
from components.observability.dashboards.served import Served, feast, mlflow, ray_serve

_FIRING = 'ALERTS{alertstate="firing", part_of="ml-platform"'
"""Alerts have the labels of what they found, and the namespace only where it was among them."""


def dashboard(watched: Watched) -> Dashboard:
    """Whether users get what they are promised; if not, which part is to blame."""
    return board(
        "overview",
        "ML Platform - Ray & Feast",
        "Health of all parts, alerts, service level objectives, traffic, stores and quota of the platform.",
        ("Health", [*_parts(watched), *_alerts()]),
        ("Objectives: errors that are left of what 30 days allow", _objectives(watched)),
        ("Traffic", _traffic(watched)),
        ("Stores and volumes", _stores(watched)),
        ("Cluster and quota", _cluster(watched)),
    )


def _parts(watched: Watched) -> list[Panel]:
    elsewhere = {"istiod": watched.control_plane, "gateway": watched.gateway}
    others = [
        query(mean(replace(watched, namespace=namespace).series("up", f'job="{job}"'), "job"), "{{job}}")
        for job, namespace in elsewhere.items()
        if namespace
    ]
    return [
        values(
            "Parts that answer",
            "percentunit",
            "Pods of each part that Prometheus reaches, among those that are there. 100 % is good. A part that is "
            "missing has no pod, which is bad unless it has been scaled to 0.",
            query(mean(watched.series("up"), "job"), "{{job}}"),
            *others,
            thresholds=red_below(1),
            width=16,
        )
    ]


def _alerts() -> list[Panel]:
    by_severity = [
        values(
            f"Alerts: {severity}",
            "short",
            f"Alerts of the platform that fire. {meaning} 0 is good.",
            query(f'count({_FIRING}, severity="{severity}"}}) or vector(0)', severity),
            thresholds=red_above(1),
            width=4,
        )
        for severity, meaning in (
            ("critical", "Users notice: someone is to look now."),
            ("warning", "Someone is to look within working hours."),
        )
    ]
    return [
        *by_severity,
        rows(
            "Alerts that fire",
            "short",
            "Which, and what of. Each has a page in docs/runbooks. No row is good.",
            query(f"max by (alertname, severity, namespace, pod, job) ({_FIRING}}})", "firing"),
            width=24,
        ),
    ]


def _promised(watched: Watched) -> dict[str, tuple[Served, float]]:
    """Each part that users ask, with how many of its requests are to succeed."""
    promised = watched.objectives
    return {
        "Ray Serve": (ray_serve(watched), promised.serve.availability),
        "Feast": (feast(watched), promised.features.availability),
        "MLflow": (mlflow(watched), promised.tracking.availability),
    }


def _objectives(watched: Watched) -> list[Panel]:
    return [
        values(
            f"{part}: budget left",
            "percentunit",
            f"{percent(availability)} of requests are to succeed. 100 % is good: nothing has failed; under 0 % the "
            "promise is broken, and changes are to wait. Without samples of 30 days, of those that there are.",
            query(budget_left(served.failed, served.requests, availability), part),
            thresholds=red_below(0),
            width=8,
        )
        for part, (served, availability) in _promised(watched).items()
    ]


def _traffic(watched: Watched) -> list[Panel]:
    parts = {part: served for part, (served, _) in _promised(watched).items()}
    found = [
        lines(
            "Requests",
            "reqps",
            "Requests for each second. A sudden end is bad: nobody reaches the part.",
            *(query(served.rate(), part) for part, served in parts.items()),
            width=8,
        ),
        lines(
            "Failed requests",
            "percentunit",
            "Failed among all. More than an objective allows (one less its availability) for hours is bad.",
            *(query(served.failures(), part) for part, served in parts.items()),
            width=8,
        ),
        lines(
            "Latency, 95th percentile",
            "s",
            "Nineteen of twenty requests take less. A jump is bad; each part's own dashboard has the bound.",
            *(query(served.latency(), part) for part, served in parts.items()),
            width=8,
        ),
    ]
    if watched.gateway:
        requests = replace(watched, namespace=watched.gateway).series("kong_http_requests_total")
        found.append(
            lines(
                "Requests from outside, by response code",
                "reqps",
                "Answers of the gateway, of all its routes. 5xx are bad; 401 and 429 are clients without a key or with "
                "too many requests. Kong counts them with `status_code_metrics`.",
                query(rate(requests, "code"), "{{code}}"),
                width=24,
            )
        )
    return found


def _stores(watched: Watched) -> list[Panel]:
    series, bounds = watched.series, watched.thresholds
    found = []
    if "postgres" in watched.stores:
        taken, most = total(series("pg_stat_database_numbackends")), f"max({series('pg_settings_max_connections')})"
        found.append(
            values(
                "PostgreSQL: connections",
                "percentunit",
                f"Of those that it allows. From {percent(bounds.store_connections_ratio)} on it is bad: the next are "
                "refused.",
                query(f"{taken} / {most}", "taken"),
                thresholds=red_above(bounds.store_connections_ratio),
            )
        )
    if "redis" in watched.stores:
        taken, most = series("redis_memory_used_bytes"), series("redis_memory_max_bytes")
        found.append(
            values(
                "Redis: memory",
                "percentunit",
                f"Of what it may use. From {percent(bounds.store_memory_ratio)} on it is bad: it never evicts, so "
                "writes fail.",
                query(f"max({taken} / ({most} > 0))", "taken"),
                thresholds=red_above(bounds.store_memory_ratio),
            )
        )
    taken, most = series("kubelet_volume_stats_used_bytes"), series("kubelet_volume_stats_capacity_bytes")
    volumes = lines(
        "Volumes",
        "percentunit",
        f"What is used of each. From {percent(bounds.volume_ratio)} on it is bad: a full one stops its store.",
        query(f"max by (persistentvolumeclaim) ({taken} / {most})", "{{persistentvolumeclaim}}"),
        thresholds=red_above(bounds.volume_ratio),
    )
    return [*found, volumes]


def _cluster(watched: Watched) -> list[Panel]:
    series = watched.series
    found = [
        quota_taken(watched),
        lines(
            "Ray nodes",
            "short",
            "Nodes that work, have nothing to do, or are asked for. Pending for long is bad.",
            query(total(series("ray_cluster_active_nodes")), "active"),
            query(total(series("ray_cluster_idle_nodes")), "idle"),
            query(total(series("ray_cluster_pending_nodes")), "pending"),
        ),
    ]
    if watched.gpus:
        found.append(
            lines(
                "GPUs: use",
                "percent",
                "Mean use of the GPUs that the platform's pods hold. Low for long is bad: they are paid for.",
                query(mean(series("DCGM_FI_DEV_GPU_UTIL")), "mean"),
                width=24,
            )
        )
    return found
