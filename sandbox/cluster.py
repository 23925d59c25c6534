"""The embedded Kubernetes: a real control plane and real operators, with simulated nodes and pods.

kwokctl runs etcd, API server, controller manager and scheduler as processes on loopback; kwok plays the kubelets. All
of it lies in one directory, so two clusters never meet, and removing one leaves nothing.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from sandbox.tools import Toolbox

CONTEXT = "ml-platform-sandbox"
"""The one context of the sandbox's kubeconfig; the program looks for it where none is configured."""

SHAPE = Path(__file__).with_name("nodes.yaml")
_KWOK_CONFIG = Path(__file__).with_name("kwok.yaml")
_READY_SECONDS = 90
_CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok-controller")


class ClusterError(Exception):
    """The cluster did not come up or go down; the message says which part, why, and where its log lies."""


@dataclass(frozen=True)
class Component:
    """A process of the sandbox as `status` shows it; memory in MiB, 0 where it does not run."""

    name: str
    pid: int | None
    memory: int
    log: Path

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self.pid is not None


@dataclass(frozen=True)
class Cluster:
    """One embedded cluster.

    Attributes:
        directory: all of its state; removed by `down`.
        toolbox: the pinned tools.
    """

    directory: Path
    toolbox: Toolbox

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

    def up(self, shape: Path = SHAPE) -> bool:
        """Start the cluster and wait until its nodes are ready.

        Args:
            shape: manifests of the simulated nodes.

        Returns:
            Whether anything had to be started.

        Raises:
            ClusterError: a part did not come up.
        """
        started = False
        if not self._answers():
            if self._workdir.exists():
                self.down()
            self._create()
            started = True
        self.kubectl("apply", "--server-side", "--force-conflicts", "--filename", str(shape))
        # The node object's status is a subresource: `apply` alone leaves capacity to the default.
        self.kubectl("apply", "--server-side", "--force-conflicts", "--subresource=status", "--filename", str(shape))
        self.kubectl("wait", "--for=condition=Ready", "nodes", "--all", f"--timeout={_READY_SECONDS}s")
        if not self._controllers().running:
            self._start_controllers()
            started = True
        return started

    def down(self) -> None:
        """Stop every process of this cluster and remove its directory; nothing to do is fine."""
        _end([self._controllers()])  # first: it would start operators again
        _end(self.status())
        shutil.rmtree(self.directory, ignore_errors=True)

    def status(self) -> list[Component]:
        """Every process that belongs to this cluster."""
        operators = [
            Component(pidfile.stem, *_process(_pid_of(pidfile, self.directory)), pidfile.with_suffix(".log"))
            for pidfile in sorted(self.logs.glob("*.pid"))
        ]
        return [*self._control_plane(), self._controllers(), *operators]

    def kubectl(self, *args: str, stdin: str | None = None, check: bool = True) -> str:
        """Run kubectl against this cluster and return what it prints.

        Raises:
            ClusterError: it failed; the message is its last line.
        """
        command = [str(self.toolbox.binary("kubectl")), *args]
        env = {**os.environ, **self.kubectl_environment}
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=300, env=env)
        if check and done.returncode:
            raise ClusterError(f"kubectl {' '.join(args[:3])} failed: {_last(done.stderr)}")
        return done.stdout

    @property
    def _workdir(self) -> Path:
        return self.directory / "kwok"

    @property
    def _controllers_pid(self) -> Path:
        return self.directory / "controllers.pid"

    def _controllers(self) -> Component:
        return Component(
            "controllers",
            *_process(_pid_of(self._controllers_pid, self.directory)),
            self.directory / "controllers.log",
        )

    def _control_plane(self) -> Iterator[Component]:
        home = self._workdir / "clusters" / "sandbox"
        for name in _CONTROL_PLANE:
            pid = _pid_of(home / "pids" / f"{name}.pid", self.directory)
            yield Component(name, *_process(pid), home / "logs" / f"{name}.log")

    def _answers(self) -> bool:
        if not self.kubeconfig.exists() or not all(component.running for component in self._control_plane()):
            return False
        try:
            self.kubectl("get", "--raw=/readyz", "--request-timeout=5s")
        except ClusterError:
            return False
        return True

    def _create(self) -> None:
        self._workdir.mkdir(parents=True)
        binaries = {
            "etcd": "etcd",
            "kube-apiserver": "kube-apiserver",
            "kube-controller-manager": "kube-controller-manager",
            "kube-scheduler": "kube-scheduler",
            "kwok-controller": "kwok",
        }
        flags = [f"--{flag}-binary={self.toolbox.binary(name)}" for flag, name in binaries.items()]
        own = self._workdir / "kubeconfig"
        self._kwokctl(
            "create",
            "cluster",
            "--config",
            str(_KWOK_CONFIG),
            "--kubeconfig",
            str(own),
            f"--wait={_READY_SECONDS}s",
            *flags,
        )
        self.kubeconfig.write_text(_renamed(own))
        self.kubeconfig.chmod(0o600)

    def _kwokctl(self, *args: str) -> None:
        command = [str(self.toolbox.binary("kwokctl")), "--name", "sandbox", *args]
        env = {**os.environ, **self.kubectl_environment, "KWOK_WORKDIR": str(self._workdir)}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=env, timeout=300)
        if done.returncode:
            logs = self._workdir / "clusters" / "sandbox" / "logs"
            raise ClusterError(f"the control plane did not start: {_last(done.stderr)} (logs: {logs})")

    def _start_controllers(self) -> None:
        self.logs.mkdir(exist_ok=True)
        with (self.directory / "controllers.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "sandbox.controllers", str(self.directory), str(self.toolbox.bin)],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=Path(__file__).parent.parent,
                start_new_session=True,
            )
        self._controllers_pid.write_text(str(process.pid))
        # A new process shows its command line only a moment after it was started.
        deadline = time.monotonic() + 10
        while not self._controllers().running:
            if process.poll() is not None or time.monotonic() > deadline:
                raise ClusterError(f"the controllers did not start (log: {self.directory / 'controllers.log'})")
            time.sleep(0.01)


def _renamed(kubeconfig: Path) -> str:
    """The kubeconfig of kwokctl with our name for cluster, user and context."""
    config = yaml.safe_load(kubeconfig.read_text())
    for kind in ("clusters", "contexts", "users"):
        config[kind][0]["name"] = CONTEXT
    config["contexts"][0]["context"] = {"cluster": CONTEXT, "user": CONTEXT}
    return str(yaml.safe_dump({**config, "current-context": CONTEXT}))


def _pid_of(pidfile: Path, directory: Path) -> int | None:
    """The process of a pid file, if it is alive and was started for this directory: pids are used again."""
    try:
        pid = int(pidfile.read_text())
        process = Path("/proc", str(pid))
        told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        told += str((process / "cwd").readlink()).encode()
    except (OSError, ValueError):
        return None
    return pid if str(directory).encode() in told else None


def _process(pid: int | None) -> tuple[int | None, int]:
    try:
        status = Path("/proc", str(pid), "status").read_text()
    except OSError:
        return None, 0
    fields: Mapping[str, str] = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    if fields.get("State", "").strip().startswith("Z"):
        return None, 0
    return pid, int(fields.get("VmRSS", "0 kB").split()[0]) // 1024


def _end(components: Iterable[Component], *, patience: float = 10.0) -> None:
    """End processes that we started: asked first, forced after `patience` seconds."""
    alive = {component.pid for component in components if component.pid}
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + patience
        while alive and time.monotonic() < deadline:
            alive = {pid for pid in alive if _process(pid)[0] is not None}
            time.sleep(0.02)


def _last(text: str) -> str:
    """The last line of a tool's output; kwokctl writes JSON lines."""
    lines = text.strip().splitlines() or ["it printed nothing"]
    try:
        record = json.loads(lines[-1])
    except ValueError:
        return lines[-1]
    return str(record.get("err") or record.get("msg") or lines[-1])
