"""The embedded cluster: what it starts, what it survives, and that it leaves nothing."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from sandbox.cluster import CONTEXT, Cluster
from sandbox.tools import Toolbox
from sandbox.workspace import Workspace
from tests.support.engine import eventually
from tests.support.machine import processes_of


@pytest.fixture(scope="module")
def own(toolbox: Toolbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("own") / "cluster", toolbox)
    assert cluster.up()
    yield cluster
    cluster.down()


def test_the_nodes_are_those_of_the_shape(own: Cluster) -> None:
    nodes = json.loads(own.kubectl("get", "nodes", "--output", "json"))["items"]
    allocatable = {node["metadata"]["name"]: node["status"]["allocatable"] for node in nodes}
    assert sum(int(node["cpu"]) for node in allocatable.values()) == 88
    assert sum(int(node.get("nvidia.com/gpu", 0)) for node in allocatable.values()) == 16


def test_starting_it_again_does_nothing(own: Cluster) -> None:
    before = {component.name: component.pid for component in own.status()}
    assert own.up() is False
    assert {component.name: component.pid for component in own.status()} == before


def test_nothing_listens_beyond_this_machine(own: Cluster) -> None:
    inodes = {
        link.readlink().name.removeprefix("socket:[").removesuffix("]")
        for process in processes_of(own.directory)
        for link in Path("/proc", process.split()[0], "fd").iterdir()
        if link.is_symlink() and str(link.readlink()).startswith("socket:")
    }
    listening = []
    for table, loopback in (("tcp", "0100007F"), ("tcp6", "00000000000000000000000001000000")):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                listening.append(fields[1].split(":")[0] == loopback)
    assert len(listening) >= 5
    assert all(listening)


def test_its_kubeconfig_is_its_own_and_for_nobody_else(own: Cluster) -> None:
    config = yaml.safe_load(own.kubeconfig.read_text())
    assert [context["name"] for context in config["contexts"]] == [CONTEXT]
    assert own.kubeconfig.stat().st_mode & 0o077 == 0
    assert (
        CONTEXT not in (Path.home() / ".kube" / "config").read_text()
        if (Path.home() / ".kube" / "config").exists()
        else True
    )


def test_an_image_of_ray_in_the_operators_place_starts_no_operator(own: Cluster) -> None:
    # Report 001, 1.1: "executable not found", and the status said "functional".
    own.kubectl("create", "deployment", "wrong", "--image=rayproject/ray:2.60.0")
    own.kubectl("create", "deployment", "right", "--image=quay.io/kuberay/operator:v1.6.2")
    assert eventually(lambda: any(component.name.startswith("default_right") for component in own.status()))
    assert not any(component.name.startswith("default_wrong") for component in own.status())
    own.kubectl("delete", "deployment", "wrong", "right")
    assert eventually(lambda: not any(component.name.startswith("default_") for component in own.status()))


def test_an_operator_acts_with_the_rights_of_its_own_account_only(base: Workspace) -> None:
    cluster = base.cluster
    container = {
        "name": "operator",
        "image": "quay.io/kuberay/operator:v1.6.2",
        "args": ["--leader-election-namespace=default", "--enable-leader-election=false"],
    }
    pod = {"metadata": {"labels": {"app": "powerless"}}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": {"app": "powerless"}}, "template": pod}
    manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "powerless"}, "spec": spec}
    cluster.kubectl("create", "--filename", "-", stdin=json.dumps(manifest))
    # The default account of a namespace may do nothing; an operator on the administrator's rights would just work.
    assert eventually(
        lambda: any("is forbidden" in log.read_text() for log in cluster.logs.glob("default_powerless*.log")),
        seconds=60,
    )
    cluster.kubectl("delete", "deployment", "powerless")


def test_it_comes_back_after_a_part_of_it_was_killed(own: Cluster) -> None:
    (server,) = [component for component in own.status() if component.name == "kube-apiserver"]
    assert server.pid
    os.kill(server.pid, signal.SIGKILL)
    assert eventually(lambda: not next(c for c in own.status() if c.name == "kube-apiserver").running)
    assert own.up() is True
    assert [component.name for component in own.status() if not component.running] == []


def test_stopping_it_leaves_no_process_and_no_file_even_when_all_was_killed(own: Cluster) -> None:
    assert processes_of(own.directory)
    for component in own.status():
        if component.pid:
            os.kill(component.pid, signal.SIGKILL)
    own.down()
    assert processes_of(own.directory) == set()
    assert not own.directory.exists()
    own.down()  # nothing to do is fine
    assert own.up() is True
