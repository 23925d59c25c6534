"""Where a run goes, and what it meets there: what the cluster has to say before anything is declared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from components.kube.connection import Connection, ConnectionFailedError

SANDBOX_CONTEXT = "ml-platform-sandbox"
"""The context in the sandbox's own kubeconfig; a name no other cluster has, so none is met by accident."""

_CONFIG_MAP_BYTES = 1_000_000
# The API server's limit is 1 MiB with names and metadata.
_API_SERVER = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"
# Kept by the API server itself: where the Service `kubernetes` leads.


@dataclass(frozen=True)
class Target:
    """Where a run goes, and what it meets there.

    Attributes:
        connection: the cluster.
        crds_stack: the stack that owns the cluster's CRDs.
        ray_cluster: the RayCluster that is already there, as the API server returns it; None on a first run.
        ray_pods: the names of its pods.
        feature_repository: the files of the feature repository, by name.
        api_server: the addresses that the API server has for pods, and its port.
    """

    connection: Connection
    crds_stack: str
    ray_cluster: Mapping[str, Any] | None
    ray_pods: frozenset[str]
    feature_repository: Mapping[str, str]
    api_server: Sequence[tuple[str, int]]


def look(
    kind: Literal["sandbox", "existing"],
    context: str | None,
    *,
    stack: str,
    namespace: str,
    ray_cluster: str,
    crds_stack: str,
    feature_repository: Mapping[str, str],
) -> Target:
    """Ask the cluster for what a run has to know.

    Args:
        kind: of the cluster, as `cluster.kind` says.
        context: of the kubeconfig, as `kubernetes:context` says.
        stack: for what a message says.
        namespace: of the platform.
        ray_cluster: name of its RayCluster.
        crds_stack: see `Target`.
        feature_repository: see `Target`.

    Raises:
        ConnectionFailedError: the context does not go with the kind or leads nowhere, or the cluster does not answer.
    """
    context = _context(kind, context, stack)
    try:
        connection = Connection.to(context)
        cluster = connection.read(f"/apis/ray.io/v1/namespaces/{namespace}/rayclusters/{ray_cluster}")
        pods = f"/api/v1/namespaces/{namespace}/pods?labelSelector=ray.io/cluster%3D{ray_cluster}"
        listed = (connection.read(pods) or {}).get("items", []) if cluster else []
        api_server = _addresses(connection.read(_API_SERVER) or {})
    except ConnectionFailedError as problem:
        hint = "start the sandbox with `make up`" if kind == "sandbox" else "check KUBECONFIG and the cluster"
        raise ConnectionFailedError(f"{problem}; {hint}") from problem
    if not api_server:
        raise ConnectionFailedError(f"the cluster does not say where its API server is ({_API_SERVER} is empty)")
    return Target(
        connection=connection,
        crds_stack=crds_stack,
        ray_cluster=cluster,
        ray_pods=frozenset(pod["metadata"]["name"] for pod in listed),
        feature_repository=feature_repository,
        api_server=api_server,
    )


def _context(kind: str, context: str | None, stack: str) -> str:
    """The context to use; a sandbox is never met by accident, nor another cluster in its place."""
    if kind == "existing" and not context:
        raise ConnectionFailedError(
            "is missing, and ml-platform:cluster.kind is 'existing': name the context of the cluster, with "
            f"`pulumi config set kubernetes:context NAME --stack {stack}`"
        )
    if kind == "sandbox" and context not in {None, SANDBOX_CONTEXT}:
        raise ConnectionFailedError(
            f"is '{context}', but ml-platform:cluster.kind is 'sandbox': remove the context, or set "
            "ml-platform:cluster.kind to 'existing'"
        )
    return context or SANDBOX_CONTEXT


def feature_repository(folder: str, root: Path = Path()) -> dict[str, str]:
    """The files of a feature repository by name: its Python files, and its SQL.

    Args:
        folder: from `root`.
        root: the program's own folder, which is where Pulumi runs it.

    Raises:
        ValueError: it is not there, has no Python file, or is more than a ConfigMap holds.
    """
    files = {
        path.name: path.read_text() for path in sorted((root / folder).glob("*")) if path.suffix in {".py", ".sql"}
    }
    if not any(name.endswith(".py") for name in files):
        raise ValueError(f"there is no Python file in '{folder}': name the folder of a feature repository")
    size = sum(len(text.encode()) for text in files.values())
    if size > _CONFIG_MAP_BYTES:
        raise ValueError(f"the files in '{folder}' have {size} bytes, and a ConfigMap holds {_CONFIG_MAP_BYTES}")
    return files


def _addresses(endpoint_slice: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Addresses and ports of an EndpointSlice."""
    return [
        (address, port["port"])
        for port in endpoint_slice.get("ports", [])
        for endpoint in endpoint_slice.get("endpoints", [])
        for address in endpoint["addresses"]
    ]
