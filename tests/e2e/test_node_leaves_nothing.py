"""A real node leaves nothing on the machine: no process, namespace, mount, link, route, rule, file or setting."""

import os
import signal
from contextlib import suppress
from pathlib import Path

from sandbox import configs
from sandbox.cluster import Cluster
from sandbox.processes import run
from sandbox.tools import Toolbox
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


def left(before: dict[str, set[str]], cluster: Cluster) -> dict[str, set[str]]:
    """What is there now and was not before; the kernel takes a moment to take a network namespace apart."""
    found: dict[str, set[str]] = {}

    def nothing() -> bool:
        now = machine_state()
        # Namespaces of other programs end when they want; of all else, what is gone counts as much as what is new.
        changed = {what: now[what] - before[what] if what == "namespaces" else now[what] ^ before[what] for what in now}
        changed["processes"] = processes_of(cluster.directory)
        found.clear()
        found.update({what: differences for what, differences in changed.items() if differences})
        return not found

    eventually(nothing, seconds=10)
    return found


def processes_of(directory: Path) -> set[str]:
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            if str(directory).encode() in told and int(process.name) != os.getpid():
                found.add(f"{process.name} {(process / 'comm').read_text().strip()}")
    return found


def test_up_and_down_twice_and_a_crash_leave_nothing_behind(real_toolbox: Toolbox, tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "cluster", real_toolbox, real=True)
    before = machine_state()
    for crash in (False, False, True):
        try:
            cluster.up()
            cluster.kubectl("run", "sleeper", f"--image={configs.BUSYBOX}", "--command", "--", "/bin/sleep", "1000")
            cluster.kubectl("wait", "--for=condition=Ready", "pod/sleeper", "--timeout=60s")
            assert machine_state() != before
            if crash:
                for line in processes_of(cluster.directory):
                    with suppress(ProcessLookupError):
                        os.kill(int(line.split()[0]), signal.SIGKILL)
        finally:
            cluster.down()
        assert left(before, cluster) == {}
        assert not cluster.directory.exists()
