"""What a sandbox could leave on this machine: processes, namespaces, mounts, links, routes, rules, files, settings."""

import os
import signal
from contextlib import suppress
from pathlib import Path

from sandbox import configs
from sandbox.processes import run
from tests.support.engine import eventually

TOUCHED = (
    "/etc/cni",
    "/opt",
    "/run/containerd",
    "/run/netns",
    "/usr/libexec",
    "/var/lib",
    "/var/log",
    "/var/run/netns",
)
"""Where kubelet, containerd and CNI plugins write when nobody stops them."""


def namespaces() -> set[str]:
    """Every namespace of the machine that a process is in."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/ns/*"):
        with suppress(OSError):
            if link.name in {"net", "mnt", "pid"}:
                found.add(str(link.readlink()))
    return found


def machine_state() -> dict[str, set[str]]:
    """All that a node could leave on the machine."""
    mounts = {line.split(" ", 2)[2] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    paths = {Path("/"), Path("/etc"), Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()}
    listed = {str(child) for path in paths if path.is_dir() for child in path.iterdir()}
    listed |= {str(child) for top in TOUCHED for depth in ("*", "*/*") for child in Path(top).glob(depth)}
    settings = [*configs.SYSCTLS, "net/ipv4/ip_forward", "net/ipv4/conf/all/route_localnet"]
    return {
        "namespaces": namespaces(),
        "mounts": mounts,
        "links": {line.split(":")[1].strip() for line in run("ip", "-o", "link").splitlines()},
        "addresses": {line.split("\\")[0] for line in run("ip", "-o", "address").splitlines()},
        "routes": set(run("ip", "route", "show", "table", "all").splitlines()),
        "named network namespaces": set(run("ip", "netns", "list").splitlines()),
        "firewall rules": {
            f"{kind} {line}"
            for kind in ("iptables-nft-save", "iptables-legacy-save")
            for line in run(kind).splitlines()
            if line.startswith(("-A", ":KUBE"))
        },
        "paths": listed,
        "kernel settings": {f"{name}={Path('/proc/sys', name).read_text().strip()}" for name in settings},
    }


def left(before: dict[str, set[str]], directory: Path) -> dict[str, set[str]]:
    """What is there now and was not before; the kernel takes a moment to take a network namespace apart."""
    found: dict[str, set[str]] = {}

    def nothing() -> bool:
        now = machine_state()
        # Namespaces of other programs end when they want; of all else, what is gone counts as much as what is new.
        changed = {what: now[what] - before[what] if what == "namespaces" else now[what] ^ before[what] for what in now}
        changed["processes"] = processes_of(directory)
        found.clear()
        found.update({what: differences for what, differences in changed.items() if differences})
        return not found

    eventually(nothing, seconds=10)
    return found


def processes_of(directory: Path) -> set[str]:
    """Every process that knows a directory, with its name."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            if str(directory).encode() in told and int(process.name) != os.getpid():
                found.add(f"{process.name} {(process / 'comm').read_text().strip()}")
    return found


def kill(processes: set[str]) -> None:
    """Kill what `processes_of` has found, without a word; what has ended meanwhile is fine."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(int(process.split()[0]), signal.SIGKILL)
