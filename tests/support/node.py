"""The real node from within: the networks of its pods."""

from sandbox.machine import NAMESPACES
from sandbox.processes import run
from tests.support.engine import Stack


def network_of(stack: Stack, pod: str) -> list[str]:
    """The words before a command of this machine that make it run in a pod's network."""
    node = stack.workspace.cluster.node
    (init,) = [component.pid for component in node.status() if component.name == "init"]
    enter = ["nsenter", f"--target={init}", *NAMESPACES, "--"]
    status = stack.get("pod", pod)["status"]
    container = status["containerStatuses"][0]["containerID"].removeprefix("containerd://")
    tasks = run(*enter, "ctr", "--namespace=k8s.io", "tasks", "list")
    (pid,) = [line.split()[1] for line in tasks.splitlines() if line.startswith(container)]
    # Files and processes are the node's, which are the machine's: a pod need not have a shell.
    return [*enter, "nsenter", f"--target={pid}", "--net", "--"]
