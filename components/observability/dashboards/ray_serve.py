"""Ray Serve's panels in Ray's dashboard.

Names and labels: Ray 2.60.0, serve/_private/*.py.
"""

from grafana_foundation_sdk.models.dashboard import Panel

from components.observability.alerts.rule import Watched
from components.observability.dashboards.panel import lines, percent, query, red_above, red_below, values
from components.observability.dashboards.promql import total
from components.observability.dashboards.served import deployments, ray_serve


def requests(watched: Watched) -> list[Panel]:
    """What clients get."""
    return [*_now(watched), *_course(watched)]


def _now(watched: Watched) -> list[Panel]:
    served, bounds = ray_serve(watched), watched.thresholds
    return [
        values(
            "Applications",
            "short",
            "6 is RUNNING, which is good; 5 is DEPLOYING; 1 (DEPLOY_FAILED) and 2 (UNHEALTHY) are bad.",
            query(f"min by (application) ({watched.series('ray_serve_application_status')})", "{{application}}"),
            thresholds=red_below(5),
        ),
        values(
            "Requests with a server error",
            "percentunit",
            f"Answers 5xx among all. From {percent(bounds.serve_error_ratio)} on it is bad.",
            query(served.failures("application"), "{{application}}"),
            thresholds=red_above(bounds.serve_error_ratio),
        ),
        values(
            "Latency, 95th percentile",
            "s",
            f"Nineteen of twenty requests take less. From {bounds.serve_latency_seconds:g} s on it is bad.",
            query(served.latency(by="application"), "{{application}}"),
            thresholds=red_above(bounds.serve_latency_seconds),
        ),
        values(
            "Requests under way",
            "short",
            "Requests that a proxy has taken and not answered. A number that only rises is bad: replicas are too few "
            "or too slow.",
            query(total(watched.series("ray_serve_num_ongoing_http_requests")), "requests"),
        ),
    ]


def _course(watched: Watched) -> list[Panel]:
    served = ray_serve(watched)
    return [
        lines(
            "Requests by application and code",
            "reqps",
            "Answers for each second. 5xx, the server's errors, are bad; 4xx are the client's.",
            query(served.rate("application, status_code"), "{{application}} {{status_code}}"),
        ),
        lines(
            "Latency by application",
            "s",
            "Duration of a request from the proxy on. The 95th percentile over the line is bad.",
            *(
                query(served.latency(of, "application"), f"{{{{application}}}} p{of * 100:g}")
                for of in (0.5, 0.95, 0.99)
            ),
            thresholds=red_above(watched.thresholds.serve_latency_seconds),
        ),
    ]


def models(watched: Watched) -> list[Panel]:
    """What each deployment does, which is a model or a step before or after one."""
    series, served, bounds = watched.series, deployments(watched), watched.thresholds
    by, legend = "application, deployment", "{{application}} {{deployment}}"
    return [
        lines(
            "Requests by deployment",
            "reqps",
            "What each deployment answers for each second; a request may pass several. None while clients ask is bad.",
            query(served.rate(by), legend),
        ),
        lines(
            "Failures by deployment",
            "percentunit",
            f"Requests that ended in an exception among all. From {percent(bounds.prediction_error_ratio)} on it is "
            "bad.",
            query(served.failures(by), legend),
            thresholds=red_above(bounds.prediction_error_ratio),
        ),
        lines(
            "Latency by deployment, 95th percentile",
            "s",
            f"A model's own part of a request. From {bounds.prediction_latency_seconds:g} s on it is bad.",
            query(served.latency(by=by), legend),
            thresholds=red_above(bounds.prediction_latency_seconds),
        ),
        lines(
            "Healthy replicas and waiting requests",
            "short",
            "Replicas that pass their health check, and requests that wait for one. Waiting for minutes is bad.",
            query(total(series("ray_serve_deployment_replica_healthy"), by), f"{legend} replicas"),
            query(total(series("ray_serve_deployment_queued_queries"), by), f"{legend} waiting"),
        ),
    ]
