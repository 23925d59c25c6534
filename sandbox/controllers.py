"""Real operators for simulated pods: the part of a kubelet that starts processes.

kwok only says that a pod runs; one on a real node does run, and is left alone. Where the container's image is one whose
binary we have, this process runs the binary beside the control plane, as that pod: with the container's arguments, its
environment, and the token of its own ServiceAccount. So an operator with a wrong image never starts, one with too few
rights fails, and one whose Deployment is gone ends.

Run as `python -m sandbox.controllers DIRECTORY BIN` by `Cluster.up`.
"""

import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import yaml
from kubernetes import client, config, watch

from sandbox.volumes import bind_claims

BINARIES = {
    "quay.io/kuberay/operator:v1.6.2": "kuberay-operator",
    "quay.io/prometheus-operator/prometheus-operator:v0.93.1": "prometheus-operator",
    "ml-platform/pilot:1.31-eed52ebb66ad": "pilot-discovery",
}
"""Image to the tool that is inside it; a mirror's host in front of the path makes no difference."""

_LOG = logging.getLogger("controllers")
_MAX_BACKOFF_SECONDS = 30.0
_STEADY_SECONDS = 60.0
"""A process that ran so long is started again without a pause."""


@dataclass
class Runner:
    """One process: started, started again when it ends, ended with what it belongs to.

    `patience` is how many seconds it may take to end; then it is forced, as a kubelet does.
    """

    name: str
    command: list[str]
    env: dict[str, str]
    log: Path
    patience: float = 10.0
    stopped: threading.Event = field(default_factory=threading.Event)
    process: "subprocess.Popen[bytes] | None" = None

    def run(self) -> None:
        """Keep the process running, with a pause that doubles after each end as a kubelet's does."""
        backoff = 1.0
        while not self.stopped.is_set():
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    self.command, env=self.env, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
                )
                self.log.with_suffix(".pid").write_text(str(self.process.pid))
                _LOG.info("%s: started, pid %s", self.name, self.process.pid)
                began = time.monotonic()
                code = self.process.wait()
            if not self.stopped.is_set():
                backoff = 1.0 if time.monotonic() - began > _STEADY_SECONDS else backoff
                _LOG.warning("%s: ended with %s, again in %.0f s (log: %s)", self.name, code, backoff, self.log)
                self.stopped.wait(backoff)
                backoff = min(backoff * 2, _MAX_BACKOFF_SECONDS)
        self.log.with_suffix(".pid").unlink(missing_ok=True)

    def stop(self) -> None:
        """End the process and do not start it again."""
        self.stopped.set()
        if self.process and self.process.poll() is None:
            self.process.terminate()
            force = threading.Timer(self.patience, self.process.kill)
            force.daemon = True
            force.start()


class Controllers:
    """Watches the pods of the cluster and runs what they stand for."""

    def __init__(self, directory: Path, binaries: Path) -> None:
        self._directory = directory
        self._binaries = binaries
        self._runners: dict[str, Runner] = {}
        self._simulated: dict[str, bool] = {}
        config.load_kube_config(str(directory / "kubeconfig"))
        self._core = client.CoreV1Api()

    def run(self) -> NoReturn:
        """Follow the pods until the process is ended."""
        while True:
            try:
                self._follow()
            except Exception as error:
                _LOG.warning("watch ended: %s", error)
                time.sleep(1)

    def bind_claims(self) -> None:
        """Give simulated pods their disks, beside everything else."""
        threading.Thread(target=bind_claims, args=(self._core,), daemon=True).start()

    def stop(self) -> None:
        """End every process."""
        for runner in self._runners.values():
            runner.stop()

    def _follow(self) -> None:
        listed = self._core.list_pod_for_all_namespaces()
        alive = {pod.metadata.uid for pod in listed.items}
        for uid in [uid for uid in self._runners if uid.split("/")[0] not in alive]:
            self._runners.pop(uid).stop()
        for pod in listed.items:
            self._see(pod)
        stream = watch.Watch().stream(
            self._core.list_pod_for_all_namespaces,
            resource_version=listed.metadata.resource_version,
            timeout_seconds=300,
        )
        for event in stream:
            self._see(event["object"], deleted=event["type"] == "DELETED")

    def _see(self, pod: Any, *, deleted: bool = False) -> None:
        for container in pod.spec.containers:
            uid = f"{pod.metadata.uid}/{container.name}"
            if deleted or pod.metadata.deletion_timestamp:
                if uid in self._runners:
                    self._runners.pop(uid).stop()
                continue
            binary = binary_of(container.image)
            new = binary and uid not in self._runners and pod.status.phase == "Running"
            if binary and new and self._on_simulated_node(pod):
                self._start(uid, pod, container, binary)

    def _on_simulated_node(self, pod: Any) -> bool:
        name = pod.spec.node_name
        if name not in self._simulated:
            self._simulated[name] = simulated(self._core.read_node(name))
        return self._simulated[name]

    def _start(self, uid: str, pod: Any, container: Any, binary: str) -> None:
        name = f"{pod.metadata.namespace}_{pod.metadata.name}_{container.name}"
        kubeconfig = self._directory / "logs" / f"{name}.kubeconfig"
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(self._credentials(pod))
        env = environment(pod, container)
        runner = Runner(
            name=name,
            command=[str(self._binaries / binary), *arguments(container, env)],
            env={**env, "KUBECONFIG": str(kubeconfig), "PATH": os.environ.get("PATH", "")},
            log=self._directory / "logs" / f"{name}.log",
        )
        self._runners[uid] = runner
        threading.Thread(target=runner.run, daemon=True).start()

    def _credentials(self, pod: Any) -> str:
        """A kubeconfig with the token of the pod's ServiceAccount, as the kubelet would mount it."""
        account = pod.spec.service_account_name
        request = client.AuthenticationV1TokenRequest(
            spec=client.V1TokenRequestSpec(audiences=[], expiration_seconds=24 * 3600)
        )
        token = self._core.create_namespaced_service_account_token(account, pod.metadata.namespace, request)
        loaded = yaml.safe_load((self._directory / "kubeconfig").read_text())
        loaded["users"][0]["user"] = {"token": token.status.token}
        return str(yaml.safe_dump(loaded))


def simulated(node: Any) -> bool:
    """Whether kwok plays the node's kubelet: it does where the node carries this annotation, and nowhere else."""
    return (node.metadata.annotations or {}).get("kwok.x-k8s.io/node") == "fake"


def binary_of(image: str) -> str | None:
    """The tool inside an image, or None for one that stays simulated."""
    for known, binary in BINARIES.items():
        path = known.partition("/")[2]
        if image.split("@", maxsplit=1)[0] in {known, path} or image.split("@", maxsplit=1)[0].endswith(f"/{path}"):
            return binary
    return None


def environment(pod: Any, container: Any) -> dict[str, str]:
    """The container's environment; of the downward API only what operators use."""
    fields = {
        "metadata.name": pod.metadata.name,
        "metadata.namespace": pod.metadata.namespace,
        "metadata.uid": pod.metadata.uid,
        "spec.nodeName": pod.spec.node_name,
        "spec.serviceAccountName": pod.spec.service_account_name,
    }
    found: dict[str, str] = {}
    for variable in container.env or []:
        reference = variable.value_from and variable.value_from.field_ref
        found[variable.name] = str(fields.get(reference.field_path, "")) if reference else variable.value or ""
    return found


def arguments(container: Any, env: dict[str, str]) -> list[str]:
    """The container's arguments with variables filled in.

    All processes share the machine's ports, so each listens on a free one of loopback instead of the one it names.
    """
    expanded = [
        re.sub(r"\$\((\w+)\)", lambda match: env.get(match[1], match[0]), text) for text in container.args or []
    ]
    return [re.sub(r"^(--[\w.-]*addr[\w-]*)=:\d+$", r"\1=127.0.0.1:0", text) for text in expanded]


def main() -> None:
    """Entry point; SIGTERM ends every process that was started."""
    directory, binaries = Path(sys.argv[1]), Path(sys.argv[2])
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO, stream=sys.stderr)
    controllers = Controllers(directory, binaries)

    def end(_number: int, _frame: FrameType | None) -> None:
        controllers.stop()
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    controllers.bind_claims()
    controllers.run()


if __name__ == "__main__":
    main()
