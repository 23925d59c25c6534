"""Ray Serve: what users ask, and what each deployment of a model does of it.

Names and labels are those of Ray 2.60 (`ray/serve/_private`). Serve's own routes, `/-/routes` and `/-/healthz`, are
no user's requests. A deployment counts a request that failed in `error_counter` only, so the sum of both is all.
"""

from collections.abc import Iterator

from components.observability.alerts.rule import Alert, Group, Recording, Rule, Watched, percentile, share

USERS = 'route!~"/-/.*"'
"""Matcher of requests that users make."""

_REQUESTS = "ml_platform:model_requests:increase5m"
_FAILED = "ml_platform:model_errors:increase5m"


def group(watched: Watched) -> Group:
    """Rules about what is served."""
    return Group("serve", (*_requests(watched), *_applications(watched), *_models(watched)))


def _requests(watched: Watched) -> Iterator[Rule]:
    limits = watched.thresholds
    latency = percentile(
        "ray_serve_http_request_latency_ms", watched.series("", USERS), "namespace, application, route"
    )
    yield Alert(
        name="RayServeLatencyHigh",
        expr=f"({latency}) > {limits.serve_latency_seconds * 1000:g}",
        lasting="10m",
        severity="warning",
        summary="Ray Serve is slow at {{ $labels.route }} of {{ $labels.application }} in {{ $labels.namespace }}",
        description="One request in twenty takes longer than {{ $value | humanize }} milliseconds.",
    )
    requests = watched.series("ray_serve_num_http_requests_total", USERS)
    failed = watched.series("ray_serve_num_http_requests_total", f'{USERS}, status_code=~"5.."')
    yield Alert(
        name="RayServeErrorsHigh",
        expr=f"{share(failed, requests, 'namespace, application, route')} > {limits.serve_error_ratio:g}",
        lasting="5m",
        severity="critical",
        summary="Ray Serve fails at {{ $labels.route }} of {{ $labels.application }} in {{ $labels.namespace }}",
        description="{{ $value | humanizePercentage }} of the requests end with 5xx.",
    )


def _applications(watched: Watched) -> Iterator[Rule]:
    # 1 is DEPLOY_FAILED and 2 UNHEALTHY; 0 is unknown, the others are on their way or run.
    status = f"max by (namespace, application) ({watched.series('ray_serve_application_status')})"
    yield Alert(
        name="RayServeApplicationUnhealthy",
        expr=f"{status} >= 1 <= 2",
        lasting="5m",
        severity="critical",
        summary="Serve's application {{ $labels.application }} in {{ $labels.namespace }} is unhealthy",
        description="Serve reports state {{ $value }} (1: deploying it failed, 2: unhealthy); its requests may fail.",
    )


def _models(watched: Watched) -> Iterator[Rule]:
    limits, by = watched.thresholds, "namespace, application, deployment"
    latency = percentile("ray_serve_deployment_processing_latency_ms", watched.series(""), by)
    yield Alert(
        name="ModelPredictionLatencyHigh",
        expr=f"({latency}) > {limits.prediction_latency_seconds * 1000:g}",
        lasting="10m",
        severity="warning",
        summary="Model {{ $labels.deployment }} of {{ $labels.application }} in {{ $labels.namespace }} is slow",
        description="One prediction in twenty takes it longer than {{ $value | humanize }} milliseconds.",
    )
    for record, counter in ((_REQUESTS, "request"), (_FAILED, "error")):
        counted = watched.series(f"ray_serve_deployment_{counter}_counter_total")
        yield Recording(record, f"sum by ({by}) (increase({counted}[5m]))")
    failed, requests = watched.series(_FAILED), watched.series(_REQUESTS)
    whole = f"({failed} + {requests} or {failed})"
    yield Alert(
        name="ModelPredictionErrorsHigh",
        expr=f"{failed} / ({whole} >= 20) > {limits.prediction_error_ratio:g}",
        lasting="5m",
        severity="warning",
        summary="Model {{ $labels.deployment }} of {{ $labels.application }} in {{ $labels.namespace }} fails",
        description="{{ $value | humanizePercentage }} of its predictions raise an exception.",
    )
