"""Istio as an add-on of the cluster, as real clusters have it; the platform's program knows nothing of this one.

istioctl renders the manifests of the charts that it carries, with the choices of `istio.yaml`. On a real node istiod is
the pod of its Deployment. Where pods are simulated, it runs beside the control plane as that pod does
(`sandbox.controllers`): then it listens on loopback, and the API server finds its webhooks there.
"""

import contextlib
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sandbox import processes
from sandbox.processes import ClusterError
from sandbox.tools import Toolbox

NAMESPACE = "istio-system"
_NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}

CHOICES = Path(__file__).with_name("istio.yaml")
"""The IstioOperator that every sandbox starts from."""

IMAGES = ("pilot", "proxyv2")
"""Its images, by their folders in `images/`."""

_PROBE = {
    "apiVersion": "security.istio.io/v1",
    "kind": "PeerAuthentication",
    "metadata": {"name": "probe", "namespace": NAMESPACE},
    "spec": {"mtls": {"mode": "STRICT"}},
}
_WEBHOOKS = {
    "{.webhooks[*].failurePolicy}=Fail": (
        "validatingwebhookconfigurations/istiod-default-validator",
        "validatingwebhookconfigurations/istio-validator-istio-system",
    ),
    "{.webhooks[0].clientConfig.caBundle}": ("mutatingwebhookconfigurations/istio-sidecar-injector",),
}
_BETWEEN, _CRD = "\n---\n", "kind: CustomResourceDefinition\n"
_INSTALLER = "kind: DaemonSet\n"
"""It would lay the CNI plugin out on nodes: here the real one has it (sandbox/node.py), and the others need none."""
_RENDER_SECONDS = 60
_READY_SECONDS = 180
_HOST = "127.0.0.1"


@dataclass(frozen=True)
class Istio:
    """Istio of one cluster.

    Attributes:
        directory: the cluster's.
        toolbox: the pinned tools.
        kubectl: runs a command on the cluster.
    """

    directory: Path
    toolbox: Toolbox
    kubectl: Callable[..., str]

    def apply(self, port: int | None = None) -> bool:
        """Install this release where it is not installed yet.

        Args:
            port: of loopback, for the webhooks of an istiod that is a process; none for one in a pod.

        Returns:
            Whether anything had to be done.

        Raises:
            ClusterError: the manifests could not be rendered or applied.
        """
        manifests = self.directory / f"{self.toolbox.homes['istioctl'].name}.yaml"
        if manifests.exists():
            return False
        rendered = self._render(choices(port))
        objects = [text for text in rendered.split(_BETWEEN) if _INSTALLER not in text]
        # Istiod starts while its CRDs are still being made: it finds them when they are there.
        objects.sort(key=lambda text: _CRD in text)
        everything = _BETWEEN.join([json.dumps(_NAMESPACE), *objects])
        self.kubectl("apply", "--server-side", "--force-conflicts", "--filename", "-", stdin=everything)
        manifests.write_text(rendered)
        return True

    def wait(self) -> None:
        """Wait until the API server asks istiod about every pod and every object of Istio's.

        Istiod gives the webhooks its certificate, and makes the validating ones mandatory when it has seen itself
        refuse an object through them (pkg/webhooks/validation/controller of Istio).

        Raises:
            ClusterError: it does not.
        """
        try:
            for condition, webhook in _WEBHOOKS.items():
                self.kubectl("wait", f"--for=jsonpath={condition}", *webhook, f"--timeout={_READY_SECONDS}s")
            processes.wait(self._answers, _READY_SECONDS, "istiod does not answer the API server")
        except ClusterError as error:
            raise ClusterError(f"Istio did not come up: {error} (log: `make status`; pods: -n {NAMESPACE})") from error

    def _answers(self) -> bool:
        with contextlib.suppress(ClusterError):
            self.kubectl("create", "--dry-run=server", "--filename", "-", stdin=json.dumps(_PROBE))
            return True
        return False

    def _render(self, operator: dict[str, Any]) -> str:
        file = self.directory / "istio.yaml"
        file.write_text(yaml.safe_dump(operator))
        command = [str(self.toolbox.binary("istioctl")), "manifest", "generate", "--filename", str(file)]
        env = {"HOME": str(self.directory)}
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=_RENDER_SECONDS, env=env
            )
        except subprocess.TimeoutExpired as error:
            raise ClusterError(f"istioctl manifest generate took longer than {_RENDER_SECONDS} s") from error
        if done.returncode:
            raise ClusterError(f"Istio's manifests could not be rendered from {file}: {done.stderr.strip()}")
        return done.stdout


def choices(port: int | None) -> dict[str, Any]:
    """The IstioOperator of a cluster.

    Args:
        port: of loopback, for the webhooks of an istiod that is a process: all its other ports are whatever is free.
    """
    operator: dict[str, Any] = yaml.safe_load(CHOICES.read_text())
    if port is None:
        return operator
    values = operator["spec"]["values"]
    values["base"] = {"validationURL": f"https://{_HOST}:{port}/validate"}
    values["istiodRemote"] = {"injectionURL": f"https://{_HOST}:{port}/inject"}
    values["pilot"]["env"]["ISTIOD_CUSTOM_HOST"] = _HOST  # in its certificate
    others = ("http", "grpc", "secureGRPC", "monitoring")
    args = ["discovery", f"--httpsAddr={_HOST}:{port}", *(f"--{name}Addr={_HOST}:0" for name in others)]
    # IstioOperator takes extraContainerArgs as a list of objects only (operator/pkg/apis/values_types.proto).
    path = "spec.template.spec.containers.[name:discovery].args"
    overlay = {"kind": "Deployment", "name": "istiod", "patches": [{"path": path, "value": [*args, "--ctrlz_port=0"]}]}
    operator["spec"]["components"]["pilot"] = {"k8s": {"overlays": [overlay]}}
    return operator
