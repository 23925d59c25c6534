"""MLflow: the reports' five dashboards as five rows: health, experiments, registry, resources, errors and latency.

MLflow 3.17.2 counts requests by method and status only (mlflow/server/prometheus_exporter.py groups by version), and
has no metric of experiments, runs or models. So each row says which metric stands for what: requests that write, rows
in MLflow's tables (postgres_exporter 0.19.1, collector/pg_stat_user_tables.go, of the database that it is connected
to: the first of `stores.databases`) and answers as the sidecar counts them, which has the artifact routes too.
"""

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from components.kube.quantity import number
from components.observability.alerts.rule import Watched
from components.observability.dashboards import served
from components.observability.dashboards.panel import board, lines, percent, query, red_above, red_below, values
from components.observability.dashboards.promql import mean, rate, total

_REQUESTS = "mlflow_http_request_total"
_CONTAINER = 'container="mlflow"'
_DEPLOYMENT = 'deployment="mlflow"'
_RUNS = {"experiments": "experiments", "runs": "runs", "metrics": "values of metrics"}
_MODELS = {"registered_models": "registered models", "model_versions": "versions of them"}


def dashboard(watched: Watched) -> Dashboard:
    """Whether MLflow answers, and what is done with it."""
    own = "postgres" in watched.stores
    return board(
        "mlflow",
        "ML Platform - MLflow",
        "Health, experiments, registry, resources, errors and latency of the MLflow server.",
        ("Health", _health(watched)),
        ("Experiments", [*_methods(watched), *(_tables(watched, "Runs", _RUNS) if own else [])]),
        ("Registry", [*_changes(watched), *(_tables(watched, "Models", _MODELS) if own else [])]),
        ("Resources", _resources(watched)),
        ("Errors and latency", [*_errors(watched), *(_sidecar(watched) if watched.mesh else [])]),
    )


def _health(watched: Watched) -> list[Panel]:
    series, bounds = watched.series, watched.thresholds
    return [
        values(
            "Servers answer",
            "percentunit",
            "Pods of MLflow that Prometheus reaches among those that are there. 100 % is good.",
            query(mean(series("up", 'job="mlflow"')), "servers"),
            thresholds=red_below(1),
        ),
        values(
            "Pods ready",
            "percentunit",
            "Pods that may get requests, of those that are asked for. Under 100 % after an update has ended is bad.",
            query(
                f"{series('kube_deployment_status_replicas_ready', _DEPLOYMENT)} / "
                f"{series('kube_deployment_spec_replicas', _DEPLOYMENT)}",
                "pods",
            ),
            thresholds=red_below(1),
        ),
        values(
            "Restarts, last hour",
            "short",
            "Times that the server's container was started again. 0 is good.",
            query(f"sum(increase({series('kube_pod_container_status_restarts_total', _CONTAINER)}[1h]))", "restarts"),
            thresholds=red_above(1),
        ),
        values(
            "Requests with a server error",
            "percentunit",
            f"Answers 5xx among all. From {percent(bounds.mlflow_error_ratio)} on it is bad: most often the database.",
            query(served.mlflow(watched).failures(), "5xx"),
            thresholds=red_above(bounds.mlflow_error_ratio),
        ),
    ]


def _methods(watched: Watched) -> list[Panel]:
    return [
        lines(
            "Requests by method",
            "reqps",
            "Stands for work with experiments and models: POST, PUT, PATCH and DELETE write runs, metrics and models, "
            "and search them; GET reads. None while training runs is bad.",
            query(rate(watched.series(_REQUESTS), "method"), "{{method}}"),
        )
    ]


def _changes(watched: Watched) -> list[Panel]:
    changing = watched.series(_REQUESTS, 'method=~"PATCH|DELETE"')
    return [
        lines(
            "Requests that change or remove",
            "reqps",
            "Stands for work with registered models and their versions, which are changed with PATCH and removed with "
            "DELETE; so are logged models and traces, and what is new comes with POST, like runs. Many DELETE that "
            "nobody planned are bad.",
            query(rate(changing, "method, status"), "{{method}} {{status}}"),
        )
    ]


def _tables(watched: Watched, title: str, tables: dict[str, str]) -> list[Panel]:
    """Rows of MLflow's tables, by table."""
    relations = watched.series("pg_stat_user_tables_n_live_tup", f'relname=~"{"|".join(tables)}"')
    words = ", ".join(f"{table} ({what})" for table, what in tables.items())
    return [
        lines(
            f"{title}: rows in MLflow's tables",
            "short",
            f"PostgreSQL's estimate for the tables {words}. Slow growth is good; a fall that nobody asked for "
            "is bad: look at the garbage collection.",
            query(f"max by (relname) ({relations})", "{{relname}}"),
        )
    ]


def _resources(watched: Watched) -> list[Panel]:
    series, bounds = watched.series, watched.thresholds
    limit = total(series("kube_pod_container_resource_limits", f'{_CONTAINER}, resource="memory"'), "pod")
    return [
        lines(
            "Memory by pod",
            "bytes",
            f"Memory that cannot be taken back. From {bounds.mlflow_memory}B on it is bad; at the limit the pod is "
            "killed.",
            query(total(series("container_memory_working_set_bytes", _CONTAINER), "pod"), "{{pod}}"),
            query(limit, "{{pod}} limit"),
            thresholds=red_above(float(number(bounds.mlflow_memory))),
        ),
        lines(
            "CPU by pod",
            "short",
            "Cores in use. At the limit for minutes requests wait, which is bad: more replicas, or more cores.",
            query(rate(series("container_cpu_usage_seconds_total", _CONTAINER), "pod"), "{{pod}}"),
            query(
                total(series("kube_pod_container_resource_limits", f'{_CONTAINER}, resource="cpu"'), "pod"),
                "{{pod}} limit",
            ),
        ),
    ]


def _errors(watched: Watched) -> list[Panel]:
    tracking, bounds = served.mlflow(watched), watched.thresholds
    return [
        lines(
            "Requests by status",
            "reqps",
            "Answers of the API and the pages for each second, without artifacts and /health. 5xx are bad; 401 and 403 "
            "are clients without a password or a permission.",
            query(rate(watched.series(_REQUESTS), "status"), "{{status}}"),
        ),
        lines(
            "Latency",
            "s",
            "Duration of a request within the server, without artifacts. The 95th percentile over the line is bad.",
            *(query(tracking.latency(of), f"p{of * 100:g}") for of in (0.5, 0.95, 0.99)),
            thresholds=red_above(bounds.mlflow_latency_seconds),
        ),
    ]


def _sidecar(watched: Watched) -> list[Panel]:
    """What the server does not count itself."""
    to_store = f'pod=~"mlflow-.+", cluster_name=~"outbound[|].+[|]{watched.bucket}[.].+"'
    stored = watched.series("envoy_cluster_upstream_rq", f'{to_store}, response_code!=""')
    taken = watched.series("envoy_cluster_upstream_rq", 'cluster_name="inbound|5000||", response_code!=""')
    return [
        lines(
            "All requests by response code, artifacts too",
            "reqps",
            "Answers as the server's sidecar counts them. 5xx here and not among those by status are uploads and "
            "downloads of artifacts that failed, which is bad.",
            query(rate(taken, "response_code"), "{{response_code}}"),
        ),
        lines(
            "Requests of the server to the object store",
            "reqps",
            "Answers of the object store to MLflow, where it is in the mesh: stands for artifacts that are kept and "
            "read. 403 and 5xx are bad.",
            query(rate(stored, "pod, response_code"), "{{pod}} {{response_code}}"),
        ),
    ]
