"""The configuration files of a real node's processes, as plain values: nothing is read, written or started here."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox.network import DNS, Network

NAME = "local"
"""The real node's name, and its label kubernetes.io/hostname."""

DOMAIN = "cluster.local"
PAUSE = "sandbox.local/pause:1"
BUSYBOX = "sandbox.local/busybox:1"

SYSCTLS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""What a kubelet wants of the kernel (pkg/kubelet/cm, setupKernelTunables). They are the whole machine's, so the node
sees files with these values in their place."""


def containerd(state: Path, plugins: Path) -> str:
    """The configuration of containerd, version 2 (docs/cri/config.md of its 1.6.20).

    Args:
        state: the node's directory.
        plugins: directory of the CNI plugins.
    """
    # Without restrict_oom_score_adj no sandbox starts where root lacks CAP_SYS_RESOURCE.
    return f"""version = 2
root = "{state}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]

[grpc]
address = "/run/containerd/containerd.sock"

[plugins."io.containerd.internal.v1.opt"]
path = "{state}/opt"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugins}"
conf_dir = "{state}/cni"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"""


def cni(network: Network, mesh: Path) -> str:
    """How a pod gets its link: routed, so that kube-proxy sees every packet without help from a bridge.

    Then Istio's plugin leads the traffic of a pod that has a sidecar there (cni/pkg/plugin of Istio, `Config`).

    Args:
        network: of the node.
        mesh: directory of that plugin, where its kubeconfig lies and where it logs.
    """
    addresses = {
        "type": "host-local",
        "dataDir": "/run/cni",
        "ranges": [[{"subnet": network.pods}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    excluded = ["istio-system", "kube-system"]
    plugins = [
        {"type": "ptp", "ipMasq": False, "mtu": 1500, "ipam": addresses},
        {"type": "istio-cni", "cni_agent_run_dir": str(mesh), "exclude_namespaces": excluded},
    ]
    return json.dumps({"cniVersion": "0.4.0", "name": "sandbox", "plugins": plugins})


def kubelet(state: Path, authority: Path, cgroup: str, network: Network) -> dict[str, Any]:
    """A KubeletConfiguration (https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/)."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": network.node,
        "healthzBindAddress": network.node,
        "authentication": {"anonymous": {"enabled": False}, "x509": {"clientCAFile": str(authority)}},
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "clusterDomain": DOMAIN,
        "clusterDNS": [DNS],
        "resolvConf": str(state / "resolv.conf"),
        "podLogsDir": str(state / "pods"),
        "volumePluginDir": str(state / "plugins"),
        # Images come from `images/` and from nowhere else: none is ever collected, and a full disk evicts late.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "200Mi",
            "nodefs.available": "1Gi",
            "imagefs.available": "1Gi",
            "nodefs.inodesFree": "1%",
        },
        # The control plane and the commands of the user share the machine.
        "systemReserved": {"cpu": "200m", "memory": "2Gi"},
        "serializeImagePulls": False,
        "shutdownGracePeriod": "0s",
    }


def kube_proxy(kubeconfig: Path, network: Network) -> dict[str, Any]:
    """A KubeProxyConfiguration (https://kubernetes.io/docs/reference/config-api/kube-proxy-config.v1alpha1/)."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "mode": "iptables",
        "clusterCIDR": network.pods,
        "hostnameOverride": NAME,
        "nodePortAddresses": ["primary"],
        "healthzBindAddress": f"{network.node}:10256",
        "metricsBindAddress": f"{network.node}:10249",
        "oomScoreAdj": 0,
        "iptables": {"localhostNodePorts": False},
        # They belong to the whole machine, so they stay as they are.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def corefile(kubeconfig: Path) -> str:
    """CoreDNS answers for the cluster; other names do not exist, because nothing else can be reached."""
    return f"""{DOMAIN}:53 in-addr.arpa:53 {{
    bind {DNS}
    errors
    kubernetes {DOMAIN} in-addr.arpa {{
        kubeconfig {kubeconfig}
        ttl 5
    }}
    cache 5
}}
.:53 {{
    bind {DNS}
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def storage(state: Path) -> str:
    """Where local-path-provisioner makes volumes."""
    return json.dumps({"nodePathMap": [{"node": NAME, "paths": [str(state / "volumes")]}]})


def helper_pod() -> dict[str, Any]:
    """The pod in which local-path-provisioner makes and removes a volume's directory."""
    container = {"name": "helper-pod", "image": BUSYBOX, "imagePullPolicy": "Never"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "helper-pod"}, "spec": {"containers": [container]}}


def kubeconfig(server: str, authority: Path, certificate: Path, key: Path) -> dict[str, Any]:
    """A kubeconfig for one of the node's processes, which shows a client certificate."""
    named = {"name": "sandbox"}
    user = {"client-certificate": str(certificate), "client-key": str(key)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{**named, "cluster": {"server": server, "certificate-authority": str(authority)}}],
        "users": [{**named, "user": user}],
        "contexts": [{**named, "context": {"cluster": "sandbox", "user": "sandbox"}}],
        "current-context": "sandbox",
    }


def control_plane(config: Mapping[str, Any], pki: Path, network: Network) -> dict[str, Any]:
    """The configuration of kwokctl, changed so that a real node can join: addresses, and who speaks to kubelets."""
    flags = {
        "kube-apiserver": {
            "advertise-address": network.node,
            "service-cluster-ip-range": network.services,
            # kwokctl gives the API server a port of the default range, which is then not free in the node.
            "service-node-port-range": "30000-31999",
            "kubelet-preferred-address-types": "InternalIP",
            "kubelet-client-certificate": str(pki / "admin.crt"),
            "kubelet-client-key": str(pki / "admin.key"),
        },
        "kwok-controller": {"cidr": network.simulated},
    }
    added = [
        {"name": name, "extraArgs": [{"key": key, "value": value} for key, value in values.items()]}
        for name, values in flags.items()
    ]
    names = [network.node, network.api_service]
    return {
        **config,
        "options": {**config["options"], "kubeApiserverCertSANs": names},
        "componentsPatches": [*config.get("componentsPatches", []), *added],
    }
