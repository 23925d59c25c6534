"""MLflow: the four alerts of the reports by their names, and how well requests are answered.

Names and labels are those of MLflow 3.17 (`mlflow/server/prometheus_exporter.py`: prometheus-flask-exporter with the
prefix `mlflow`), of kube-state-metrics and of Envoy as Istio 1.31 tags it. MLflow counts what Flask answers.
Artifacts go through FastAPI, and while the database is away `/metrics` does not answer, since it asks the database
who asks; so in a mesh the sidecar counts requests.
"""

from collections.abc import Iterator

from components.kube.quantity import number
from components.observability.alerts.rule import Alert, Group, Rule, Watched, grown, percentile, share

NAME, PORT = "mlflow", 5000

_PODS = f'pod=~"{NAME}-.+", pod!~"{NAME}-(backup|migrate|gc)-.+"'


def group(watched: Watched) -> Group:
    """Rules about tracking."""
    return Group("mlflow", (*_pods(watched), _database(watched), *_artifacts(watched), *_requests(watched)))


def requests(watched: Watched) -> tuple[str, str]:
    """Counters of failed requests and of all."""
    if watched.mesh:
        inbound = f'job="sidecar", cluster_name="inbound|{PORT}||"'
        return (
            watched.series("envoy_cluster_upstream_rq", f'{inbound}, response_code_class="5xx"'),
            watched.series("envoy_cluster_upstream_rq_completed", inbound),
        )
    counter = "mlflow_http_request_total"
    return watched.series(counter, 'status=~"5.."'), watched.series(counter)


def _pods(watched: Watched) -> Iterator[Rule]:
    yield Alert(
        name="MLFlowPodDown",
        expr=watched.unavailable("deployment", NAME, watched.down(NAME)),
        lasting="2m",
        severity="critical",
        summary="No pod of {{ $labels.deployment }} in {{ $labels.namespace }} is available",
        description="Nothing can be logged or looked up; training that logs runs waits or fails.",
    )
    used = watched.series("container_memory_working_set_bytes", f'container="{NAME}"')
    limit = watched.series("kube_pod_container_resource_limits", f'container="{NAME}", resource="memory"')
    by = "namespace, pod, container"
    memory = f"max by ({by}) ({used})"
    yield Alert(
        name="MLFlowHighMemory",
        # Where the limit of the container is lower than the threshold, it would be killed first.
        expr=(
            f"{memory} > {int(number(watched.thresholds.mlflow_memory))}\nor {memory} > 0.9 * max by ({by}) ({limit})"
        ),
        lasting="5m",
        severity="warning",
        summary="{{ $labels.pod }} in {{ $labels.namespace }} needs much memory",
        description="It has {{ $value | humanize1024 }}B; at its limit it is killed, and what it was doing is lost.",
    )


def _outbound(watched: Watched, metric: str, service: str, matchers: str = "") -> str:
    """A counter of MLflow's sidecars about one Service."""
    to = f'job="sidecar", {_PODS}, cluster_name=~"outbound[|][0-9]+[|][|]{service}[.].+"'
    return watched.series(metric, f"{to}, {matchers}" if matchers else to)


def _database(watched: Watched) -> Rule:
    # MLflow answers 503 when the database does not (mlflow/store/db/utils.py: TEMPORARILY_UNAVAILABLE).
    refused = grown(watched.series("mlflow_http_request_total", 'status="503"'), "5m")
    signs = [f"sum by (namespace, pod) ({refused}) > 0"]
    if watched.mesh:
        for kind in ("connect_fail", "none_healthy"):
            failed = _outbound(watched, f"envoy_cluster_upstream_cx_{kind}", watched.database)
            signs.append(f"sum by (namespace, pod) (increase({failed}[5m])) > 0")
    # /health asks nobody; /metrics asks the database for the user.
    healthy = watched.series("kube_pod_status_ready", f'condition="true", {_PODS}')
    mute = watched.series("up", f'job="{NAME}"')
    signs.append(
        f"max by (namespace, pod) ({mute}) == 0 and on (namespace, pod) max by (namespace, pod) ({healthy}) == 1"
    )
    return Alert(
        name="MLFlowDatabaseError",
        expr="\nor ".join(signs),
        lasting="2m",
        severity="critical",
        summary="{{ $labels.pod }} in {{ $labels.namespace }} has no database",
        description="Requests to MLflow fail or wait, though its pods are up.",
    )


def _artifacts(watched: Watched) -> Iterator[Rule]:
    """In a mesh only: MLflow itself counts none of these."""
    if not watched.mesh:
        return
    answered = _outbound(watched, "envoy_cluster_upstream_rq", watched.bucket, 'response_code=~"403|5.."')
    reached = _outbound(watched, "envoy_cluster_upstream_cx_connect_fail", watched.bucket)
    yield Alert(
        name="MLFlowArtifactFailed",
        # One answer of this kind the client tries again.
        expr=(
            f"sum by (namespace, pod) ({grown(answered, '10m')}) >= 3"
            f"\nor sum by (namespace, pod) (increase({reached}[10m])) >= 3"
        ),
        severity="critical",
        summary="{{ $labels.pod }} in {{ $labels.namespace }} cannot reach or use the object store",
        description="{{ $value | humanize }} requests for artifacts failed within 10 minutes; models are not saved.",
    )


def _requests(watched: Watched) -> Iterator[Rule]:
    limits = watched.thresholds
    latency = percentile("mlflow_http_request_duration_seconds", watched.series(""), "namespace")
    yield Alert(
        name="MLFlowLatencyHigh",
        expr=f"({latency}) > {limits.mlflow_latency_seconds:g}",
        lasting="10m",
        severity="warning",
        summary="MLflow in {{ $labels.namespace }} is slow",
        description="One request in twenty takes longer than {{ $value | humanizeDuration }}; so does its page.",
    )
    counted = "mlflow_http_request_total"
    refused = watched.series(counted, 'status=~"401|403"')
    yield Alert(
        name="MLFlowUnauthorized",
        # A browser's first request is answered so, and then has a password.
        expr=f"{share(refused, watched.series(counted), 'namespace', '15m')} > 0.5",
        lasting="15m",
        severity="warning",
        summary="MLflow in {{ $labels.namespace }} refuses who asks",
        description="{{ $value | humanizePercentage }} of the requests have no right, or no password that is valid.",
    )
    failed, every = requests(watched)
    yield Alert(
        name="MLFlowErrorsHigh",
        expr=f"{share(failed, every, 'namespace')} > {limits.mlflow_error_ratio:g}",
        lasting="5m",
        severity="warning",
        summary="MLflow in {{ $labels.namespace }} fails",
        description="{{ $value | humanizePercentage }} of the requests end with 5xx.",
    )
