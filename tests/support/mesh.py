"""A stack's namespace as the mesh sees it."""

import json
import os
import subprocess
from typing import Any

from components.kube.access import AccessTable
from tests.support.access import Difference, differences
from tests.support.engine import Stack, settings

_KINDS = "networkpolicies,peerauthentications,authorizationpolicies,destinationrules,services"
_API_SERVER = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"


def analysed(stack: Stack) -> str:
    """What `istioctl analyze` says of the live namespace, down to mere information."""
    cluster = stack.workspace.cluster
    command = [str(cluster.toolbox.binary("istioctl")), "analyze", "--namespace", stack.namespace, "--color=false"]
    # Where pods are simulated, istiod is a process, and its webhooks have addresses instead of a Service.
    command += ["--suppress", "IST0164=*"]
    env = {**os.environ, **cluster.kubectl_environment, "HOME": str(cluster.directory)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=env)
    return (done.stdout + done.stderr).strip()


def table_of(stack: Stack) -> AccessTable:
    """The access table of a stack on its cluster."""
    found = json.loads(stack.kubectl("get", "--raw", _API_SERVER))
    addresses = [each["addresses"][0] for each in found["endpoints"]]
    return settings(stack).access([(address, found["ports"][0]["port"]) for address in addresses])


def misread(stack: Stack) -> list[Difference]:
    """Where the objects that are in force differ from the access table."""
    listed = [stack.get(_KINDS), json.loads(stack.workspace.cluster.kubectl(*_everywhere()))]
    return list(differences(table_of(stack), [each for found in listed for each in found["items"]]))


def _everywhere() -> list[str]:
    """What Istio would apply to every namespace."""
    kinds = "peerauthentications,authorizationpolicies,destinationrules"
    return ["get", kinds, "--namespace=istio-system", "--output=json"]


def expected(stack: Stack, pod: str) -> dict[str, set[str]]:
    """By host of the namespace, the accounts whose certificates the pod's proxy takes there, as the proxy has it."""
    words = ("pilot-agent", "request", "GET", "config_dump")
    dump = json.loads(stack.kubectl("exec", pod, "--container=istio-proxy", "--", *words))
    home = f"/ns/{stack.namespace}/sa/"
    found: dict[str, set[str]] = {}
    for part in dump["configs"]:
        for each in part.get("dynamic_active_clusters", []):
            way, _, _, host = [*each["cluster"]["name"].split("|"), "", "", ""][:4]
            if way == "outbound" and host.endswith(f".{stack.namespace}.svc.cluster.local"):
                tls = each["cluster"]["transport_socket"]["typed_config"]["common_tls_context"]
                names = tls["combined_validation_context"]["default_validation_context"]["match_subject_alt_names"]
                found.setdefault(host, set()).update(name["exact"].partition(home)[2] for name in names)
    return found


def sidecar(pod: dict[str, Any]) -> dict[str, Any]:
    """The container of a pod that is its sidecar.

    Raises:
        AssertionError: it has none, or one that does not start before the others and end after them.
    """
    (found,) = [each for each in pod["spec"].get("initContainers", []) if each["name"] == "istio-proxy"]
    assert found["restartPolicy"] == "Always"
    container: dict[str, Any] = found
    return container
