"""The pure parts of the real node: addresses, configuration files, reasons, and which nodes are simulated."""

import ipaddress
import json
import os
import platform
import shutil
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from sandbox import configs, machine, network, tools
from sandbox.cluster import SHAPE, simulated
from sandbox.controllers import simulated as is_simulated
from sandbox.network import BLOCKS, Network
from sandbox.node import Node
from sandbox.processes import ClusterError
from sandbox.tools import Toolbox

NET = Network(ipaddress.IPv4Network(BLOCKS[0]))
NOTHING = Toolbox(Path(), {}, ())


def test_a_block_is_taken_that_touches_no_address_and_no_route() -> None:
    blocks = ("10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16")
    assert str(network.first_free(blocks, [])) == "10.1.0.0/16"
    assert str(network.first_free(blocks, ["0.0.0.0/0"])) == "10.1.0.0/16"
    assert str(network.first_free(blocks, ["10.1.4.7/24", "192.0.2.0/24"])) == "10.2.0.0/16"
    assert str(network.first_free(blocks, ["10.0.0.0/15", "10.2.255.255"])) == "10.3.0.0/16"
    with pytest.raises(ClusterError, match=r"each of 10\.1\.0\.0/16, .* is in use"):
        network.first_free(blocks, ["10.0.0.0/8"])


def test_the_ranges_of_a_node_lie_in_its_block_and_apart() -> None:
    link, pods, services, fake = (
        ipaddress.IPv4Network(text, strict=False) for text in (f"{NET.node}/30", NET.pods, NET.services, NET.simulated)
    )
    ranges = [link, pods, services, fake]
    assert all(each.subnet_of(NET.block) for each in ranges)
    assert not any(a.overlaps(b) for a in ranges for b in ranges if a is not b)
    assert ipaddress.IPv4Address(NET.machine) in link
    assert ipaddress.IPv4Address(NET.api_service) == services[1]  # Kubernetes gives the first one to its API server
    assert pods.num_addresses > 2 * 110  # what a kubelet allows


def test_two_sandboxes_have_two_links_with_names_the_kernel_takes() -> None:
    one, other = network.link_name(Path("/a/very/long/path/to/a/sandbox")), network.link_name(Path("/b"))
    assert one != other
    assert len(one) <= 15


def test_the_control_plane_keeps_its_settings_and_learns_the_nodes() -> None:
    plain = {
        "options": {"bindAddress": "127.0.0.1"},
        "componentsPatches": [{"name": "kwok-controller", "extraArgs": [{"key": "a", "value": "b"}]}],
    }
    made = configs.control_plane(plain, Path("/pki"), NET)
    assert made["options"]["bindAddress"] == "127.0.0.1"
    assert made["options"]["kubeApiserverCertSANs"] == [NET.node, NET.api_service]
    flags = [
        (patch["name"], arg["key"], arg["value"]) for patch in made["componentsPatches"] for arg in patch["extraArgs"]
    ]
    assert flags[0] == ("kwok-controller", "a", "b")
    assert ("kube-apiserver", "advertise-address", NET.node) in flags
    assert flags[-1] == ("kwok-controller", "cidr", NET.simulated)  # of a flag given twice the last counts
    assert "kubeApiserverCertSANs" not in plain["options"]


def test_every_path_in_the_configurations_is_the_nodes_own() -> None:
    state = Path("/sandbox/node")
    kubelet = configs.kubelet(state, state / "ca.crt", "group", NET)
    assert {kubelet["resolvConf"], kubelet["podLogsDir"], kubelet["volumePluginDir"]} == {
        f"{state}/resolv.conf",
        f"{state}/pods",
        f"{state}/plugins",
    }
    assert kubelet["address"] == kubelet["healthzBindAddress"] == NET.node
    text = configs.containerd(state, Path("/usr/lib/cni"))
    assert f'conf_dir = "{state}/cni"' in text
    assert f'root = "{state}/containerd"' in text
    assert json.loads(configs.storage(state))["nodePathMap"][0]["paths"] == [f"{state}/volumes"]


def test_istios_plugin_comes_after_the_one_that_makes_the_link() -> None:
    plugins = json.loads(configs.cni(NET, Path("/sandbox/node/istio-cni")))["plugins"]
    assert [plugin["type"] for plugin in plugins] == ["ptp", "istio-cni"]
    assert plugins[1]["cni_agent_run_dir"] == "/sandbox/node/istio-cni"
    # It asks the API server about each pod: istiod, which the API server asks about pods, must not wait for that.
    assert "istio-system" in plugins[1]["exclude_namespaces"]


def test_images_are_never_collected_and_nothing_of_the_machines_is_tuned() -> None:
    kubelet = configs.kubelet(Path("/n"), Path("/ca"), "group", NET)
    assert kubelet["imageGCHighThresholdPercent"] == 100
    assert set(configs.kube_proxy(Path("/k"), NET)["conntrack"].values()) == {0, "0s"}


def test_beside_a_real_node_only_nodes_with_gpus_are_simulated() -> None:
    alone = list(yaml.safe_load_all(simulated(SHAPE, beside_a_real_one=False)))
    beside = list(yaml.safe_load_all(simulated(SHAPE, beside_a_real_one=True)))
    assert alone == list(yaml.safe_load_all(SHAPE.read_text()))
    assert {node["metadata"]["name"] for node in beside} == {"gpu1", "gpu2"}
    assert all(node["spec"]["taints"] for node in beside)


def test_operators_of_pods_on_a_real_node_are_left_alone() -> None:
    def node(**annotations: str) -> SimpleNamespace:
        return SimpleNamespace(metadata=SimpleNamespace(annotations=annotations or None))

    assert is_simulated(node(**{"kwok.x-k8s.io/node": "fake"}))
    assert not is_simulated(node())
    assert not is_simulated(node(**{"volumes.kubernetes.io/controller-managed-attach-detach": "true"}))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((platform, "system", lambda: "Darwin"), "need Linux, and this is Darwin"),
        ((os, "geteuid", lambda: 1000), "need root"),
        ((machine, "controllers", list), "no control groups"),
    ],
)
def test_it_says_why_there_can_be_no_real_node(
    change: tuple[object, str, object], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(*change)
    assert reason in machine.obstacle()


def test_an_image_of_static_programs_says_what_it_holds(tmp_path: Path) -> None:
    archive = machine.image(tmp_path / "one.tar", "sandbox.local/one:1", {"bin/one": Path("/bin/true")}, ["/bin/one"])
    again = machine.image(tmp_path / "two.tar", "sandbox.local/one:1", {"bin/one": Path("/bin/true")}, ["/bin/one"])
    assert list(machine.held(archive)) == ["sandbox.local/one:1"]
    assert machine.held(archive) == machine.held(again)
    with tarfile.open(tmp_path / "docker.tar", "w"):
        pass
    assert machine.held(tmp_path / "docker.tar") == {}


def test_missing_packages_are_a_reason_where_they_cannot_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(machine, "controllers", lambda: [Path("/")])
    monkeypatch.setattr(os, "access", lambda *_args: True)
    monkeypatch.setattr(shutil, "which", lambda *_args, **_more: None)
    assert "missing and not installable without apt-get: " in machine.obstacle()
    assert "containerd" in machine.obstacle()


def test_where_there_is_no_node_there_is_nothing_to_show_and_nothing_to_remove(tmp_path: Path) -> None:
    node = Node(tmp_path / "node", NOTHING)
    assert not node.exists
    assert node.status() == []
    node.down()
    assert list(tmp_path.iterdir()) == []


def test_a_sandbox_of_simulated_nodes_wants_no_tool_of_a_real_one() -> None:
    real = set(tools.wanted(real=True)) - set(tools.wanted(real=False))
    assert real == {
        "kubelet",
        "kube-proxy",
        "coredns",
        "local-path-provisioner",
        "versitygw",
        "pilot-agent",
        "istio-cni",
    }
    assert set(tools.wanted(real=True)) == {name for name, tool in tools.load().items() if not tool.optional}


def test_kubelet_and_control_plane_are_of_one_release() -> None:
    pinned = tools.load()
    assert {pinned[name].version for name in ("kubelet", "kube-proxy", "kube-apiserver")} == {"1.34.4"}
