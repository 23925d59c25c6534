"""The access table on real pods: every pair and every port, tried by real connections."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from components.kube.access import AccessTable, Workload
from tests.support.access import End, admits, end, stranger
from tests.support.clients import ask, start
from tests.support.engine import Stack, eventually, settings
from tests.support.node import network_of

SLEEP = "sleep 600"
API_SERVER = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"

CONNECT = """
import errno, json, socket, sys, threading
told = {}
def connect(host, port):
    try:
        socket.create_connection((host, port), timeout=4).close()
        told[f"{host}:{port}"] = "answered"
    except OSError as error:
        told[f"{host}:{port}"] = "refused" if error.errno == errno.ECONNREFUSED else "denied"
threads = [threading.Thread(target=connect, args=each) for each in json.load(sys.stdin)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps(told))
"""
"""Connects to all that it is given. A port that nobody listens on was reached too, if the pod itself refuses."""


@dataclass(frozen=True)
class Running:
    """A pod that runs, as the table knows it."""

    name: str
    address: str
    end: End


@pytest.fixture(scope="module")
def table(dev: Stack) -> AccessTable:
    found = json.loads(dev.kubectl("get", "--raw", API_SERVER))
    addresses = [each["addresses"][0] for each in found["endpoints"]]
    return settings(dev).access([(address, found["ports"][0]["port"]) for address in addresses])


@pytest.fixture(scope="module")
def running(dev: Stack, table: AccessTable) -> Iterator[list[Running]]:
    """A pod of every workload, and one that no row knows; where a Job's has ended, one with its labels sleeps."""
    # A pod with the labels of the last would be one of KubeRay's; it runs in test_ray_head_lost.
    served = {"ray-head", "ray-worker", "kuberay-operator", "mlflow", "feast-server", "feast-registry"}
    served |= {"postgres", "redis", "object-store", "ray-cleanup"}
    made = [start(dev, SLEEP, like=each.name) for each in table.workloads if each.name not in served]
    made.append(start(dev, SLEEP, like=None))
    for name in made:
        dev.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
    assert eventually(lambda: idle_workers_are_gone(dev), seconds=120)
    found: list[Running] = []
    for pod in dev.get("pods", "--field-selector=status.phase=Running,spec.nodeName=local")["items"]:
        labels = pod["metadata"].get("labels", {})
        who = [each for each in table.workloads if each.selector.items() <= labels.items()]
        if "deletionTimestamp" not in pod["metadata"] and (who or pod["metadata"]["name"] in made):
            known = end(who[0], dev.namespace) if who else stranger(dev.namespace)
            found.append(Running(pod["metadata"]["name"], pod["status"]["podIP"], known))
    yield found
    dev.kubectl("delete", "pods", *made, "--grace-period=0", "--force")


def idle_workers_are_gone(stack: Stack) -> bool:
    """Whether the autoscaler has removed what nobody uses: a pod that goes while it is asked answers nothing."""
    return len(stack.get("pods", "--selector=ray.io/group=cpu")["items"]) == 1


def connections(dev: Stack, source: Running, targets: list[tuple[str, int]]) -> dict[str, str]:
    """What comes of connections out of a pod's own network: answered, refused by the other pod, or denied."""
    command = [*network_of(dev, source.name), "python3", "-c", CONNECT]
    done = subprocess.run(command, input=json.dumps(targets), capture_output=True, text=True, check=True, timeout=120)
    told: dict[str, str] = json.loads(done.stdout)
    return told


@pytest.mark.timeout(900)
def test_every_pair_of_pods_is_admitted_or_denied_as_the_table_says(
    dev: Stack, table: AccessTable, running: list[Running]
) -> None:
    assert {name for each in running for name in each.end.names} == {each.name for each in table.workloads} - {
        "ray-cleanup"
    }
    answered, denied, wrong = 0, 0, []
    for source in running:
        pairs = [
            (target, port) for target in running if target.name != source.name for port in sorted(target.end.ports)
        ]
        told = connections(dev, source, [(target.address, port) for target, port in pairs])
        for target, port in pairs:
            found = told[f"{target.address}:{port}"]
            wanted = admits(table, source.end, target.end, (port, "TCP"), dev.namespace)
            answered += found == "answered"
            denied += found == "denied"
            if (found != "denied") != wanted:
                wrong.append((source.name, target.name, port, found))
    assert wrong == []
    rows = [row for row in table.rows if isinstance(table.end(row.target), Workload)]
    assert answered >= len(rows), "each row's target listens on at least one of its ports"
    assert denied >= len(rows)


@pytest.mark.timeout(300)
def test_the_api_server_answers_those_who_ask_it_and_nobody_else(
    dev: Stack, table: AccessTable, running: list[Running]
) -> None:
    server = table.end("api-server")
    assert not isinstance(server, Workload)
    targets = [(server.cidrs[0].partition("/")[0], server.ports["https"].number)]
    answered = {
        name
        for source in running
        if set(connections(dev, source, targets).values()) == {"answered"}
        for name in source.end.names or {"stranger"}
    }
    assert answered == {row.source for row in table.into("api-server")}


def test_from_another_namespace_nothing_is_reached(dev: Stack, running: list[Running]) -> None:
    cluster = dev.workspace.cluster
    cluster.kubectl("create", "namespace", "elsewhere")
    try:
        outside = Stack(dev.workspace, dev.name, {**dev.config, "ml-platform:tenancy": {"namespace": "elsewhere"}})
        assert eventually(lambda: bool(outside.get("serviceaccounts")["items"]))
        name = start(outside, SLEEP)
        outside.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
        targets = [(target.address, port) for target in running for port in sorted(target.end.ports)]
        pod = Running(name, "", running[0].end)
        assert set(connections(outside, pod, targets).values()) == {"denied"}
        assert len(targets) >= 40
    finally:
        cluster.kubectl("delete", "namespace", "elsewhere", "--wait=false")


def test_a_pod_that_nobody_describes_has_names_and_nothing_else(dev: Stack) -> None:
    health = "wget --timeout=5 --tries=1 --quiet --output-document=- http://mlflow:5000/health"
    assert "ALONE" in ask(dev, f"getent hosts mlflow && ! {health} && echo ALONE", like=None)
    assert ask(dev, health) == "OK"
