"""The mesh on real pods: what travels between them is encrypted, and nothing that ends is kept by its sidecar."""

from pathlib import Path

import pytest

from policies.reach.verdict import PROXY_PORTS
from tests.support.clients import ask, elsewhere, ended, python, sql, start
from tests.support.engine import Stack, eventually
from tests.support.mesh import analysed, expected, misread, sidecar
from tests.support.node import Capture, capture
from tests.support.ray import dashboard

JOBS = Path(__file__).with_name("jobs")
MARK = "seen-by-everyone"


def addresses(stack: Stack) -> dict[str, str]:
    """What each address of a pod is."""
    pods = stack.get("pods", "--field-selector=status.phase=Running,spec.nodeName=local")["items"]
    return {
        pod["status"]["podIP"]: pod["metadata"]["labels"].get(
            "ray.io/node-type", pod["metadata"]["labels"].get("app.kubernetes.io/name", "")
        )
        for pod in pods
    }


def first_words(stack: Stack, found: Capture) -> dict[str, set[str]]:
    """What was first said on each connection between pods, by who was called."""
    known = addresses(stack)
    said: dict[str, set[str]] = {}
    for called, port, first in found.connections:
        # The kubelet asks a sidecar for its own health and its pod's, on ports that are not behind it.
        if called in known and port not in PROXY_PORTS:
            said.setdefault(known[called], set()).add(first)
    return said


@pytest.mark.timeout(900)
def test_between_pods_all_is_encrypted(dev: Stack) -> None:
    asking = f"wget --quiet --output-document=- --header='X-Mark: {MARK}'"
    with capture(dev, MARK) as found:
        assert ask(dev, f"{asking} http://mlflow:5000/health") == "OK"
        ask(dev, f"{asking} http://feast-server:6566/health")
        assert sql(dev, "SELECT 1", "mlflow", "mlflow") == "1"
        hello = "import socket; s = socket.create_connection(('redis', 6379)); s.send(b'PING\\r\\n'); print(s.recv(99))"
        assert "NOAUTH" in ask(dev, python(hello), like="feast-apply")
        with dashboard(dev) as owner:
            owner.result(owner.submit(JOBS / "spread.py"))
    said = first_words(dev, found)
    # TLS begins with a handshake (22), version 3.
    assert set(said) >= {"mlflow", "feast-server", "postgres", "redis", "worker"}
    assert {who for who, first in said.items() if first != {"1603"}} == set()
    assert not found.marked


def test_the_capture_sees_what_is_not_encrypted(dev: Stack) -> None:
    """What guards the test above: the same between two pods that have no sidecar."""
    with elsewhere(dev) as plain:
        server = start(plain, "cd /tmp; python3 -m http.server 5000", like=None)
        plain.kubectl("wait", "--for=condition=Ready", f"pod/{server}", "--timeout=60s")
        address = plain.get("pod", server)["status"]["podIP"]
        with capture(dev, MARK) as found:
            said = f"wget --tries=5 --retry-connrefused --quiet --output-document=- --header='X-Mark: {MARK}'"
            assert "html" in ask(plain, f"{said} http://{address}:5000/", like=None)
    assert {first for called, _, first in found.connections if called == address} == {b"GE".hex()}
    assert found.marked


def test_a_proxy_expects_behind_a_service_whoever_may_be_there(dev: Stack) -> None:
    """Istiod alone would tell it of the accounts that were there when it came (docs/decisions/0018)."""
    pods = [each for each in dev.get("pods")["items"] if each["status"]["phase"] == "Running"]
    worker = next(each["metadata"]["name"] for each in pods if each["metadata"]["labels"].get("ray.io/group") == "cpu")
    taken = expected(dev, worker)
    for service in dev.get("services")["items"]:
        selector = service["spec"].get("selector", {}).items()
        there = {each["spec"]["serviceAccountName"] for each in pods if selector <= each["metadata"]["labels"].items()}
        assert there <= taken[f"{service['metadata']['name']}.{dev.namespace}.svc.cluster.local"]
    assert taken[f"ray-nodes.{dev.namespace}.svc.cluster.local"] == {"ray-head", "ray-worker"}


def test_what_ends_is_not_kept_by_its_sidecar(dev: Stack) -> None:
    """The reports' DataHub and Superset: Jobs that ran for ever beside a sidecar (report 004)."""
    pods = [pod for pod in dev.get("pods")["items"] if "job-name" in pod["metadata"]["labels"]]
    assert {pod["metadata"]["labels"]["job-name"] for pod in pods} >= {
        "databases",
        "buckets",
        "mlflow-migrate",
        "ray-ready",
    }
    assert {pod["status"]["phase"] for pod in pods} == {"Succeeded"}
    for pod in pods:
        assert sidecar(pod)["restartPolicy"] == "Always"


def test_an_init_container_reaches_postgres(dev: Stack) -> None:
    """The reports' jobs whose init containers had no network, since the sidecar came after them."""
    query = "psql --host=postgres --no-psqlrc --tuples-only --no-align --command='SELECT 40 + 2' > /shared/answer"
    password = ("database-mlflow", "password")
    name = start(
        dev,
        "cat /shared/answer",
        first=query,
        like="databases",
        PGUSER="mlflow",
        PGDATABASE="mlflow",
        PGPASSWORD=password,
    )
    assert ended(dev, name) == "42"


def test_without_a_sidecar_nothing_answers(dev: Stack) -> None:
    """The network lets it through, by its labels; what it sends is plain text."""
    health = "wget --timeout=5 --tries=1 --output-document=- http://mlflow:5000/health 2>&1 || true"
    assert "OK" not in ask(dev, health, labels={"sidecar.istio.io/inject": "false"})
    assert "OK" in ask(dev, health)


def test_istio_and_the_evaluator_find_nothing_wrong_in_what_is_in_force(dev: Stack) -> None:
    assert eventually(lambda: misread(dev) == [])
    assert analysed(dev) == f"✔ No validation issues found when analyzing namespace: {dev.namespace}."
