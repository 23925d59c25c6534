"""The access table on real pods: every pair, by real requests from the network of each pod.

In a mesh that a connection opens says nothing, since the caller's own sidecar opens it: what counts is an answer.
"""

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest

from components.kube.access import AccessTable, Workload
from policies.reach import Pod
from tests.support.access import End, admits, believes, end, stranger
from tests.support.clients import ask, elsewhere, start
from tests.support.engine import Stack, eventually
from tests.support.mesh import table_of
from tests.support.node import network_of
from tests.support.ray import cpu_workers

SLEEP = "sleep 600"

SPEAK = """
import json, socket, ssl, sys, threading
HELLO = {
    "http": b"GET / HTTP/1.1\\r\\nHost: %s\\r\\nConnection: close\\r\\n\\r\\n",
    "postgres": bytes.fromhex("0000000804d2162f"),
    "redis": b"PING\\r\\n",
    "grpc": b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + bytes.fromhex("000000040000000000"),
}
NO_ANSWER = (b"RBAC: access denied", b"connection failure", b"connection timeout", b"connection termination")
told = {}
def speak(at, host, port, language):
    heard = b""
    try:
        with socket.create_connection((host, port), timeout=5) as connection:
            if language == "tls":
                ssl._create_unverified_context().wrap_socket(connection)
                heard = b"certificate"
            else:
                hello = HELLO[language]
                connection.sendall(hello % at.encode() if b"%s" in hello else hello)
                while len(heard) < 65536 and (more := connection.recv(4096)):
                    heard += more
                    if language != "http":
                        break
    except OSError:
        pass
    told[f"{host}:{port}"] = bool(heard) and not any(sentence in heard for sentence in NO_ANSWER)
threads = [threading.Thread(target=speak, args=each) for each in json.load(sys.stdin)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps(told))
"""
"""Says hello in the language of each port; whether something answered that is not a sidecar's refusal."""

LANGUAGES = {"postgres": "postgres", "redis": "redis", "runtime-env": "http", "agent": "http"}
"""Of ports that are spoken of as TCP; the others of Ray speak gRPC."""


@dataclass(frozen=True)
class Running:
    """A pod that runs, as the table knows it.

    Attributes:
        name: of the pod.
        address: of the pod.
        end: what the table says of it.
        doors: where its ports are reached, by port: a Service that leads there, or the pod itself.
    """

    name: str
    address: str
    end: End
    doors: dict[int, tuple[str, str, int, str]]


@pytest.fixture(scope="module")
def table(dev: Stack) -> AccessTable:
    return table_of(dev)


@pytest.fixture(scope="module")
def running(dev: Stack, table: AccessTable) -> Iterator[list[Running]]:
    """A pod of every workload, and some that lie; where a Job's has ended, one with its labels and identity sleeps."""
    # A pod with the labels of the last would be one of KubeRay's; it runs in test_ray_head_lost.
    served = {"ray-head", "ray-worker", "kuberay-operator", "mlflow", "feast-server", "feast-registry"}
    served |= {"postgres", "redis", "object-store", "ray-cleanup"}
    made = {start(dev, SLEEP, like=each.name): each for each in table.workloads if each.name not in served}
    nobody = start(dev, SLEEP, like=None)
    clients = table.end("clients")
    assert isinstance(clients, Workload)
    bare = start(dev, SLEEP, labels={"sidecar.istio.io/inject": "false"})
    disguised = start(dev, SLEEP, account="default")
    names = [*made, nobody, bare, disguised]
    for name in names:
        dev.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=120s")
    assert eventually(lambda: idle_workers_are_gone(dev), seconds=120)
    known = {
        nobody: stranger(dev.namespace),
        bare: changed(end(clients, dev.namespace), meshed=False),
        disguised: changed(end(clients, dev.namespace), account="default"),
    }
    services = dev.get("services")["items"]
    found: list[Running] = []
    for pod in dev.get("pods", "--field-selector=status.phase=Running,spec.nodeName=local")["items"]:
        labels, name = pod["metadata"].get("labels", {}), pod["metadata"]["name"]
        who = [each for each in table.workloads if each.selector.items() <= labels.items()]
        if "deletionTimestamp" not in pod["metadata"] and (who or name in names):
            what = known.get(name) or end(who[0], dev.namespace)
            ports = doors(dev, pod, who[0], services) if who and name not in names else {}
            found.append(Running(name, pod["status"]["podIP"], what, ports))
    yield found
    dev.kubectl("delete", "pods", *names, "--grace-period=0", "--force")


def changed(known: End, **fields: Any) -> End:
    assert isinstance(known.what, Pod)
    return replace(known, what=replace(known.what, **fields))


def idle_workers_are_gone(stack: Stack) -> bool:
    """Whether the autoscaler has removed what nobody uses: a pod that goes while it is asked answers nothing."""
    return len(cpu_workers(stack)) == 1


def doors(
    stack: Stack, pod: dict[str, Any], who: Workload, services: list[dict[str, Any]]
) -> dict[int, tuple[str, str, int, str]]:
    """Where each port of a pod is reached on which something listens: host name, address, port, language."""
    listening = subprocess.run(
        [*network_of(stack, pod["metadata"]["name"]), "ss", "--listening", "--tcp", "--numeric", "--no-header"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    open_ports = {int(line.split()[3].rpartition(":")[2]) for line in listening.splitlines()}
    found: dict[int, tuple[str, str, int, str]] = {}
    for service in services:
        spec = service["spec"]
        if not (spec.get("selector") and spec["selector"].items() <= pod["metadata"]["labels"].items()):
            continue
        headless = spec["clusterIP"] == "None"
        for port in spec["ports"]:
            target = port.get("targetPort", port["port"])
            number = target if isinstance(target, int) else who.ports[target].number
            name = next((name for name, each in who.ports.items() if number in each), "")
            if name and number in open_ports and (number not in found or not headless):
                http = port.get("appProtocol") in {"http", "grpc"} and not headless
                address = pod["status"]["podIP"] if headless else spec["clusterIP"]
                language = "http" if http else LANGUAGES.get(name, "grpc")
                found[number] = (service["metadata"]["name"], address, number if headless else port["port"], language)
    return found


def answers(dev: Stack, source: Running, asked: list[tuple[str, str, int, str]]) -> dict[str, bool]:
    """What is heard from within a pod's own network."""
    command = [*network_of(dev, source.name), "python3", "-c", SPEAK]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=True, timeout=180)
    told: dict[str, bool] = json.loads(done.stdout)
    return told


@pytest.mark.timeout(900)
def test_every_pair_of_pods_is_admitted_or_denied_as_the_table_says(
    dev: Stack, table: AccessTable, running: list[Running]
) -> None:
    assert {name for each in running for name in each.end.names} == {each.name for each in table.workloads} - {
        "ray-cleanup"
    }
    with ThreadPoolExecutor(4) as pool:
        heard = dict(
            zip(
                [source.name for source in running],
                pool.map(
                    lambda source: answers(
                        dev, source, [door for target in running if target != source for door in target.doors.values()]
                    ),
                    running,
                ),
                strict=True,
            )
        )
    rows, denied, wrong = set(), 0, []
    for source in running:
        for target in running:
            for port, (_, address, number, _) in target.doors.items() if target != source else ():
                wanted = admits(table, source.end, target.end, (port, "TCP")) and believes(
                    table, source.end, target.end, port
                )
                found = heard[source.name][f"{address}:{number}"]
                if found != wanted:
                    wrong.append((source.name, *source.end.names, target.name, port, found))
                denied += not found
                rows |= {(name, other) for name in source.end.names for other in target.end.names if found}
    assert wrong == []
    # A pod of the Job that empties Redis is one of KubeRay's.
    told = {
        (row.source, row.target)
        for row in table.rows
        if isinstance(table.end(row.target), Workload) and row.source != "ray-cleanup"
    }
    # One worker is left, and speaks to no other.
    assert rows == told - {("ray-worker", "ray-worker")}
    assert denied >= len(told)


@pytest.mark.timeout(300)
def test_the_api_server_answers_those_who_ask_it_and_nobody_else(
    dev: Stack, table: AccessTable, running: list[Running]
) -> None:
    server = table.end("api-server")
    assert not isinstance(server, Workload)
    asked = ("", server.cidrs[0].partition("/")[0], server.ports["https"].number, "tls")
    answered = {
        name
        for source in running
        if set(answers(dev, source, [asked]).values()) == {True}
        for name in source.end.names or {"stranger"}
    }
    assert answered == {row.source for row in table.into("api-server")}


def test_from_another_namespace_nothing_is_reached(dev: Stack, running: list[Running]) -> None:
    with elsewhere(dev) as outside:
        name = start(outside, SLEEP, account="default")
        outside.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
        asked = [door for target in running for door in target.doors.values()]
        pod = Running(name, "", running[0].end, {})
        assert set(answers(outside, pod, asked).values()) == {False}
        assert len(asked) >= 20


def test_a_pod_that_nobody_describes_has_names_and_nothing_else(dev: Stack) -> None:
    health = "wget --timeout=5 --tries=1 --quiet --output-document=- http://mlflow:5000/health"
    assert "ALONE" in ask(dev, f"getent hosts mlflow && ! {health} && echo ALONE", like=None)
    assert ask(dev, health) == "OK"
