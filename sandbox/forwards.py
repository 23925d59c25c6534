"""Addresses that a person can open: ports of loopback that lead to Services, for as long as the sandbox lives.

Run as `python -m sandbox.forwards DIRECTORY KUBECTL NAMESPACE PORT:SERVICE:REMOTE...` by `open_addresses`.
"""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from sandbox import processes
from sandbox.cluster import Cluster
from sandbox.controllers import Runner


def open_addresses(cluster: Cluster, namespace: str, services: Mapping[str, int]) -> dict[str, str]:
    """Forward a port of loopback to each Service, unless that is done already.

    Args:
        cluster: whose Services.
        namespace: where they are.
        services: name of a Service to its port; the same port is used here where it is free.

    Returns:
        The address of each Service.

    Raises:
        ClusterError: the forwarding did not start.
    """
    directory = cluster.directory
    chosen = directory / "forwards.ports"
    running = processes.component("forwards", *_files(directory), directory)
    if not running.running or not chosen.exists():
        specs = [f"{_free(port)}:{service}:{port}" for service, port in services.items()]
        chosen.write_text("\n".join(specs))
        command = [sys.executable, "-m", "sandbox.forwards", str(directory), str(cluster.toolbox.binary("kubectl"))]
        pidfile, log = _files(directory)
        processes.start([*command, namespace, *specs], pidfile, log, cwd=Path(__file__).parent.parent)
        processes.wait(
            lambda: processes.component("forwards", pidfile, log, directory).running,
            10,
            f"the addresses were not opened (log: {log})",
        )
    ports = [line.split(":") for line in chosen.read_text().splitlines()]
    return {service: f"http://127.0.0.1:{port}" for port, service, _ in ports}


def _files(directory: Path) -> tuple[Path, Path]:
    logs = directory / "logs"
    logs.mkdir(exist_ok=True)
    return logs / "forwards.pid", logs / "forwards.log"


def _free(port: int) -> int:
    """The port itself where nothing listens on it, or any free one."""
    for candidate in (port, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise processes.ClusterError("no port of loopback is free")


def main() -> None:
    """Entry point: one kubectl for each Service, started again when it ends, as it does when a pod goes."""
    directory, kubectl, namespace, *specs = sys.argv[1:]
    logs = Path(directory) / "logs"
    env = {**os.environ, "KUBECONFIG": str(Path(directory) / "kubeconfig")}
    runners = []
    for spec in specs:
        port, service, remote = spec.split(":")
        command = [kubectl, "--namespace", namespace, "port-forward", f"service/{service}", f"{port}:{remote}"]
        runners.append(Runner(service, command, env, logs / f"forward-{service}.log", patience=2.0))
    for runner in runners:
        threading.Thread(target=runner.run, daemon=True).start()

    def end(_number: int, _frame: FrameType | None) -> None:
        for runner in runners:
            runner.stop()
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
