"""What a cluster may have beside the platform, as its owners would have installed it.

Istio every sandbox has (`sandbox.istio`). Of the others the API server knows the CRDs, and nobody acts on their
objects; but the Prometheus operator does on its own, in its pod or beside the control plane (`sandbox.controllers`).
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sandbox.cluster import Cluster

TOOLS = {
    "gateway-api": "gateway-crds",
    "cert-manager": "cert-manager-crds",
    "kong": "kong-crds",
    "prometheus-operator": "monitoring-crds",
}
"""The tool that holds the CRDs, by the addon's name in `ml-platform:cluster.addons`."""

_OPERATORS = {"prometheus-operator": ("monitoring-role", Path(__file__).with_name("monitoring.yaml"))}
"""The tool that holds an operator's role, and its other manifests, by the addon's name."""

_APPLY = ("apply", "--server-side", "--force-conflicts")

LOG_AGENTS = Path(__file__).with_name("log-agents.yaml")
"""What hands on what containers print."""


def named(config: Mapping[str, Any]) -> list[str]:
    """What a stack's configuration says that its cluster has; none where it says that wrongly: the program tells so."""
    cluster = config.get("ml-platform:cluster")
    listed = cluster.get("addons") if isinstance(cluster, dict) else None
    return [str(each) for each in listed] if isinstance(listed, list) else []


def install(cluster: Cluster, addons: Iterable[str]) -> None:
    """Apply the CRDs of addons, wait until the API server knows them, and start their operators.

    A name that is none of ours is left out.
    """
    wanted = [addon for addon in addons if addon in TOOLS]
    for addon in wanted:
        _apply(cluster, cluster.toolbox.homes[TOOLS[addon]])
    if wanted:
        cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    for addon in wanted:
        if addon in _OPERATORS:
            role, manifests = _OPERATORS[addon]
            _apply(cluster, cluster.toolbox.homes[role])
            _apply(cluster, manifests)


def install_log_agents(cluster: Cluster, url: str) -> None:
    """Start a log agent on every node and wait until all run.

    Args:
        cluster: with a real node, where the agents read the log files of pods.
        url: where they hand on what containers print (OTLP over HTTP).

    Raises:
        ClusterError: one does not run within a minute.
    """
    manifests = LOG_AGENTS.read_text().replace("LOGS_URL", url).replace("POD_LOGS", str(cluster.node.pod_logs))
    cluster.kubectl(*_APPLY, "--filename", "-", stdin=manifests)
    cluster.kubectl("--namespace=log-agents", "rollout", "status", "daemonset/log-agent", "--timeout=60s")


def _apply(cluster: Cluster, manifests: Path) -> None:
    cluster.kubectl(*_APPLY, "--filename", str(manifests))
