"""Addresses that a person can open: ports of loopback that lead to Services, for as long as the sandbox lives.

Run as `python -m sandbox.forwards DIRECTORY KUBECTL` by `open_addresses`.
"""

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import FrameType

from sandbox import processes
from sandbox.cluster import Cluster, Component
from sandbox.controllers import Runner


def open_addresses(cluster: Cluster, namespace: str, services: Mapping[str, int]) -> dict[str, str]:
    """Forward a port of loopback to each Service, unless that is done already.

    Args:
        cluster: whose Services.
        namespace: where they are.
        services: name of a Service to its port; the same port is used here where it is free.

    Returns:
        The address of each Service; it accepts connections.

    Raises:
        ClusterError: the forwarding did not start.
    """
    directory = cluster.directory
    pidfile, log, chosen = (directory / "logs" / f"forwards.{kind}" for kind in ("pid", "log", "json"))

    def running() -> Component:
        return processes.component("forwards", pidfile, log, directory)

    wanted = {"namespace": namespace, "services": dict(services)}
    known = json.loads(chosen.read_text()) if chosen.exists() else {}
    if not running().running or known.get("wanted") != wanted:
        processes.end([running()])
        known = {"wanted": wanted, "ports": {service: _free(port) for service, port in services.items()}}
        chosen.write_text(json.dumps(known))
        kubectl = str(cluster.toolbox.binary("kubectl"))
        command = [sys.executable, "-m", "sandbox.forwards", str(directory), kubectl]
        processes.start(command, pidfile, log, cwd=Path(__file__).parent.parent, env=_environment(cluster))
    for service, port in known["ports"].items():
        processes.wait(partial(_answers, port), 60, f"the address of {service} was not opened (log: {log})")
    return {service: f"http://127.0.0.1:{port}" for service, port in known["ports"].items()}


def _environment(cluster: Cluster) -> dict[str, str]:
    return {**os.environ, **cluster.kubectl_environment}


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


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
    logs, kubectl = Path(sys.argv[1], "logs"), sys.argv[2]
    chosen = json.loads((logs / "forwards.json").read_text())
    runners = []
    for service, remote in chosen["wanted"]["services"].items():
        ports = f"{chosen['ports'][service]}:{remote}"
        command = [kubectl, "--namespace", chosen["wanted"]["namespace"], "port-forward", f"service/{service}", ports]
        log = logs / f"forward-{service}.log"
        runners.append(Runner(service, command, dict(os.environ), log, patience=2.0))
    for runner in runners:
        threading.Thread(target=runner.run, daemon=True).start()

    def end(_number: int, _frame: FrameType | None) -> None:
        for runner in runners:
            runner.stop()
        for runner in runners:
            if runner.process:
                runner.process.wait()
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
