"""What the processes of a sandbox achieve: whether its API server, nodes and real pods are well, and their memory."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client, config
from kubernetes.client import ApiException
from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError

from sandbox.configs import NAME

_SECONDS = 10


@dataclass(frozen=True)
class Health:
    """One line of `status`; memory in MiB, None where nothing counts it."""

    name: str
    well: bool
    told: str
    memory: int | None = None


def health(kubeconfig: Path) -> list[Health]:
    """The API server, every node, and every pod that runs for real.

    Args:
        kubeconfig: of the sandbox.
    """
    try:
        core = client.CoreV1Api(config.new_client_from_config(str(kubeconfig)))
        nodes = core.list_node(_request_timeout=_SECONDS).items
        pods = core.list_pod_for_all_namespaces(field_selector=f"spec.nodeName={NAME}", _request_timeout=_SECONDS).items
    except (ApiException, ConfigException, HTTPError) as error:
        return [Health("API server", well=False, told=f"does not answer: {str(error).splitlines()[0]}")]
    memory = _memory(core) if pods else {}
    return [Health("API server", well=True, told="answers"), *_nodes(nodes), *_pods(pods, memory)]


def _nodes(nodes: list[Any]) -> Iterator[Health]:
    for node in nodes:
        ready = _condition(node, "Ready")
        kind = "real" if node.metadata.name == NAME else "simulated"
        yield Health(f"node {node.metadata.name}", ready, f"{'ready' if ready else 'not ready'}, {kind}")


def _pods(pods: list[Any], memory: dict[str, int]) -> Iterator[Health]:
    for pod in pods:
        done = pod.status.phase == "Succeeded"
        well = done or _condition(pod, "Ready")
        told = "completed" if done else "ready" if well else f"not ready ({pod.status.phase})"
        yield Health(f"pod {pod.metadata.namespace}/{pod.metadata.name}", well, told, memory.get(pod.metadata.uid))


def _condition(thing: Any, kind: str) -> bool:
    return any(each.type == kind and each.status == "True" for each in thing.status.conditions or [])


def _memory(core: Any) -> dict[str, int]:
    """Working set by pod, as the kubelet's summary has it; nothing where the kubelet is down, which its node tells."""
    try:
        answer = core.connect_get_node_proxy_with_path(
            NAME, "stats/summary", _preload_content=False, _request_timeout=_SECONDS
        )
    except (ApiException, HTTPError):
        return {}
    pods = json.loads(answer.data)["pods"]
    return {each["podRef"]["uid"]: each.get("memory", {}).get("workingSetBytes", 0) >> 20 for each in pods}
