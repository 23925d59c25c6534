"""The addresses of a real node: one block of its own, that nothing else on the machine uses.

All of it lies in the node's own network namespace. The machine itself gets one link with one address and one route,
which vanish with the namespace.
"""

import hashlib
import ipaddress
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.processes import ClusterError, run

BLOCKS = ("10.213.0.0/16", "10.214.0.0/16", "10.215.0.0/16", "172.29.0.0/16", "172.28.0.0/16")
"""Where a node may live; the first that is free is taken."""

DNS = "169.254.20.10"
"""The cluster's DNS, on the address that NodeLocal DNSCache has on every node that runs it."""


@dataclass(frozen=True)
class Network:
    """One block of addresses and how it is divided.

    Attributes:
        block: a /16 of BLOCKS.
    """

    block: ipaddress.IPv4Network

    @property
    def machine(self) -> str:
        """The machine's end of the link."""
        return str(self.block[1])

    @property
    def node(self) -> str:
        """The node's end of the link: kubelet and the way to the API server."""
        return str(self.block[2])

    @property
    def pods(self) -> str:
        """Addresses of pods that run."""
        return f"{self.block[256]}/24"

    @property
    def services(self) -> str:
        """Addresses of Services; the first is the API server's."""
        return f"{self.block[0x4000]}/18"

    @property
    def api_service(self) -> str:
        """The Service `kubernetes`, which every client in a pod uses."""
        return str(self.block[0x4001])

    @property
    def simulated(self) -> str:
        """Addresses of simulated pods, as kwok wants them; nothing answers there."""
        return f"{self.block[0x8001]}/17"


def choose() -> Network:
    """The first block that no address and no route of this machine touches.

    Raises:
        ClusterError: all are taken.
    """
    return Network(first_free(BLOCKS, _used()))


def first_free(blocks: Sequence[str], used: Iterable[str]) -> ipaddress.IPv4Network:
    """The first block that overlaps nothing in `used`; a default route is in nobody's way.

    Raises:
        ClusterError: all are taken.
    """
    taken = [network for text in used if (network := ipaddress.IPv4Network(text, strict=False)).prefixlen]
    for text in blocks:
        block = ipaddress.IPv4Network(text)
        if not any(block.overlaps(network) for network in taken):
            return block
    raise ClusterError(f"no free range of addresses for the node: each of {', '.join(blocks)} is in use (`ip route`)")


def link_name(directory: Path) -> str:
    """The machine's end of the link, unique for a sandbox; the kernel allows 15 characters."""
    return f"mlp-{hashlib.sha256(str(directory).encode()).hexdigest()[:8]}"


def connect(link: str, init: int, network: Network) -> None:
    """Join the network namespace of process `init` to this machine, and to nothing else.

    The namespace has no default route: what runs there reaches this machine, itself, and nothing beyond.

    Raises:
        ClusterError: a step failed; the message is the tool's.
    """
    run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", str(init))
    run("ip", "address", "add", f"{network.machine}/30", "dev", link)
    run("ip", "link", "set", link, "up")
    run("ip", "route", "add", str(network.block), "via", network.node, "dev", link)
    inside = ("nsenter", f"--target={init}", "--net", "--")
    run(*inside, "ip", "link", "set", "lo", "up")
    run(*inside, "ip", "address", "add", f"{DNS}/32", "dev", "lo")
    run(*inside, "ip", "address", "add", f"{network.node}/30", "dev", "eth0")
    run(*inside, "ip", "link", "set", "eth0", "up")
    # Without a route a process of the node could not begin to speak to a Service: kube-proxy works on the packet.
    run(*inside, "ip", "route", "add", network.services, "dev", "eth0")
    run(*inside, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")


def _used() -> list[str]:
    routes = json.loads(run("ip", "-4", "-json", "route", "show", "table", "all") or "[]")
    links = json.loads(run("ip", "-4", "-json", "address", "show") or "[]")
    found = [route["dst"] for route in routes if route.get("dst", "default") != "default"]
    for link in links:
        found += [f"{info['local']}/{info['prefixlen']}" for info in link.get("addr_info", []) if "local" in info]
    return found
