"""The embedded Kubernetes: a real control plane and real operators, with simulated nodes and, where asked, a real one.

kwokctl runs etcd, API server, controller manager and scheduler as processes on loopback; kwok plays the kubelets of the
simulated nodes. All of it lies in one directory, so two clusters never meet, and removing one leaves nothing.
"""

import contextlib
import json
import os
import random
import shutil
import socket
import subprocess
import sys
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml

from sandbox import configs, processes
from sandbox.istio import Istio
from sandbox.node import Node
from sandbox.processes import ClusterError, Component
from sandbox.tools import Toolbox

__all__ = ["CONTEXT", "SHAPE", "Cluster", "ClusterError", "Component"]

CONTEXT = "ml-platform-sandbox"
"""The one context of the sandbox's kubeconfig; the program looks for it where none is configured."""

SHAPE = Path(__file__).with_name("nodes.yaml")
_KWOK_CONFIG = Path(__file__).with_name("kwok.yaml")
_STORAGE = Path(__file__).with_name("storage.yaml")
_READY_SECONDS = 90
_KUBECTL_SECONDS = 300
_ATTEMPTS = 3

_PORTS = (
    "etcdPeerPort",
    "etcdPort",
    "kubeApiserverPort",
    "kubeControllerManagerPort",
    "kubeSchedulerPort",
    "kwokControllerPort",
)
_PORT_RANGE = range(20000, 30000)
# Below the ports of outgoing connections and of Services. kwokctl itself counts down from 32766, so two clusters that
# start at the same time would choose the same ones.
_CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok-controller")


@dataclass(frozen=True)
class Cluster:
    """One embedded cluster.

    Attributes:
        directory: all of its state; removed by `down`.
        toolbox: the pinned tools.
        real: have a real node, on which every pod runs that asks for no GPU, instead of simulated CPU nodes.
    """

    directory: Path
    toolbox: Toolbox
    real: bool = False

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig of its own, with the one context CONTEXT."""
        return self.directory / "kubeconfig"

    @property
    def kubectl_environment(self) -> dict[str, str]:
        """Makes kubectl use this cluster, and keep its cache here instead of in the user's home."""
        return {"KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self.directory / "kubectl")}

    @property
    def logs(self) -> Path:
        """Logs of the operators that run beside the control plane."""
        return self.directory / "logs"

    @property
    def node(self) -> Node:
        """The real node; where there is none, it has no status and nothing to remove."""
        return Node(self.directory / "node", self.toolbox)

    @property
    def istio(self) -> Istio:
        """The mesh."""
        return Istio(self.directory, self.toolbox, self.kubectl)

    def up(self, shape: Path = SHAPE, images: Collection[Path] = ()) -> bool:
        """Start the cluster and wait until its nodes and Istio are ready.

        Args:
            shape: manifests of the simulated nodes.
            images: archives of the images that a real node is to have; once it needs those of Istio.

        Returns:
            Whether anything had to be started.

        Raises:
            ClusterError: a part did not come up, or what runs has a real node where none is wanted, or the reverse.
        """
        started = False
        if not self._answers():
            self.down()  # what a crash left, in whatever state
            self._create()
            started = True
        elif self.node.exists != self.real:
            has, wanted = ("a real node", "none") if self.node.exists else ("no real node", "one")
            raise ClusterError(f"the cluster that runs has {has}, and {wanted} is wanted: remove it first (make down)")
        nodes = simulated(shape, beside_a_real_one=self.real)
        self.kubectl("apply", "--server-side", "--force-conflicts", "--filename", "-", stdin=nodes)
        # The node object's status is a subresource: `apply` alone leaves capacity to the default.
        status = ("--server-side", "--force-conflicts", "--subresource=status")
        self.kubectl("apply", *status, "--filename", "-", stdin=nodes)
        if self.real:
            started |= self.node.up(self._home / "pki", self._server(), self.kubectl, images)
        else:
            self.kubectl("apply", "--server-side", "--force-conflicts", "--filename", str(_STORAGE))
        with ThreadPoolExecutor() as background:
            installed = background.submit(self.istio.apply, None if self.real else _free_ports(1)[0])
            self.kubectl("wait", "--for=condition=Ready", "nodes", "--all", f"--timeout={_READY_SECONDS}s")
            if not self._controllers().running:
                self._start_controllers()
                started = True
            started |= installed.result()
        self.istio.wait()
        return started

    def down(self) -> None:
        """Stop every process of this cluster and remove its directory; nothing to do is fine."""
        processes.end([self._controllers()])  # first: it would start operators again
        self.node.down()
        # The API server would wait for an etcd that is gone; what they would save is removed anyway.
        processes.end(self.status(), patience=2)
        shutil.rmtree(self.directory, ignore_errors=True)

    def status(self) -> list[Component]:
        """Every process that belongs to this cluster."""
        return [*self._control_plane(), *self.node.status(), self._controllers(), *self._operators()]

    def kubectl(self, *args: str, stdin: str | None = None, check: bool = True) -> str:
        """Run kubectl against this cluster and return what it prints.

        Raises:
            ClusterError: it failed; the message is its last line.
        """
        command = [str(self.toolbox.binary("kubectl")), *args]
        env = {**os.environ, **self.kubectl_environment}
        try:
            done = subprocess.run(
                command, input=stdin, capture_output=True, text=True, check=False, timeout=_KUBECTL_SECONDS, env=env
            )
        except subprocess.TimeoutExpired as error:
            raise ClusterError(f"kubectl {' '.join(args[:3])} took longer than {_KUBECTL_SECONDS} s") from error
        if check and done.returncode:
            raise ClusterError(f"kubectl {' '.join(args[:3])} failed: {_last(done.stderr)}")
        return done.stdout

    @property
    def _workdir(self) -> Path:
        return self.directory / "kwok"

    @property
    def _home(self) -> Path:
        return self._workdir / "clusters" / "sandbox"

    def _controllers(self) -> Component:
        pidfile = self.directory / "controllers.pid"
        return processes.component("controllers", pidfile, pidfile.with_suffix(".log"), self.directory)

    def _operators(self) -> Iterator[Component]:
        for pidfile in sorted(self.logs.glob("*.pid")):
            yield processes.component(pidfile.stem, pidfile, pidfile.with_suffix(".log"), self.directory)

    def _control_plane(self) -> Iterator[Component]:
        for name in _CONTROL_PLANE:
            files = self._home / "pids" / f"{name}.pid", self._home / "logs" / f"{name}.log"
            yield processes.component(name, *files, self.directory)

    def _server(self) -> str:
        """Address of the API server, on loopback."""
        return str(yaml.safe_load(self.kubeconfig.read_text())["clusters"][0]["cluster"]["server"])

    def _answers(self) -> bool:
        if not self.kubeconfig.exists() or not all(component.running for component in self._control_plane()):
            return False
        try:
            self.kubectl("get", "--raw=/readyz", "--request-timeout=5s")
        except ClusterError:
            return False
        return True

    def _create(self) -> None:
        """Make the control plane; again, on other ports, where another program was faster to take one."""
        first, *others = yaml.safe_load_all(_KWOK_CONFIG.read_text())
        if self.real:
            first = configs.control_plane(first, self._home / "pki", self.node.prepare())
        for attempt in range(1, _ATTEMPTS + 1):
            self._workdir.mkdir(parents=True)
            first["options"] |= dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
            try:
                self._create_once(str(yaml.safe_dump_all([first, *others])))
                break
            except ClusterError:
                if attempt == _ATTEMPTS or not self._port_taken():
                    raise
            print("cluster: another program took one of its ports; once more", flush=True)
            processes.end(self._control_plane(), patience=2)
            shutil.rmtree(self._workdir)
        self.kubeconfig.write_text(_renamed(self._workdir / "kubeconfig"))
        self.kubeconfig.chmod(0o600)

    def _port_taken(self) -> bool:
        logs = (self._home / "logs").glob("*.log")
        return any("address already in use" in log.read_text(errors="replace") for log in logs)

    def _create_once(self, config: str) -> None:
        binaries = {
            "etcd": "etcd",
            "kube-apiserver": "kube-apiserver",
            "kube-controller-manager": "kube-controller-manager",
            "kube-scheduler": "kube-scheduler",
            "kwok-controller": "kwok",
        }
        flags = [f"--{flag}-binary={self.toolbox.binary(name)}" for flag, name in binaries.items()]
        flags += [f"--kubeconfig={self._workdir / 'kubeconfig'}", f"--wait={_READY_SECONDS}s"]
        file = self.directory / "kwok.yaml"
        file.write_text(config)
        command = [
            str(self.toolbox.binary("kwokctl")),
            "--name",
            "sandbox",
            "create",
            "cluster",
            f"--config={file}",
            *flags,
        ]
        env = {**os.environ, **self.kubectl_environment, "KWOK_WORKDIR": str(self._workdir)}
        if self.real:  # the API server speaks to the kubelet and to webhooks in pods
            outside = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or "localhost,127.0.0.1"
            env |= dict.fromkeys(("NO_PROXY", "no_proxy"), f"{outside},{self.node.network.block}")
        limit = 2 * _READY_SECONDS  # kwokctl has been seen to wait on beyond its own
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=env, timeout=limit)
        except subprocess.TimeoutExpired as error:
            raise ClusterError(f"the control plane was not up after {limit} s (logs: {self._home / 'logs'})") from error
        if done.returncode:
            raise ClusterError(f"the control plane did not start: {_last(done.stderr)} (logs: {self._home / 'logs'})")
        if ended := processes.stopped(self._control_plane):
            raise ClusterError(f"{', '.join(ended)} ended at once (logs: {self._home / 'logs'})")

    def _start_controllers(self) -> None:
        self.logs.mkdir(exist_ok=True)
        processes.end(self._operators())  # of controllers that were killed: new ones start them all
        command = [sys.executable, "-m", "sandbox.controllers", str(self.directory), str(self.toolbox.bin)]
        log = self.directory / "controllers.log"
        processes.start(command, log.with_suffix(".pid"), log, cwd=Path(__file__).parent.parent)
        # A new process shows its command line only a moment after it was started.
        processes.wait(lambda: self._controllers().running, 10, f"the controllers did not start (log: {log})")


def simulated(shape: Path, *, beside_a_real_one: bool) -> str:
    """The manifests of the simulated nodes; beside a real one only those with GPUs, so that other pods run for real."""
    nodes = list(yaml.safe_load_all(shape.read_text()))
    kept = [node for node in nodes if not beside_a_real_one or "nvidia.com/gpu" in node["status"]["capacity"]]
    return str(yaml.safe_dump_all(kept))


def _free_ports(count: int) -> list[int]:
    """So many ports of loopback that nothing listens on."""
    chosen: list[int] = []
    for port in random.sample(_PORT_RANGE, len(_PORT_RANGE)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            chosen.append(port)
        if len(chosen) == count:
            return chosen
    raise ClusterError(f"no {count} ports of loopback are free between {_PORT_RANGE[0]} and {_PORT_RANGE[-1]}")


def _renamed(kubeconfig: Path) -> str:
    """The kubeconfig of kwokctl with our name for cluster, user and context."""
    config = yaml.safe_load(kubeconfig.read_text())
    for kind in ("clusters", "contexts", "users"):
        config[kind][0]["name"] = CONTEXT
    config["contexts"][0]["context"] = {"cluster": CONTEXT, "user": CONTEXT}
    return str(yaml.safe_dump({**config, "current-context": CONTEXT}))


def _last(text: str) -> str:
    """The last line of a tool's output; kwokctl writes JSON lines."""
    lines = text.strip().splitlines() or ["it printed nothing"]
    try:
        record = json.loads(lines[-1])
    except ValueError:
        return lines[-1]
    return str(record.get("err") or record.get("msg") or lines[-1])
