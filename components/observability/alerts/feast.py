"""Feast: the online server, the registry, and how fresh features are.

Names and labels are those of Feast 0.67 (`feast/metrics.py`). The registry's server has no metrics, and
materialization is a CronJob, which is over before anyone scrapes it: both are seen through Kubernetes.
"""

from collections.abc import Iterator

from components.observability.alerts.rule import Alert, Group, Rule, Watched, percentile, share

SERVER, REGISTRY, MATERIALIZE = "feast-server", "feast-registry", "feast-materialize"


def group(watched: Watched) -> Group:
    """Rules about features."""
    late = _materialization(watched) if watched.materialization else ()
    return Group("feast", (*_servers(watched), *_requests(watched), *_values(watched), *late))


def _servers(watched: Watched) -> Iterator[Rule]:
    yield Alert(
        name="FeastServingDown",
        expr=watched.unavailable("deployment", SERVER, watched.down(SERVER)),
        lasting="2m",
        severity="critical",
        summary="No pod of {{ $labels.deployment }} in {{ $labels.namespace }} is available",
        description="Models that read features while they serve get none.",
    )
    yield Alert(
        name="FeastRegistryDown",
        expr=watched.unavailable("deployment", REGISTRY, watched.no_sidecar(REGISTRY)),
        lasting="5m",
        severity="warning",
        summary="No pod of {{ $labels.deployment }} in {{ $labels.namespace }} is available",
        description="Clients cannot look up feature views; training cannot begin. The online server has its own copy.",
    )


def _requests(watched: Watched) -> Iterator[Rule]:
    limits = watched.thresholds
    # Since `endpoint` is also a label of every target, the server's own is `exported_endpoint`.
    by = "namespace, exported_endpoint"
    latency = percentile("feast_feature_server_request_latency_seconds", watched.series(""), by)
    yield Alert(
        name="FeastLatencyHigh",
        expr=f"({latency}) > {limits.feature_latency_seconds:g}",
        lasting="10m",
        severity="warning",
        summary="Feast in {{ $labels.namespace }} is slow at {{ $labels.exported_endpoint }}",
        description="One read in twenty takes longer than {{ $value | humanizeDuration }}; models wait for it.",
    )
    requests = watched.series("feast_feature_server_request_total")
    failed = watched.series("feast_feature_server_request_total", 'status="error"')
    yield Alert(
        name="FeastErrorsHigh",
        expr=f"{share(failed, requests, by)} > {limits.feature_error_ratio:g}",
        lasting="5m",
        severity="critical",
        summary="Feast in {{ $labels.namespace }} fails at {{ $labels.exported_endpoint }}",
        description="{{ $value | humanizePercentage }} of the requests fail.",
    )


def _values(watched: Watched) -> Iterator[Rule]:
    limits = watched.thresholds
    values = watched.series("feast_online_features_status_total")
    missing = watched.series("feast_online_features_status_total", 'status="not_found"')
    yield Alert(
        name="FeastFeaturesMissing",
        expr=f"{share(missing, values, 'namespace, feature_view', '15m', 100)} > {limits.feature_missing_ratio:g}",
        lasting="15m",
        severity="warning",
        summary="Features of {{ $labels.feature_view }} in {{ $labels.namespace }} are not found",
        description="{{ $value | humanizePercentage }} of the values asked for are missing; models get nulls.",
    )
    # Each pod reads the registry when its copy is old; the youngest copy knows best.
    age = f"min by (namespace, project, feature_view) ({watched.series('feast_feature_freshness_seconds')})"
    yield Alert(
        name="FeastFeaturesStale",
        expr=f"{age} > {limits.feature_age_seconds:g}",
        lasting="5m",
        severity="warning",
        summary="Features of {{ $labels.feature_view }} in {{ $labels.namespace }} are old",
        description="The newest were materialized {{ $value | humanizeDuration }} ago; models use what was true then.",
    )


def _materialization(watched: Watched) -> Iterator[Rule]:
    job = f'cronjob="{MATERIALIZE}"'
    due = f"max by (namespace, cronjob) ({watched.series('kube_cronjob_status_last_schedule_time', job)})"
    done = f"max by (namespace, cronjob) ({watched.series('kube_cronjob_status_last_successful_time', job)})"
    yield Alert(
        name="FeastMaterializationLate",
        # A run that was begun and one that succeeded are always apart for a while; three runs of the default schedule.
        expr=f"time() - ({due} > {done} or ({due} unless {done}))",
        lasting="45m",
        severity="warning",
        summary="No run of {{ $labels.cronjob }} in {{ $labels.namespace }} succeeds",
        description="The last one that is due began {{ $value | humanizeDuration }} ago; features get older.",
    )
    of_job = f'job_name=~"{MATERIALIZE}-.+"'
    failed = watched.series("kube_job_failed", f'{of_job}, condition="true"')
    begun = watched.series("kube_job_status_start_time", of_job)
    yield Alert(
        name="FeastMaterializationFailed",
        # The Job of a failed run is kept for its logs, so only the last hour counts.
        expr=(
            f"max by (namespace, job_name) ({failed}) == 1"
            f"\nand on (namespace, job_name) time() - max by (namespace, job_name) ({begun}) < 3600"
        ),
        severity="warning",
        summary="Job {{ $labels.job_name }} in {{ $labels.namespace }} has failed",
        description="Features were not materialized by this run; the next one makes up for it, if it succeeds.",
    )
