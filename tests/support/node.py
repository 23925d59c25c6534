"""The real node from within: the networks of its pods."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sandbox.machine import NAMESPACES
from sandbox.processes import run
from tests.support.engine import Stack


def _node_of(stack: Stack) -> list[str]:
    """The words before a command of this machine that make it run in the node's namespaces."""
    node = stack.workspace.cluster.node
    (init,) = [component.pid for component in node.status() if component.name == "init"]
    return ["nsenter", f"--target={init}", *NAMESPACES, "--"]


def network_of(stack: Stack, pod: str) -> list[str]:
    """The words before a command of this machine that make it run in a pod's network."""
    enter = _node_of(stack)
    status = stack.get("pod", pod)["status"]
    container = status["containerStatuses"][0]["containerID"].removeprefix("containerd://")
    tasks = run(*enter, "ctr", "--namespace=k8s.io", "tasks", "list")
    (pid,) = [line.split()[1] for line in tasks.splitlines() if line.startswith(container)]
    # Files and processes are the node's, which are the machine's: a pod need not have a shell.
    return [*enter, "nsenter", f"--target={pid}", "--net", "--"]


_CAPTURE = """
import json, select, socket, struct, sys
mark = sys.argv[1].encode()
packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
begun, connections, marked = set(), {}, False
print("listening", flush=True)
while True:
    ready, _, _ = select.select([packets, sys.stdin], [], [])
    if sys.stdin in ready:
        break
    frame = packets.recv(65535)
    if frame[12:14] != b"\\x08\\x00" or frame[23] != 6:
        continue
    ip = frame[14:]
    tcp = ip[(ip[0] & 15) * 4 : struct.unpack(">H", ip[2:4])[0]]
    key = (socket.inet_ntoa(ip[12:16]), socket.inet_ntoa(ip[16:20]), tcp[:4])
    payload = tcp[(tcp[12] >> 4) * 4 :]
    if tcp[13] & 18 == 2:
        begun.add(key)
    elif payload and key in begun:
        connections.setdefault(key, payload[:2].hex())
    marked = marked or mark in payload
told = [[called, int.from_bytes(ports[2:]), first] for (_, called, ports), first in connections.items()]
print(json.dumps({"connections": told, "marked": marked}))
"""


@dataclass
class Capture:
    """What was seen on the node's network.

    Attributes:
        connections: address and port that was called, and the first two bytes that the caller said, of each connection
            that was opened meanwhile.
        marked: whether the mark was to be read in anything.
    """

    connections: list[tuple[str, int, str]] = field(default_factory=list)
    marked: bool = False


@contextmanager
def capture(stack: Stack, mark: str) -> Iterator[Capture]:
    """Look at every packet between the node's pods; what was seen is there at the end."""
    command = [*_node_of(stack), "python3", "-c", _CAPTURE, mark]
    seen = Capture()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "listening\n"
        try:
            yield seen
        finally:
            told, _ = process.communicate("", timeout=30)
    found = json.loads(told)
    seen.connections = [(called, port, first) for called, port, first in found["connections"]]
    seen.marked = found["marked"]
