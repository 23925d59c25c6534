"""A real node beside the simulated ones: kubelet, containerd, kube-proxy, DNS, storage, policies on this machine.

All of it runs in namespaces of its own for processes, mounts and network. The kernel takes them apart when their first
process ends, however it ends: every container, mount, link, route and iptables rule of the node goes with it. What is
left then are control groups and files, which `down` removes. The only thing of the node that the machine sees is one
link to it (`sandbox.network`).

The API server stays on loopback. Two relays, joined by a socket in the node's directory, make it reachable in there.
"""

import contextlib
import ipaddress
import os
import secrets
import shutil
import signal
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import yaml

from sandbox import configs, image_store, network, processes
from sandbox.machine import (
    BUSYBOX,
    NAMESPACES,
    PATH,
    controllers,
    found,
    held,
    image,
    install_packages,
    obstacle,
    plugins,
    remove_groups,
)
from sandbox.network import Network
from sandbox.processes import ClusterError, Component, run
from sandbox.tools import Toolbox

OBJECTS = Path(__file__).with_name("node.yaml")

OWN = Path("/run/own")
"""The node's directory as the node sees it: a socket's path may have 107 characters, a checkout's has any number."""

_SOCKET = "api.sock"

_USERS = {
    "coredns": "/CN=sandbox-dns",
    "kubelet": f"/O=system:nodes/CN=system:node:{configs.NAME}",
    "kube-proxy": "/CN=system:kube-proxy",
    "local-path-provisioner": "/CN=sandbox-storage",
    "network-policies": "/CN=sandbox-network-policies",
}
"""What runs in the node, and as whom each speaks to the API server."""

_CLIENTS = {**_USERS, "istio-cni": "/CN=sandbox-mesh"}
"""They, and the plugin that containerd runs for each pod."""

# Paths that kubelet and containerd do not let anyone choose lie below /run and /var: the node has its own. /proc/sys
# is the machine's, see `configs.SYSCTLS`. The node's directory may lie below /var.
_MOUNTS = """set -e
mount --make-rshared /
mount -t tmpfs -o mode=755 tmpfs /run
own="$1"; directory="$2"; shift 2
mkdir -p "$own" /run/upper /run/work /run/lock /run/sysctl
mount --bind "$directory" "$own"
mount -t overlay overlay -o lowerdir=/var,upperdir=/run/upper,workdir=/run/work /var
mount --bind "$own" "$directory"
for setting; do
  file="/run/sysctl/$(echo "${setting%=*}" | tr / .)"
  echo "${setting#*=}" > "$file"
  mount --bind "$file" "/proc/sys/${setting%=*}"
done
"""


@dataclass(frozen=True)
class Node:
    """The real node of one sandbox.

    Attributes:
        directory: all of its state: images, volumes, certificates, logs.
        toolbox: the pinned tools.
    """

    directory: Path
    toolbox: Toolbox

    @property
    def exists(self) -> bool:
        """Whether it was prepared, running or not."""
        return self._block.exists()

    @property
    def pod_logs(self) -> Path:
        """Where the kubelet keeps what containers print."""
        return self.directory / "pods"

    @property
    def network(self) -> Network:
        """Its addresses, chosen by `prepare`."""
        return Network(ipaddress.IPv4Network(self._block.read_text()))

    def prepare(self) -> Network:
        """Choose its addresses, before the control plane that has to know them is made.

        Raises:
            ClusterError: a real node is not possible here, or no range of addresses is free.
        """
        if reason := obstacle():
            raise ClusterError(f"no real node: {reason}")
        install_packages()
        self.directory.mkdir(parents=True)
        self.directory.chmod(0o700)
        chosen = network.choose()
        self._block.write_text(str(chosen.block))
        return chosen

    def up(self, pki: Path, server: str, kubectl: Callable[..., str], archives: Collection[Path] = ()) -> bool:
        """Start what does not run, and wait until the node is ready.

        Args:
            pki: directory of the cluster's authority, with ca.crt and ca.key.
            server: host and port of the API server on loopback.
            kubectl: runs a command on the cluster.
            archives: of the images that it is to have, see `load`.

        Returns:
            Whether anything had to be started.

        Raises:
            ClusterError: a part did not come up.
        """
        if all(component.running for component in self.status()):
            self.load(*archives)
            return False
        port = server.rpartition(":")[2]
        wanted = [*self._own_images(), *archives]
        if not (self._component("init").running and self._component("containerd").running):
            self._clear()
            self._configure(pki, port)
            new = not self._root.exists()
            if new:
                image_store.lend(self._root)
            self._enter()
            if self.load(*wanted) and new:
                self._keep_images(wanted)
        else:
            self.load(*wanted)
        kubectl("apply", "--server-side", "--force-conflicts", "--filename", str(OBJECTS))
        for name, command in self._commands(port).items():
            if not self._component(name).running:
                self._start(name, command)
        label = f"node/{configs.NAME}"
        processes.wait(lambda: label in kubectl("get", "nodes", "--output=name").split(), 60, self._failed("kubelet"))
        kubectl("wait", "--for=condition=Ready", label, "--timeout=60s")
        for component in self.status():
            if not component.running:
                raise ClusterError(self._failed(component.name))
        return True

    def down(self) -> None:
        """End every process, and with them the namespaces; then remove what those do not hold."""
        if self.directory.exists():
            self._clear()
            shutil.rmtree(self.directory, ignore_errors=True)

    def status(self) -> list[Component]:
        """The processes of the node; none where there is no node."""
        if not self.exists:
            return []
        return [self._component(name) for name in ("init", "containerd", "api", "api-inside", *_USERS)]

    def load(self, *archives: Path) -> bool:
        """Load images from archives (OCI or Docker), and keep them from being collected; those it has are left out.

        Returns:
            Whether there was one that it had not.

        Raises:
            ClusterError: an archive could not be loaded.
        """
        has, new = self.images(), False
        for archive in archives:
            wanted = held(archive)
            if not wanted or any(has.get(name) != digest for name, digest in wanted.items()):
                with archive.open("rb") as content:
                    self._ctr("images", "import", "-", stdin=content)
                new = True
        for reference in set(self.images()) - set(has):
            self._ctr("images", "label", reference, "io.cri-containerd.pinned=pinned")
        return new

    def images(self) -> dict[str, str]:
        """The images that the node has: name to digest."""
        lines = [line.split() for line in self._ctr("images", "list").splitlines()[1:]]
        return {words[0]: words[2] for words in lines}

    @property
    def _root(self) -> Path:
        return self.directory / "containerd"

    @property
    def _block(self) -> Path:
        return self.directory / "block"

    def _file(self, name: str, kind: str) -> Path:
        return self.directory / f"{name}.{kind}"

    @property
    def _link(self) -> str:
        return network.link_name(self.directory)

    def _component(self, name: str) -> Component:
        return processes.component(name, self._file(name, "pid"), self._file(name, "log"), self.directory)

    def _inside(self, *command: str) -> list[str]:
        return ["nsenter", f"--target={self._component('init').pid}", *NAMESPACES, "--", *command]

    def _ctr(self, *args: str, stdin: IO[bytes] | None = None) -> str:
        return run(*self._inside("ctr", "--namespace=k8s.io", *args), stdin=stdin)

    def _failed(self, name: str) -> str:
        return f"{name} of the real node did not come up (log: {self._file(name, 'log')})"

    def _start(self, name: str, command: Sequence[str]) -> None:
        # The directory in the environment is how a process is known again, see `processes.component`.
        env = {"PATH": PATH, "HOME": str(self.directory), "SANDBOX_NODE": str(self.directory)}
        processes.start(command, self._file(name, "pid"), self._file(name, "log"), cwd=self.directory, env=env)
        processes.wait(lambda: self._component(name).running, 10, self._failed(name))

    def _enter(self) -> None:
        """Make the namespaces, join them to this machine, and start containerd."""
        self._start("init", ["unshare", *NAMESPACES, "--fork", "--mount-proc", "--kill-child", "catatonit", "-P"])
        init = self._component("init").pid
        network.connect(self._link, init or 0, self.network)
        settings = [f"{name}={value}" for name, value in configs.SYSCTLS.items()]
        run(*self._inside("sh", "-c", _MOUNTS, "mounts", str(OWN), str(self.directory), *settings))
        for controller in controllers():
            (controller / self._link).mkdir(exist_ok=True)
        self._start_containerd()

    def _start_containerd(self) -> None:
        self._start("containerd", self._inside("containerd", "--config", str(self._file("containerd", "toml"))))
        processes.wait(self._containerd_answers, 30, self._failed("containerd"))

    def _keep_images(self, archives: Collection[Path]) -> None:
        """Keep these images for the next node, and no others that were lent."""
        wanted = {name for archive in archives for name in held(archive)}
        if lent := set(self.images()) - wanted:
            self._ctr("images", "remove", "--sync", *sorted(lent))
        processes.end([self._component("containerd")])
        image_store.keep(self._root)
        self._start_containerd()

    def _containerd_answers(self) -> bool:
        with contextlib.suppress(ClusterError):
            self._ctr("version")
            return True
        return False

    def _own_images(self) -> list[Path]:
        """The image that holds a pod's namespaces, and the one of the provisioner's helper pods."""
        return [
            image(self.directory / "pause.tar", configs.PAUSE, {"catatonit": found("catatonit")}, ["/catatonit", "-P"]),
            image(self.directory / "busybox.tar", configs.BUSYBOX, {"bin/busybox": BUSYBOX}, ["/bin/sh"]),
        ]

    def _commands(self, port: str) -> dict[str, list[str]]:
        """What runs in the node, in the order in which it starts; each name is that of a pid file and of a log.

        A process starts in the node's directory, which is how the relay outside finds its socket.
        """
        kubeconfig = "--kubeconfig={}".format
        own = {name: self._file(name, "kubeconfig") for name in _USERS}
        tool = {name: str(self.toolbox.binary(name)) for name in _USERS if name != "network-policies"}
        kubelet = [f"--config={self._file('kubelet', 'yaml')}", f"--hostname-override={configs.NAME}"]
        kubelet += [f"--root-dir={OWN / 'kubelet'}", f"--cert-dir={self.directory / 'kubelet-pki'}"]
        storage = [
            "start",
            "--namespace=kube-system",
            "--service-account-name=default",
            f"--helper-image={configs.BUSYBOX}",
        ]
        storage += [
            f"--config={self._file('storage', 'json')}",
            f"--helper-pod-file={self._file('helper-pod', 'yaml')}",
        ]
        inside = {
            "api-inside": [
                "socat",
                f"TCP-LISTEN:{port},bind={self.network.node},fork,reuseaddr",
                f"UNIX-CONNECT:{OWN / _SOCKET}",
            ],
            "coredns": [tool["coredns"], f"-conf={self._file('coredns', 'corefile')}"],
            "kubelet": [tool["kubelet"], *kubelet, f"--node-ip={self.network.node}", kubeconfig(own["kubelet"])],
            "kube-proxy": [tool["kube-proxy"], f"--config={self._file('kube-proxy', 'yaml')}"],
            "local-path-provisioner": [
                tool["local-path-provisioner"],
                *storage,
                kubeconfig(own["local-path-provisioner"]),
            ],
            "network-policies": [
                *("env", f"PYTHONPATH={OBJECTS.parents[1]}", "PYTHONDONTWRITEBYTECODE=1"),
                *(sys.executable, "-m", "sandbox.network_policies"),
                *(str(own["network-policies"]), self.network.pods),
            ],
        }
        api = ["socat", f"UNIX-LISTEN:{_SOCKET},fork,mode=600,unlink-early", f"TCP:127.0.0.1:{port}"]
        return {"api": api, **{name: self._inside(*command) for name, command in inside.items()}}

    def _configure(self, pki: Path, port: str) -> None:
        """Write every configuration file and certificate."""
        net, state = self.network, self.directory
        for name in ("cni", "pods", "volumes", "plugins", "istio-cni"):
            (state / name).mkdir(exist_ok=True)
        authority = pki / "ca.crt"
        for name, subject in _CLIENTS.items():
            certificate, key = self._certificate(name, subject, pki)
            config = configs.kubeconfig(f"https://{net.node}:{port}", authority, certificate, key)
            self._file(name, "kubeconfig").write_text(yaml.safe_dump(config))
        # Its name is the plugin's (cni/pkg/constants of Istio).
        _link(state / "istio-cni" / "istio-cni-kubeconfig", self._file("istio-cni", "kubeconfig"))
        kubelet = configs.kubelet(state, authority, self._link, net)
        proxy = configs.kube_proxy(self._file("kube-proxy", "kubeconfig"), net)
        files = {
            "containerd.toml": configs.containerd(state, self._plugins()),
            "cni/sandbox.conflist": configs.cni(net, state / "istio-cni"),
            "kubelet.yaml": yaml.safe_dump(kubelet),
            "kube-proxy.yaml": yaml.safe_dump(proxy),
            "coredns.corefile": configs.corefile(self._file("coredns", "kubeconfig")),
            "storage.json": configs.storage(state),
            "helper-pod.yaml": yaml.safe_dump(configs.helper_pod()),
            "resolv.conf": "",
        }
        for name, text in files.items():
            (state / name).write_text(text)

    def _plugins(self) -> Path:
        """A directory with the machine's CNI plugins and Istio's: containerd looks for all of them in one."""
        directory = self.directory / "cni-bin"
        directory.mkdir(exist_ok=True)
        for plugin in (*plugins().iterdir(), self.toolbox.binary("istio-cni")):
            _link(directory / plugin.name, plugin)
        return directory

    def _certificate(self, name: str, subject: str, pki: Path) -> tuple[Path, Path]:
        """A client certificate for one of the processes, signed by the cluster's authority for a year."""
        request, certificate, key = (self._file(name, kind) for kind in ("csr", "crt", "key"))
        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(key)]
        run("openssl", "req", "-new", *new, "-subj", subject, "-out", str(request))
        signer = ["-CA", str(pki / "ca.crt"), "-CAkey", str(pki / "ca.key"), "-set_serial", f"0x{secrets.token_hex(8)}"]
        run("openssl", "x509", "-req", "-in", str(request), *signer, "-days", "365", "-out", str(certificate))
        return certificate, key

    def _clear(self) -> None:
        """End the processes; the namespaces go with the first of them. Images, volumes and logs stay."""
        init = self._component("init").pid
        if init:
            os.kill(init, signal.SIGKILL)
        processes.end(self.status())
        if Path("/sys/class/net", self._link).exists():
            with contextlib.suppress(ClusterError):  # the kernel may be at it already
                run("ip", "link", "delete", self._link)
        processes.wait(lambda: remove_groups(self._link), 20, f"control groups {self._link} are still in use")


def _link(link: Path, target: Path) -> None:
    link.unlink(missing_ok=True)
    link.symlink_to(target)
