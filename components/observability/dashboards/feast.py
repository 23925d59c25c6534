"""Feast: reads of features, how fresh they are and what fills the online store.

Names and labels: Feast 0.67.0, feast/metrics.py; kube-state-metrics, docs/metrics/workload/{cronjob,job}-metrics.md.
A materialization runs in a CronJob's pod, which nobody scrapes, so feast_materialization_* has no series: what is known
of it is the Job's state and the freshness that the server reads from the registry.
"""

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from components.observability.alerts.rule import Watched
from components.observability.dashboards import served
from components.observability.dashboards.panel import board, lines, percent, query, red_above, red_below, values
from components.observability.dashboards.promql import mean, quantile, rate, share

_FEATURES = "feast_online_features_status_total"
_TRUE = 'condition="true"'


def dashboard(watched: Watched) -> Dashboard:
    """Whether features are read, found and fresh."""
    return board(
        "feast",
        "ML Platform - Feast",
        "Reads of features from Feast's online server: how many, how fast, with which errors, and how old values are.",
        ("Now", _now(watched)),
        ("Requests", _requests(watched)),
        ("Features", [*_features(watched), *(_materialization(watched) if watched.materialization else [])]),
        ("Where the time goes", _parts(watched)),
    )


def _now(watched: Watched) -> list[Panel]:
    series, read, bounds = watched.series, served.feast(watched), watched.thresholds
    return [
        values(
            "Servers answer",
            "percentunit",
            "Feature servers that Prometheus reaches among those that are there. 100 % is good.",
            query(mean(series("up", 'job="feast-server"')), "servers"),
            thresholds=red_below(1),
        ),
        values(
            "Failed requests",
            "percentunit",
            f"Requests that ended in an error among all, bad ones of clients included. From "
            f"{percent(bounds.feature_error_ratio)} on it is bad.",
            query(read.failures(), "failed"),
            thresholds=red_above(bounds.feature_error_ratio),
        ),
        values(
            "Latency, 95th percentile",
            "s",
            f"Nineteen of twenty requests take less. From {bounds.feature_latency_seconds:g} s on it is bad.",
            query(read.latency(), "p95"),
            thresholds=red_above(bounds.feature_latency_seconds),
        ),
        values(
            "Oldest features",
            "s",
            f"Age of the feature view that was filled longest ago. From {bounds.feature_age_seconds:g} s on it is bad.",
            query(f"max({series('feast_feature_freshness_seconds')})", "age"),
            thresholds=red_above(bounds.feature_age_seconds),
        ),
    ]


def _requests(watched: Watched) -> list[Panel]:
    read, bounds = served.feast(watched), watched.thresholds
    return [
        lines(
            "Requests by endpoint and result",
            "reqps",
            "Requests for each second. Those with `error` are bad; none at all while models are served is bad too.",
            query(read.rate("endpoint, status"), "{{endpoint}} {{status}}"),
        ),
        lines(
            "Latency",
            "s",
            "Duration of a request within the server, all endpoints. The 95th percentile over the line is bad.",
            *(query(read.latency(of), f"p{of * 100:g}") for of in (0.5, 0.95, 0.99)),
            thresholds=red_above(bounds.feature_latency_seconds),
        ),
    ]


def _features(watched: Watched) -> list[Panel]:
    series, bounds = watched.series, watched.thresholds
    missing = series(_FEATURES, 'status="not_found"')
    return [
        lines(
            "Values not found",
            "percentunit",
            "Values of a feature view that were asked for and are not in the online store. From "
            f"{percent(bounds.feature_missing_ratio)} on it is bad: models work on empty values.",
            query(share(missing, series(_FEATURES), "feature_view"), "{{feature_view}}"),
            thresholds=red_above(bounds.feature_missing_ratio),
        ),
        lines(
            "Age of features",
            "s",
            "Time since the end of the span that a feature view was last filled for. It falls with each "
            "materialization; over the line it is bad.",
            query(
                f"max by (project, feature_view) ({series('feast_feature_freshness_seconds')})",
                "{{project}} {{feature_view}}",
            ),
            thresholds=red_above(bounds.feature_age_seconds),
        ),
    ]


def _materialization(watched: Watched) -> list[Panel]:
    series = watched.series
    cron, jobs = 'cronjob="feast-materialize"', 'job_name=~"feast-materialize-.*"'
    ended, begun = series("kube_job_status_completion_time", jobs), series("kube_job_status_start_time", jobs)
    return [
        values(
            "Last materialization that worked",
            "s",
            "Time since a run of the CronJob feast-materialize ended well. More than twice its interval is bad.",
            query(f"time() - max({series('kube_cronjob_status_last_successful_time', cron)})", "ago"),
            thresholds=red_above(watched.thresholds.feature_age_seconds),
            width=12,
        ),
        values(
            "Materializations that failed",
            "short",
            "Jobs of feast-materialize that failed and are still there (Kubernetes keeps a few). 0 is good.",
            query(f"sum({series('kube_job_failed', f'{jobs}, {_TRUE}')}) or vector(0)", "failed"),
            thresholds=red_above(1),
            width=12,
        ),
        lines(
            "Duration of materializations",
            "s",
            "From the start of a Job to its end. One that nears its interval is bad: the next one waits.",
            query(f"max by (job_name) ({ended} - {begun})", "{{job_name}}"),
            width=24,
        ),
    ]


def _parts(watched: Watched) -> list[Panel]:
    series = watched.series
    reads = series("feast_feature_server_online_store_read_duration_seconds_bucket")
    entities = series("feast_online_features_entity_count_bucket")
    return [
        lines(
            "Reads of the online store",
            "s",
            "Time that Redis takes of a request. Most of the latency here is bad news of Redis, not of Feast.",
            *(query(quantile(of, reads), f"p{of * 100:g}") for of in (0.5, 0.95)),
        ),
        lines(
            "Entities of a request",
            "short",
            "Rows that a client asks for at once. Many small requests are bad: one with many entities takes hardly "
            "longer.",
            *(query(quantile(of, entities), f"p{of * 100:g}") for of in (0.5, 0.95)),
        ),
        lines(
            "Feature values by feature view",
            "ops",
            "Values that were given out for each second, found or not. A view that nobody reads is filled for nothing, "
            "which is bad.",
            query(rate(series(_FEATURES), "feature_view"), "{{feature_view}}"),
        ),
        lines(
            "Processor and memory of a server process",
            "percent",
            "Shares of the node, as Feast measures them for each of its processes. Steady is good; memory that only "
            "rises is bad.",
            query(series("feast_feature_server_cpu_usage"), "{{pod}} {{pid}} CPU"),
            query(series("feast_feature_server_memory_usage"), "{{pod}} {{pid}} memory"),
        ),
    ]
