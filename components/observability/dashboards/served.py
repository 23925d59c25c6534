"""What users ask: Ray Serve, Feast and MLflow, each with its requests, those that failed and how long they took."""

from dataclasses import dataclass

from components.observability.alerts.rule import Watched
from components.observability.alerts.serve import USERS
from components.observability.dashboards.promql import quantile, rate, share


@dataclass(frozen=True)
class Served:
    """A server that users ask.

    Attributes:
        requests: selector of the counter of its requests.
        failed: the same of those that failed.
        durations: selector of the buckets of how long they took.
        of_a_second: how many of the unit of those are a second.
    """

    requests: str
    failed: str
    durations: str
    of_a_second: int = 1

    def rate(self, by: str = "") -> str:
        """Requests for each second, by labels."""
        return rate(self.requests, by)

    def failures(self, by: str = "") -> str:
        """Failed requests among all, by labels."""
        return share(self.failed, self.requests, by)

    def latency(self, of: float = 0.95, by: str = "") -> str:
        """A quantile of the duration in seconds, by labels."""
        found = quantile(of, self.durations, by)
        return found if self.of_a_second == 1 else f"{found} / {self.of_a_second}"


def ray_serve(watched: Watched) -> Served:
    """Ray Serve's proxies, without the routes of its own; 5xx failed.

    Source: Ray 2.60.0, serve/_private/request_ingress_metrics.py; its own counter of errors has 4xx too (proxy.py).
    """
    series, name = watched.series, "ray_serve_num_http_requests_total"
    durations = series("ray_serve_http_request_latency_ms_bucket", USERS)
    return Served(series(name, USERS), series(name, f'{USERS}, status_code=~"5.."'), durations, 1000)


def deployments(watched: Watched) -> Served:
    """Ray Serve's replicas, which have the labels `application` and `deployment`; a request with an exception failed.

    The counter of requests has those that did not fail only, so all are those that have a duration.
    Source: Ray 2.60.0, serve/_private/replica.py, `record_request_metrics`.
    """
    duration = "ray_serve_deployment_processing_latency_ms"
    failed = watched.series("ray_serve_deployment_error_counter_total")
    return Served(watched.series(f"{duration}_count"), failed, watched.series(f"{duration}_bucket"), 1000)


def feast(watched: Watched) -> Served:
    """Feast's online servers; what raised an error failed, be it the client's.

    Source: Feast 0.67.0, feast/metrics.py, `track_request_latency`.
    """
    name = "feast_feature_server_request_total"
    durations = watched.series("feast_feature_server_request_latency_seconds_bucket")
    return Served(watched.series(name), watched.series(name, 'status="error"'), durations)


def mlflow(watched: Watched) -> Served:
    """MLflow; 5xx failed. In a mesh its sidecar counts, artifacts among them, which MLflow itself does not.

    Source: MLflow 3.17.2, mlflow/server/prometheus_exporter.py; names of prometheus-flask-exporter 0.23.2. Istio names
    the cluster of a port that a pod serves (pilot/pkg/model, `BuildInboundSubsetKey`).
    """
    series, counted = watched.series, "mlflow_http_request_total"
    requests, failed = series(counted), series(counted, 'status=~"5.."')
    if watched.mesh:
        served = 'cluster_name="inbound|5000||"'
        requests = series("envoy_cluster_upstream_rq_completed", served)
        failed = series("envoy_cluster_upstream_rq", f'{served}, response_code_class="5xx"')
    return Served(requests, failed, series("mlflow_http_request_duration_seconds_bucket"))
