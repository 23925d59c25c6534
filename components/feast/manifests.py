"""Facts of Kubernetes and Feast about a feature store.

Source: https://docs.feast.dev and the code of Feast 0.67 (feast/cli, feast/feature_server.py, registry_server.py).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from components.feast.spec import FeastSpec
from components.kube import objects, rbac
from components.kube.access import Port, Workload, named, served
from components.kube.labels import fingerprint
from components.kube.pods import (
    CA_FILE,
    SECRETS_HASH,
    TMP,
    Around,
    Manifest,
    container,
    http_probe,
    pod,
    postgres_env,
    resources,
    scratch,
    secret_env,
    small,
    spread,
)
from components.kube.wires import Database, KeyValueStore

SERVER, REGISTRY = "feast-server", "feast-registry"
"""Deployments and Services; the first is the name that the reports' users know."""

PORTS = {"http": (6566, "http"), "grpc": (6567, "grpc"), "metrics": (8000, "http")}
"""Of the online server. Upstream's operator serves HTTPS on 6567; the reports wanted gRPC there."""

REGISTRY_PORT = 6570

APPLY, MATERIALIZE = "feast-apply", "feast-materialize"
"""Jobs: what writes the registry, and what fills the online store."""

CLIENT = "feast-client"
"""ConfigMap for clients."""

CONFIG, FILE = "feast-config", "feature_store.yaml"
"""Secret of the servers' configuration, and its key."""

_USER = 65532
_FOLDER = "/etc/feast"
_REPOSITORY = "/repository"
_METRICS = "/var/metrics"


def workloads(spec: FeastSpec) -> list[Workload]:
    """The servers, and the Jobs that work on their stores."""
    ports = {name: Port(*port) for name, port in PORTS.items() if name != "grpc" or spec.online.grpc}
    jobs = [APPLY, *([MATERIALIZE] if spec.materialization else [])]
    return [
        replace(served(SERVER, **ports), metrics={"metrics": "/metrics"}),
        served(REGISTRY, grpc=Port(REGISTRY_PORT, "grpc")),
        *(named(job) for job in jobs),
    ]


def server_config(spec: FeastSpec, database: Database, redis: KeyValueStore) -> str:
    """`feature_store.yaml` of the servers and Jobs.

    Feast expands `${NAME}` from the environment, so that a password lies in one Secret only.
    Source: feast/repo_config.py, load_repo_config.
    """
    tls = [f"  sslmode: {database.tls}"]
    if database.tls == "verify-full":
        tls.append(f"  sslrootcert_path: {CA_FILE}")
    redis_options = ",ssl=true" if redis.tls else ""
    lines = [
        f"project: {spec.project}",
        "provider: local",
        "entity_key_serialization_version: 3",
        "registry:",
        "  registry_type: sql",
        f"  path: postgresql+psycopg:///{database.name}",
        f"  cache_ttl_seconds: {spec.online.registry_ttl_seconds}",
        # Without it, a PostgreSQL that was away shows as an error of each connection that was open before.
        "  sqlalchemy_config_kwargs: {echo: false, pool_pre_ping: true}",
        "offline_store:",
        "  type: postgres",
        "  host: ${PGHOST}",
        "  port: ${PGPORT}",
        f"  database: {database.name}",
        "  user: ${PGUSER}",
        "  password: ${PGPASSWORD}",
        *tls,
        "online_store:",
        "  type: redis",
        f'  connection_string: "${{REDIS_HOST}}:${{REDIS_PORT}}{redis_options},password=${{REDIS_PASSWORD}}"',
        *_auth(spec),
    ]
    return "\n".join(lines) + "\n"


def client_config(spec: FeastSpec, *, registry: str, online: str) -> str:
    """`feature_store.yaml` of a client: everything through the servers, nothing secret.

    Args:
        spec: decisions.
        registry: HOST:PORT of the registry server.
        online: address of the online server.
    """
    lines = [
        f"project: {spec.project}",
        "provider: local",
        "entity_key_serialization_version: 3",
        "registry:",
        "  registry_type: remote",
        f"  path: {registry}",
        "online_store:",
        "  type: remote",
        f"  path: {online}",
        *_auth(spec),
    ]
    return "\n".join(lines) + "\n"


def _auth(spec: FeastSpec) -> list[str]:
    """Always written out: what an absent block means has changed between releases (feast#6735)."""
    if spec.oidc:
        return [
            "auth:",
            "  type: oidc",
            f"  auth_discovery_url: {spec.oidc.discovery_url}",
            f"  client_id: {spec.oidc.client_id}",
            f"  audience: {spec.oidc.audience}",
        ]
    return ["auth:", f"  type: {'kubernetes' if spec.authorization == 'kubernetes' else 'no_auth'}"]


def token_review(namespace: Any, name: Any) -> list[Manifest]:
    """What the servers need to know a ServiceAccount by its token: a ClusterRole and its binding.

    Args:
        namespace: of the servers.
        name: of both: cluster-wide, so it holds the namespace.
    """
    return [
        rbac.cluster_role("feast", name, [("authentication.k8s.io", ["tokenreviews"], ["create"])]),
        rbac.cluster_role_binding("feast", namespace, name, SERVER, REGISTRY),
    ]


def role(namespace: Any) -> Manifest:
    """The servers look up which Roles a ServiceAccount is bound to: Feast's permissions are told in their names."""
    return rbac.role("feast", namespace, "feast", [("rbac.authorization.k8s.io", ["rolebindings"], ["get", "list"])])


def environment(database: Database, redis: KeyValueStore) -> list[Manifest]:
    """What `server_config` refers to."""
    return [
        *postgres_env(database),
        {"name": "PGDATABASE", "value": database.name},
        {"name": "REDIS_HOST", "value": redis.endpoint.host},
        {"name": "REDIS_PORT", "value": str(redis.endpoint.port)},
        secret_env("REDIS_PASSWORD", redis.password),
    ]


def repository(namespace: Any, files: Mapping[str, str]) -> Manifest:
    """The feature repository."""
    return objects.config_map("feast", namespace, "feast-repository", files)


def apply_job(
    spec: FeastSpec, image: str, around: Around, *, env: list[Manifest], files: Manifest, digest: Any
) -> Manifest:
    """`feast apply`; it runs again when the repository, the configuration or a password changes.

    Args:
        spec: decisions.
        image: to run.
        around: where.
        env: what `environment` says.
        files: the ConfigMap of `repository`.
        digest: of configuration and passwords.
    """
    sources = [{"secret": {"name": CONFIG}}, {"configMap": {"name": files["metadata"]["name"]}}]
    step = container(
        "apply",
        image,
        small("100m", "1Gi"),
        command=["feast-apply"],
        workingDir=_REPOSITORY,
        env=env,
        volumeMounts=[TMP, {"name": "repository", "mountPath": _REPOSITORY, "readOnly": True}],
    )
    volumes = [*scratch(tmp="64Mi"), {"name": "repository", "projected": {"sources": sources}}]
    content = fingerprint(str(sorted(files["data"].items())))
    return objects.job(
        "feast",
        around.namespace,
        APPLY,
        pod=pod(around, _USER, step, volumes=volumes),
        seconds=spec.ready_timeout_seconds,
        annotations={SECRETS_HASH: digest, "ml-platform/repository-hash": content},
        retries=1,
    )


def materialization(schedule: str, image: str, around: Around, env: list[Manifest]) -> Manifest:
    """Brings what is new in the offline store to the online store, for every feature view."""
    command = 'exec feast materialize-incremental "$(date --utc +%Y-%m-%dT%H:%M:%S)"'
    step = _container(image, "materialize", small("100m", "1Gi"), env, command=["sh", "-c", command])
    return objects.cron_job(
        "feast",
        around.namespace,
        MATERIALIZE,
        schedule=schedule,
        pod=pod(around, _USER, step, volumes=_volumes()),
        seconds=3600,
    )


def server(spec: FeastSpec, image: str, around: Around, env: list[Manifest], digest: Any) -> Manifest:
    """The online server, with gRPC beside HTTP where it is wanted."""
    size = resources(spec.online.resources)
    args = [
        "serve",
        "--host=0.0.0.0",
        f"--port={PORTS['http'][0]}",
        f"--workers={spec.online.workers}",
        f"--registry_ttl_sec={spec.online.registry_ttl_seconds}",
        # Its default ends a worker after a thousand requests; the pod's only one would leave a gap.
        "--max-requests=0",
        "--no-access-log",
        "--metrics",
    ]
    containers = [
        _container(
            image,
            "http",
            size,
            [*env, {"name": "PROMETHEUS_MULTIPROCESS_DIR", "value": _METRICS}],
            args=args,
            ports=[_port("http"), _port("metrics")],
            mounts=[{"name": "metrics", "mountPath": _METRICS}],
            # It asks the registry, so a server that has lost PostgreSQL is not ready, but not dead either.
            startupProbe=http_probe("/health", "http", initial=5, period=5, failures=48),
            readinessProbe=http_probe("/health", "http", initial=0),
            livenessProbe={"tcpSocket": {"port": "http"}, "periodSeconds": 10, "failureThreshold": 6},
        )
    ]
    if spec.online.grpc:
        port, _ = PORTS["grpc"]
        args = ["listen", f"--address=0.0.0.0:{port}", f"--registry_ttl_sec={spec.online.registry_ttl_seconds}"]
        probes = _grpc_probes(port)
        containers.append(_container(image, "grpc", size, env, args=args, ports=[_port("grpc")], **probes))
    return objects.deployment(
        "feast",
        around.namespace,
        SERVER,
        pod=_serving(spec, around, SERVER, *containers, volumes=[*_volumes(), *scratch(metrics="64Mi")]),
        scale=spec.online,
        seconds=spec.ready_timeout_seconds,
        annotations={SECRETS_HASH: digest},
    )


def registry(spec: FeastSpec, image: str, around: Around, env: list[Manifest], digest: Any) -> Manifest:
    """The registry server (gRPC)."""
    served = _container(
        image,
        "registry",
        resources(spec.registry.resources),
        env,
        args=["serve_registry", f"--port={REGISTRY_PORT}"],
        ports=[{"name": "grpc", "containerPort": REGISTRY_PORT}],
        **_grpc_probes(REGISTRY_PORT, asks=spec.authorization == "none"),
    )
    return objects.deployment(
        "feast",
        around.namespace,
        REGISTRY,
        pod=_serving(spec, around, REGISTRY, served, volumes=_volumes()),
        scale=spec.registry,
        seconds=spec.ready_timeout_seconds,
        annotations={SECRETS_HASH: digest},
    )


def server_service(spec: FeastSpec, namespace: Any) -> Manifest:
    """The Service over the online servers."""
    ports = {name: port for name, port in PORTS.items() if name != "grpc" or spec.online.grpc}
    return objects.service("feast", namespace, SERVER, {"app.kubernetes.io/name": SERVER}, ports)


def registry_service(namespace: Any) -> Manifest:
    """The Service over the registry servers."""
    ports = {"grpc": (REGISTRY_PORT, "grpc")}
    return objects.service("feast", namespace, REGISTRY, {"app.kubernetes.io/name": REGISTRY}, ports)


def _serving(spec: FeastSpec, around: Around, name: str, *containers: Manifest, volumes: list[Manifest]) -> Manifest:
    """A pod that serves; with `authorization: kubernetes` it asks the API server about tokens."""
    asks = {"automountServiceAccountToken": True} if spec.authorization == "kubernetes" else {}
    return pod(
        around,
        _USER,
        *containers,
        affinity=spread(name),
        terminationGracePeriodSeconds=60,
        volumes=volumes,
        **asks,
    )


def _container(
    image: str, name: str, size: Manifest, env: list[Manifest], *, mounts: list[Manifest] | None = None, **fields: Any
) -> Manifest:
    """A container of Feast with its configuration."""
    config = {"name": "config", "mountPath": _FOLDER, "readOnly": True}
    served: Manifest = {} if "command" in fields else {"lifecycle": {"preStop": {"sleep": {"seconds": 10}}}}
    # A pod that ends is still sent requests until every node knows.
    return container(
        name,
        image,
        size,
        **{"command": ["feast"], **fields},
        **served,
        env=[*env, {"name": "FEAST_FS_YAML_FILE_PATH", "value": f"{_FOLDER}/{FILE}"}],
        volumeMounts=[TMP, config, *(mounts or [])],
    )


def _volumes() -> list[Manifest]:
    return [*scratch(tmp="256Mi"), {"name": "config", "secret": {"secretName": CONFIG}}]


def _port(name: str) -> Manifest:
    return {"name": name, "containerPort": PORTS[name][0]}


def _grpc_probes(port: int, *, asks: bool = True) -> Manifest:
    """By the health service of gRPC, which both of Feast's servers have; where it wants a token, by the open port."""
    probe: Manifest = {"grpc" if asks else "tcpSocket": {"port": port}, "periodSeconds": 10}
    return {
        "startupProbe": {**probe, "periodSeconds": 5, "failureThreshold": 48},
        "readinessProbe": probe,
        "livenessProbe": {**probe, "failureThreshold": 6},
    }
