"""Who may talk to whom: the one table.

"May X talk to Y?": look for the row. What no row admits is denied. Rows for others than the platform's own workloads
come from `ml-platform:mesh` in the stack's file. docs/access.md shows the table of each stack, with numbers.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from components.feast.manifests import workloads as feast_workloads
from components.feast.spec import FeastSpec
from components.gateway.manifests import access_token
from components.gateway.spec import GatewaySpec
from components.kube.access import EVERYONE, EVERYONES_PORTS, SIDECAR, Access, AccessTable, Neighbour, Port, Workload
from components.mesh.spec import MeshSpec
from components.mlflow.manifests import workloads as mlflow_workloads
from components.mlflow.spec import MLflowSpec
from components.observability import manifests as observability
from components.observability.backends.alertmanager import ALERTMANAGER
from components.observability.backends.grafana import GRAFANA
from components.observability.backends.jaeger import JAEGER
from components.observability.backends.jaeger import store as trace_store
from components.observability.backends.kube_state_metrics import STATE
from components.observability.backends.loki import AGENTS, LOKI
from components.observability.backends.prometheus import KUBELET, PROMETHEUS, exporting
from components.observability.spec import ObservabilitySpec, TracesSpec
from components.ray.manifests import workloads as ray_workloads
from components.ray.spec import RaySpec
from components.stores import manifests as stores
from components.stores.spec import StoresSpec
from components.tenancy.spec import TenancySpec

CLIENT_LABELS = {"ml-platform/client": "true"}
"""A pod of another team in the platform's namespace that has them may use what the platform serves."""

_RAY = ("node-manager", "object-manager", "runtime-env", "agent-grpc", "agent", "workers")
_SERVED = {
    "mlflow": ("http",),
    "feast-server": ("http", "grpc"),
    "feast-registry": ("grpc",),
    "ray-head": ("dashboard", "client", "serve"),
    PROMETHEUS: ("http",),
    JAEGER: ("http", "otlp"),
    GRAFANA: ("http",),
}

_GATEWAY = "gateway"

_Row = tuple[str, str, tuple[str, ...], str]

_ROWS: tuple[_Row, ...] = (
    (EVERYONE, "cluster-dns", ("dns", "dns-tcp"), "Names of Services"),
    (EVERYONE, "istiod", ("xds",), "Sidecars get certificates and policies"),
    ("ray-head", "ray-worker", _RAY, "One Ray: tasks, objects, logs"),
    ("ray-worker", "ray-head", ("gcs", *_RAY), "One Ray: joining, tasks, objects"),
    ("ray-worker", "ray-worker", _RAY, "One Ray: objects go from worker to worker"),
    ("ray-head", "api-server", ("https",), "The autoscaler adds and removes workers"),
    ("ray-cleanup", "redis", ("redis",), "Empties Redis of a cluster that goes"),
    ("ray-ready", "api-server", ("https",), "Sees when all pods of Ray are ready"),
    ("kuberay-operator", "api-server", ("https",), "Watches RayClusters and makes their pods"),
    ("kuberay-operator", "ray-head", ("dashboard", "serve"), "Sends RayJobs, looks after RayServices"),
    ("ray-head", "mlflow", ("http",), "Drivers of jobs log runs"),
    ("ray-worker", "mlflow", ("http",), "Tasks log runs"),
    ("ray-head", "feast-server", ("http", "grpc"), "Drivers of jobs read features"),
    ("ray-worker", "feast-server", ("http", "grpc"), "Tasks and served models read features"),
    ("ray-head", "feast-registry", ("grpc",), "Drivers of jobs look up feature views"),
    ("ray-worker", "feast-registry", ("grpc",), "Tasks look up feature views"),
    ("ray-head", "object-store", ("object-store",), "Checkpoints and results in the bucket of Ray"),
    ("ray-worker", "object-store", ("object-store",), "Checkpoints and results in the bucket of Ray"),
    ("mlflow", "postgres", ("postgres",), "Experiments, models, users"),
    ("mlflow", "object-store", ("object-store",), "Artifacts, for which clients ask the server"),
    ("mlflow-backup", "postgres", ("postgres",), "Dumps the databases before a migration"),
    ("mlflow-backup", "object-store", ("object-store",), "Keeps the dumps"),
    ("mlflow-migrate", "postgres", ("postgres",), "Migrates the databases"),
    ("mlflow-gc", "postgres", ("postgres",), "Finds what users have deleted"),
    ("mlflow-gc", "mlflow", ("http",), "Removes artifacts through the server"),
    ("mlflow-gc", "object-store", ("object-store",), "Removes artifacts"),
    ("feast-server", "postgres", ("postgres",), "The registry, and rows of the offline store"),
    ("feast-server", "redis", ("redis",), "The online store"),
    ("feast-registry", "postgres", ("postgres",), "The registry"),
    ("feast-apply", "postgres", ("postgres",), "Writes the registry, makes tables"),
    ("feast-apply", "redis", ("redis",), "Removes views that are gone"),
    ("feast-materialize", "postgres", ("postgres",), "Reads the offline store"),
    ("feast-materialize", "redis", ("redis",), "Writes the online store"),
    ("databases", "postgres", ("postgres",), "Makes databases and roles"),
    ("buckets", "object-store", ("object-store",), "Makes buckets"),
    *(("clients", target, ports, "Workloads of other teams in the namespace") for target, ports in _SERVED.items()),
)
"""Source, target, ports of the target, why. A row is left out where a stack lacks one of its ends or ports."""


def access_table(
    *,
    tenancy: TenancySpec,
    stores_spec: StoresSpec,
    mlflow: MLflowSpec,
    feast: FeastSpec,
    ray: RaySpec,
    mesh: MeshSpec,
    gateway: GatewaySpec | None = None,
    watch: ObservabilitySpec | None = None,
    api_server: Sequence[tuple[str, int]] = (),
) -> AccessTable:
    """The table of one stack.

    Args:
        tenancy: whose accounts clients have.
        stores_spec: decides which stores are neighbours.
        mlflow: its settings.
        feast: its settings.
        ray: its settings.
        mesh: further neighbours and rows.
        gateway: the way in from outside.
        watch: how the platform is watched.
        api_server: addresses and port of the API server.
    """
    workloads = (
        *ray_workloads(ray),
        *mlflow_workloads(mlflow, watched=watch is not None),
        *feast_workloads(feast),
        *stores.workloads(stores_spec, watched=watch is not None),
        *observability.workloads(watch),
        Workload("clients", CLIENT_LABELS, tenancy.service_accounts),
    )
    istiod = (_istiod(mesh),) if tenancy.mesh_injection else ()
    around = _neighbours(stores_spec, mlflow, feast, mesh, api_server)
    others = (*istiod, *around, *_proxies(gateway), *observability.neighbours(watch))
    ends: list[Workload | Neighbour] = [*workloads, *others]
    ports = {end.name: end.ports for end in ends}
    own = [Access(*row) for row in (*_ROWS, *_by_choice(ray, feast), *_teams(mlflow, feast))]
    own += _from_outside(gateway) if gateway else ()
    own += _watched(watch, workloads, sidecars=tenancy.mesh_injection) if watch else ()
    own += _shown(watch) if watch else ()
    own += _traced(watch.traces, gateway, sidecars=mesh.tracing is not None) if watch and watch.traces else ()
    further = [
        Access(row.source, row.target, row.ports, row.why, plain_text=bool(row.plain_text)) for row in mesh.access
    ]
    return AccessTable(tenancy.namespace, workloads, others, (*_there(own, ports), *further))


def _by_choice(ray: RaySpec, feast: FeastSpec) -> Iterator[_Row]:
    """Rows that a setting asks for."""
    if ray.gcs_fault_tolerance:
        yield "ray-head", "redis", ("redis",), "The cluster's state outlives the head"
    if feast.authorization == "kubernetes":
        for server in ("feast-server", "feast-registry"):
            yield server, "api-server", ("https",), "Asks whose a token is"
    if feast.authorization == "oidc":
        for server in ("feast-server", "feast-registry"):
            yield server, "identity-provider", ("https",), "Fetches the keys that tokens are signed with"


def _teams(mlflow: MLflowSpec, feast: FeastSpec) -> Iterator[_Row]:
    """Rows of the namespaces that have a client's ConfigMap."""
    for namespace in mlflow.client_namespaces:
        yield _team(namespace), "mlflow", _SERVED["mlflow"], "Clients in another namespace (mlflow.clientNamespaces)"
    for namespace in feast.client_namespaces:
        for server in ("feast-server", "feast-registry"):
            yield _team(namespace), server, _SERVED[server], "Clients in another namespace (feast.clientNamespaces)"


def _from_outside(gateway: GatewaySpec) -> Iterator[Access]:
    """Rows of the gateway's proxies."""
    paths = gateway.api.paths if gateway.api else {}
    if "serve" in paths:
        yield Access(_GATEWAY, "ray-head", ("serve",), "Asks served models, for clients outside (gateway.api)")
    if "features" in paths:
        yield Access(_GATEWAY, "feast-server", ("http",), "Reads features, for clients outside (gateway.api)")
    if gateway.mlflow and gateway.cloudflare_access:
        why = "Users outside, each request with Cloudflare Access' token, which MLflow's sidecar verifies"
        yield Access(_GATEWAY, "mlflow", ("http",), why, access_token(gateway.cloudflare_access))
    elif gateway.mlflow:
        yield Access(_GATEWAY, "mlflow", ("http",), "Users outside (gateway.mlflow)")


def _watched(watch: ObservabilitySpec, workloads: Iterable[Workload], *, sidecars: bool) -> Iterator[Access]:
    """Rows of who watches."""
    if watch.prometheus.managed:
        yield Access(PROMETHEUS, "api-server", ("https",), "Finds what is to be scraped")
        yield Access(PROMETHEUS, KUBELET, ("https",), "Scrapes what kubelets tell of containers and volumes")
        yield Access(STATE, "api-server", ("https",), "Watches the objects whose state it tells")
        if watch.prometheus.managed.alertmanager:
            yield Access(PROMETHEUS, ALERTMANAGER, ("http",), "Tells it which alerts fire")
        for exporter in watch.exporters:
            yield Access(PROMETHEUS, exporting(exporter), ("metrics",), "Scrapes its metrics")
    for workload in workloads:
        if workload.metrics:
            yield Access(PROMETHEUS, workload.name, tuple(workload.metrics), "Scrapes its metrics")
    if sidecars:
        yield Access(PROMETHEUS, EVERYONE, (SIDECAR,), "Scrapes the metrics of sidecars")
    if watch.logs:
        for source in ("ray-head", "ray-worker"):
            yield Access(source, LOKI, ("http",), "Its log agent hands on what Ray writes")
        if watch.logs.loki.managed and watch.logs.loki.managed.node_agents:
            yield Access(AGENTS, LOKI, ("http",), "Hand on what containers print (observability.logs.loki)")


def _shown(watch: ObservabilitySpec) -> Iterator[Access]:
    """Rows of the platform's own Grafana."""
    if watch.dashboards and watch.dashboards.grafana.managed:
        yield Access(GRAFANA, PROMETHEUS, ("http",), "Asks for what panels show")
        if watch.logs:
            yield Access(GRAFANA, LOKI, ("http",), "Asks for logs")
        if watch.traces and watch.traces.store.managed:
            yield Access(GRAFANA, JAEGER, ("http",), "Asks for traces")


def _traced(traces: TracesSpec, gateway: GatewaySpec | None, *, sidecars: bool) -> Iterator[Access]:
    """Rows of who tells of the requests that it serves."""
    store = trace_store(traces)
    for source in ("ray-head", "ray-worker", "mlflow", "feast-server"):
        yield Access(source, store, ("otlp",), "Tells of the requests that it serves")
    if sidecars:
        yield Access(EVERYONE, store, ("otlp",), "Sidecars tell of the requests that pass them (mesh.tracing)")
    if gateway and traces.store.managed:
        yield Access(_GATEWAY, store, ("otlp",), "Tells of the requests that come from outside")


def _there(rows: Iterable[Access], ports: Mapping[str, Mapping[str, Port]]) -> Iterator[Access]:
    """The rows whose ends the stack has, with the ports that it has."""
    ports = {**ports, EVERYONE: EVERYONES_PORTS}
    for row in rows:
        if row.source in ports and row.target in ports:
            there = tuple(port for port in row.ports if port in ports[row.target])
            if there:
                yield replace(row, ports=there)


def _istiod(mesh: MeshSpec) -> Neighbour:
    return Neighbour("istiod", namespace=mesh.control_plane, labels={"app": "istiod"}, ports={"xds": Port(15012)})


def _neighbours(
    stores_spec: StoresSpec, mlflow: MLflowSpec, feast: FeastSpec, mesh: MeshSpec, api_server: Sequence[tuple[str, int]]
) -> Iterator[Neighbour]:
    yield Neighbour(
        "cluster-dns",
        namespace="kube-system",
        labels={"k8s-app": "kube-dns"},
        cidrs=mesh.dns,
        ports={"dns": Port(53, "udp"), "dns-tcp": Port(53)},
    )
    yield Neighbour(
        "api-server",
        cidrs=mesh.api_server or tuple(f"{address}/32" for address, _ in api_server),
        ports={"https": Port(api_server[0][1] if api_server else 443, "https")},
    )
    yield from stores.neighbours(stores_spec)
    if feast.oidc:
        yield Neighbour("identity-provider", ports={"https": Port(urlsplit(feast.oidc.discovery_url).port or 443)})
    for namespace in sorted({*mlflow.client_namespaces, *feast.client_namespaces}):
        yield Neighbour(_team(namespace), namespace=namespace)
    for other in mesh.neighbours:
        yield Neighbour(
            other.name,
            namespace=other.namespace,
            labels=other.labels,
            accounts=(other.service_account,) if other.service_account else (),
            cidrs=other.cidrs,
            ports={name: Port(port) for name, port in other.ports.items()},
        )


def _proxies(gateway: GatewaySpec | None) -> Iterator[Neighbour]:
    if gateway:
        pods = gateway.proxies
        yield Neighbour(_GATEWAY, namespace=pods.namespace, labels=pods.labels, accounts=(pods.service_account,))


def _team(namespace: str) -> str:
    return f"namespace-{namespace}"
