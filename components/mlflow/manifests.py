"""Facts of Kubernetes and MLflow about a tracking server.

Source: https://mlflow.org/docs/latest/self-hosting and the code of MLflow 3.17 (mlflow/server, mlflow/cli).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from components.kube import objects
from components.kube.access import Port, Workload, named, served
from components.kube.labels import fingerprint
from components.kube.pods import (
    SECRETS_HASH,
    TMP,
    Around,
    Manifest,
    container,
    http_probe,
    of_pod,
    pod,
    postgres_env,
    resources,
    s3_env,
    scratch,
    secret_env,
    small,
    spread,
)
from components.kube.traces import tracing
from components.kube.wires import Bucket, Database, SecretRef, TraceStore
from components.mlflow.spec import GarbageCollection, MLflowSpec

NAME = "mlflow"
"""Of the Deployment and the Service: the name that the reports' users know."""

PORT, METRICS_PORT = 5000, 8001

BACKUP, MIGRATE, COLLECT = "mlflow-backup", "mlflow-migrate", "mlflow-gc"
"""Jobs on its databases."""

SECRET, SESSION_KEY = "mlflow-auth", "session-key"
"""Secret of the users' passwords, and the key in it that signs sessions and forms."""

ADMIN, PLATFORM = "admin", "platform"
"""Users: one may do everything, the other is whatever the platform itself logs as. Each is a key of the Secret."""

CLIENT = "mlflow-client"
"""ConfigMap for clients."""

_USER = 65532
_METRICS = "/var/metrics"
_CONFIG = "/etc/mlflow"


def workloads(spec: MLflowSpec, *, watched: bool) -> list[Workload]:
    """The server, and the Jobs that work on its databases; `watched`: whether someone scrapes it."""
    jobs = [BACKUP, MIGRATE, *([COLLECT] if spec.garbage_collection else [])]
    listens = {"http": Port(PORT, "http"), **({"metrics": Port(METRICS_PORT, "http")} if watched else {})}
    server = replace(served(NAME, **listens), metrics={"metrics": "/metrics"} if watched else {})
    return [server, *(named(job) for job in jobs)]


def allowed_hosts(namespace: str, hosts: tuple[str, ...]) -> str:
    """Every Host header that the server answers: each name with and without port, since the comparison is exact.

    Health probes are exempt. Prometheus comes by the pod's address, a port-forward as localhost on any port.
    Source: mlflow/server/security_utils.py.

    Args:
        namespace: of the Service.
        hosts: further names.
    """
    service = [NAME, *(f"{NAME}.{rest}" for rest in (namespace, f"{namespace}.svc", f"{namespace}.svc.cluster.local"))]
    named = [name for host in (*service, "$(POD_IP)") for name in (host, f"{host}:{PORT}")]
    outside = [name for host in hosts for name in (host, f"{host}:443")]
    local = [name for host in ("localhost", "127.0.0.1") for name in (host, f"{host}:*")]
    return ",".join([*named, *outside, *local])


def config(spec: MLflowSpec, namespace: Any) -> Manifest:
    """The server's file about users; what is secret comes from the environment.

    Source: mlflow/server/auth/config.py.
    """
    settings = {
        "default_permission": spec.default_permission,
        "database_uri": _url(spec.users_database),
        "admin_username": ADMIN,
        "authorization_function": "mlflow.server.auth:authenticate_request_basic_auth",
    }
    text = "\n".join(["[mlflow]", *(f"{key} = {value}" for key, value in settings.items())]) + "\n"
    return objects.config_map("mlflow", namespace, "mlflow-config", {"basic_auth.ini": text})


def client_settings(url: Any) -> Manifest:
    """What a client finds in its environment (`envFrom`), and what its user still has to give: name and password."""
    return {"MLFLOW_TRACKING_URI": url, "MLFLOW_REGISTRY_URI": url, "MLFLOW_DISABLE_TELEMETRY": "true"}


def backup_job(
    spec: MLflowSpec, image: str, around: Around, *, release: str, database: Database, backups: Bucket
) -> Manifest:
    """Dumps the databases; it runs before each `release`, the image of the server that comes."""
    names = [spec.database, spec.users_database] if spec.authentication == "basic" else [spec.database]
    env = [
        *postgres_env(database),
        *s3_env(backups),
        {"name": "DATABASES", "value": " ".join(names)},
        {"name": "BUCKET", "value": backups.name},
        {"name": "PREFIX", "value": NAME},
    ]
    dump = container("backup", image, small("50m", "256Mi"), command=["backup-databases"], env=env, volumeMounts=[TMP])
    return objects.job(
        "mlflow",
        around.namespace,
        BACKUP,
        pod=pod(around, _USER, dump, volumes=scratch(tmp="64Mi")),
        seconds=spec.migration_timeout_seconds,
        annotations={"ml-platform/release": release},
    )


def migration_job(
    spec: MLflowSpec, image: str, around: Around, *, database: Database, users: Mapping[str, SecretRef], digest: Any
) -> Manifest:
    """`mlflow db upgrade`, which also makes the schema at first, and the users with their passwords.

    It is tried once: each step of a migration is a transaction, and one that failed needs a person.

    Args:
        spec: decisions.
        image: of the server that comes.
        around: where it runs.
        database: of experiments and models, with its owner.
        users: name to password; none without authentication.
        digest: of all passwords, so that it runs when one changes.
    """
    env = [
        *postgres_env(database),
        {"name": "MLFLOW_BACKEND_STORE_URI", "value": _url(spec.database)},
        *([{"name": "USERS_DATABASE_URI", "value": _url(spec.users_database)}] if users else []),
        *(secret_env(f"PASSWORD_{name.upper()}", password) for name, password in users.items()),
    ]
    step = container("migrate", image, small("100m", "1Gi"), command=["mlflow-migrate"], env=env, volumeMounts=[TMP])
    return objects.job(
        "mlflow",
        around.namespace,
        MIGRATE,
        pod=pod(around, _USER, step, volumes=scratch(tmp="64Mi")),
        seconds=spec.migration_timeout_seconds,
        annotations={SECRETS_HASH: digest},
        retries=0,
    )


def deployment(
    spec: MLflowSpec,
    image: str,
    around: Around,
    *,
    hosts: Any,
    database: Database,
    bucket: Bucket,
    session_key: SecretRef | None,
    settings: Manifest | None,
    digest: Any,
    watched: bool,
    traces: TraceStore | None = None,
) -> Manifest:
    """The server.

    Args:
        spec: decisions.
        image: to run.
        around: where.
        hosts: what `allowed_hosts` says.
        database: of experiments and models, with its owner.
        bucket: of the artifacts. Clients get at them through the server only: with `--default-artifact-root` as well
            they would go past it, and need the key themselves.
        session_key: signs sessions and forms: one for all replicas, or a form from one is refused by another.
        settings: the ConfigMap of `config`, None without authentication.
        digest: of all that is secret.
        watched: whether someone scrapes it.
        traces: where it tells of the requests that it serves.
    """
    args = [
        "server",
        "--host=0.0.0.0",
        f"--port={PORT}",
        f"--workers={spec.workers}",
        f"--artifacts-destination=s3://{bucket.name}",
        f"--expose-prometheus={_METRICS}",
        "--uvicorn-opts=--timeout-graceful-shutdown 30",
    ]
    env: list[Manifest] = [
        of_pod("POD_IP", "status.podIP"),
        {"name": "MLFLOW_SERVER_ALLOWED_HOSTS", "value": hosts},
        *_store_env(spec, database, bucket),
        *tracing(traces, NAME),
    ]
    if spec.hosts:
        # A browser names its page's origin with whatever it changes; only those on localhost are allowed by default.
        origins = ",".join(f"https://{host}" for host in spec.hosts)
        env.append({"name": "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS", "value": origins})
    mounts: list[Manifest] = [TMP, {"name": "metrics", "mountPath": _METRICS}]
    volumes = scratch(tmp="1Gi", metrics="64Mi")
    annotations = {SECRETS_HASH: digest}
    if settings and session_key:
        args.append("--app-name=basic-auth")
        env += [
            {"name": "MLFLOW_AUTH_CONFIG_PATH", "value": f"{_CONFIG}/basic_auth.ini"},
            secret_env("MLFLOW_AUTH_ADMIN_PASSWORD", SecretRef(name=session_key.name, key=ADMIN)),
            secret_env("MLFLOW_FLASK_SERVER_SECRET_KEY", session_key),
        ]
        mounts.append({"name": "config", "mountPath": _CONFIG, "readOnly": True})
        volumes.append({"name": "config", "configMap": {"name": settings["metadata"]["name"]}})
        annotations["ml-platform/config-hash"] = fingerprint(str(settings["data"]))
    server = container(
        NAME,
        image,
        resources(spec.resources),
        command=["mlflow"],
        args=args,
        env=env,
        ports=[{"name": "http", "containerPort": PORT}],
        # Importing it takes a quarter of a minute of one core.
        startupProbe=http_probe("/health", "http", initial=5, period=5, failures=48),
        readinessProbe=http_probe("/health", "http", initial=0),
        livenessProbe=http_probe("/health", "http", initial=0, failures=6),
        # A pod that ends is still sent requests until every node knows.
        lifecycle={"preStop": {"sleep": {"seconds": 10}}},
        volumeMounts=mounts,
    )
    return objects.deployment(
        "mlflow",
        around.namespace,
        NAME,
        pod=pod(
            around,
            _USER,
            *([server, _metrics(image)] if watched else [server]),
            affinity=spread(NAME),
            terminationGracePeriodSeconds=60,
            volumes=volumes,
        ),
        scale=spec,
        seconds=spec.ready_timeout_seconds,
        annotations=annotations,
    )


def _metrics(image: str) -> Manifest:
    """Shows the server's metrics, which the server itself shows to administrators alone."""
    return container(
        "metrics",
        image,
        small("10m", "128Mi"),
        command=["mlflow-metrics"],
        env=[{"name": "PROMETHEUS_MULTIPROC_DIR", "value": _METRICS}],
        ports=[{"name": "metrics", "containerPort": METRICS_PORT}],
        readinessProbe=http_probe("/metrics", "metrics", initial=0),
        livenessProbe=http_probe("/metrics", "metrics", failures=6),
        volumeMounts=[{"name": "metrics", "mountPath": _METRICS, "readOnly": True}],
    )


def service(namespace: Any) -> Manifest:
    """The Service over the servers."""
    return objects.service("mlflow", namespace, NAME, {"app.kubernetes.io/name": NAME}, {"http": (PORT, "http")})


def garbage_collection(
    spec: MLflowSpec,
    when: GarbageCollection,
    image: str,
    around: Around,
    *,
    database: Database,
    bucket: Bucket,
    admin: SecretRef | None,
) -> Manifest:
    """`mlflow gc`; it reads the database itself and removes artifacts through the server, as `admin`."""
    env: list[Manifest] = [
        *_store_env(spec, database, bucket),
        {"name": "MLFLOW_TRACKING_URI", "value": f"http://{NAME}:{PORT}"},
    ]
    if admin:
        env += [{"name": "MLFLOW_TRACKING_USERNAME", "value": ADMIN}, secret_env("MLFLOW_TRACKING_PASSWORD", admin)]
    args = [
        "gc",
        f"--older-than={when.older_than_days}d",
        f"--backend-store-uri={_url(spec.database)}",
        f"--artifacts-destination=s3://{bucket.name}",
    ]
    collect = container("gc", image, small("50m", "1Gi"), command=["mlflow"], args=args, env=env, volumeMounts=[TMP])
    return objects.cron_job(
        "mlflow",
        around.namespace,
        COLLECT,
        schedule=when.cron,
        pod=pod(around, _USER, collect, volumes=scratch(tmp="256Mi")),
        seconds=3600,
    )


def _store_env(spec: MLflowSpec, database: Database, bucket: Bucket) -> list[Manifest]:
    return [
        *postgres_env(database),
        {"name": "MLFLOW_BACKEND_STORE_URI", "value": _url(spec.database)},
        *s3_env(bucket),
        {"name": "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE", "value": "path"},
        {"name": "MLFLOW_DISABLE_TELEMETRY", "value": "true"},
        # Its queue lies on the disk of one pod, which the other replicas do not see.
        {"name": "MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "value": "false"},
    ]


def _url(database: str) -> str:
    """Of a database whose server, role and password libpq finds in its environment (`postgres_env`)."""
    return f"postgresql+psycopg2:///{database}"
