"""The CRDs of what a cluster may have beside the platform, as its owners would have installed them.

Nobody acts on the objects: only Istio runs here, and the sandbox has that anyway.
"""

from collections.abc import Iterable

from sandbox.cluster import Cluster

TOOLS = {"gateway-api": "gateway-crds", "cert-manager": "cert-manager-crds", "kong": "kong-crds"}
"""The tool that holds the CRDs, by the addon's name in `ml-platform:cluster.addons`."""


def install(cluster: Cluster, addons: Iterable[str]) -> None:
    """Apply the CRDs of addons, and wait until the API server knows them; a name that is none of ours is left out."""
    tools = [TOOLS[addon] for addon in addons if addon in TOOLS]
    for tool in tools:
        cluster.kubectl("apply", "--server-side", "--filename", str(cluster.toolbox.homes[tool]))
    if tools:
        cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
