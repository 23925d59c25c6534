"""Istio's control plane on the cluster: whom it gives a sidecar, what it refuses, and that it comes back."""

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.cluster import Cluster, ClusterError
from sandbox.istio import NAMESPACE
from tests.support.engine import eventually
from tests.support.machine import processes_of
from tests.support.manifests import RESTRICTED

INJECTED, PLAIN = "mesh-injected", "mesh-plain"


@pytest.fixture(scope="module")
def mesh(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster with a namespace in the mesh, which enforces the strictest Pod Security Standard, and a plain one."""
    enforce = {"pod-security.kubernetes.io/enforce": "restricted"}
    for name, labels in ((INJECTED, {"istio-injection": "enabled", **enforce}), (PLAIN, {})):
        create(cluster, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    yield cluster
    cluster.kubectl("delete", "namespace", INJECTED, PLAIN, "--wait=false")


def create(cluster: Cluster, *objects: dict[str, Any]) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    cluster.kubectl("create", "--filename", "-", stdin=json.dumps(listed))


def pod(namespace: str, name: str = "demo", **metadata: Any) -> dict[str, Any]:
    container = {"name": "main", "image": "example/demo:1", "securityContext": RESTRICTED}
    metadata = {"name": name, "namespace": namespace, **metadata}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}


def policy(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": "demo", "namespace": INJECTED}
    return {"apiVersion": "security.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def created(cluster: Cluster, namespace: str, name: str = "demo", **metadata: Any) -> dict[str, Any]:
    """The pod as it is after admission."""
    create(cluster, pod(namespace, name, **metadata))
    found = json.loads(cluster.kubectl("--namespace", namespace, "get", "pod", name, "--output", "json"))
    return dict(found)


def test_a_pod_in_the_mesh_gets_a_native_sidecar_that_pod_security_admits(mesh: Cluster) -> None:
    spec = created(mesh, INJECTED)["spec"]
    assert [container["name"] for container in spec["containers"]] == ["main"]
    sidecars = {each["name"]: each for each in spec["initContainers"] if each.get("restartPolicy") == "Always"}
    assert set(sidecars) == {"istio-proxy"}
    assert sidecars["istio-proxy"]["resources"] == {
        "requests": {"cpu": "10m", "memory": "64Mi"},
        "limits": {"cpu": "500m", "memory": "256Mi"},
    }
    # What would set iptables rules in the pod needs NET_ADMIN, which even `baseline` denies.
    assert [each["name"] for each in spec["initContainers"]] == ["istio-validation", "istio-proxy"]
    assert not any(each["securityContext"]["capabilities"].get("add") for each in spec["initContainers"])


def test_a_pod_says_how_big_its_sidecar_is(mesh: Cluster) -> None:
    sizes = {"sidecar.istio.io/proxyCPU": "20m", "sidecar.istio.io/proxyMemory": "80Mi"}
    spec = created(mesh, INJECTED, "sized", annotations=sizes)["spec"]
    (sidecar,) = [each for each in spec["initContainers"] if each["name"] == "istio-proxy"]
    assert sidecar["resources"]["requests"] == {"cpu": "20m", "memory": "80Mi"}


def test_a_pod_outside_the_mesh_is_left_alone(mesh: Cluster) -> None:
    assert "initContainers" not in created(mesh, PLAIN)["spec"]
    assert "initContainers" not in created(mesh, INJECTED, "not", labels={"sidecar.istio.io/inject": "false"})["spec"]


@pytest.mark.parametrize(
    ("kind", "spec", "told"),
    [
        # By a rule in its CRD, which leaves the webhook nothing to say.
        (
            "PeerAuthentication",
            {"portLevelMtls": {"8080": {"mode": "STRICT"}}},
            'The PeerAuthentication "demo" is invalid: spec: .* portLevelMtls requires selector',
        ),
        (
            "AuthorizationPolicy",
            {"action": "ALLOW", "rules": [{"from": [{"source": {}}]}]},
            r'"validation\.istio\.io" denied the request: .*`from.source` must not be empty',
        ),
        (
            "AuthorizationPolicy",
            {"action": "DENY", "rules": [{"when": [{"key": "source.principle", "values": ["*"]}]}]},
            r"invalid policy demo\.mesh-injected: .*unknown attribute: source\.principle",
        ),
    ],
)
def test_what_istio_would_not_understand_is_refused(mesh: Cluster, kind: str, spec: dict[str, Any], told: str) -> None:
    with pytest.raises(ClusterError, match=told):
        create(mesh, policy(kind, spec))


def test_what_it_understands_is_admitted(mesh: Cluster) -> None:
    source = {"principals": [f"cluster.local/ns/{INJECTED}/sa/default"]}
    create(mesh, policy("PeerAuthentication", {"mtls": {"mode": "STRICT"}}))
    create(mesh, policy("AuthorizationPolicy", {"action": "ALLOW", "rules": [{"from": [{"source": source}]}]}))


def test_istiod_is_shown_and_acts_as_its_pod(mesh: Cluster) -> None:
    (istiod,) = [each for each in mesh.status() if each.name.startswith(f"{NAMESPACE}_istiod-")]
    assert istiod.running
    print(f"istiod: {istiod.memory} MiB")
    lease = mesh.kubectl("--namespace", NAMESPACE, "get", "configmap,lease", "--output", "name")
    assert "lease" in lease
    pods = mesh.kubectl("--namespace", NAMESPACE, "get", "pods", "--output", "name").split()
    assert [name.removeprefix("pod/") for name in pods] == [istiod.name.split("_")[1]]


def test_it_comes_back_when_it_and_what_runs_it_were_killed(mesh: Cluster) -> None:
    before = {each.name: each.pid for each in mesh.status()}
    (name,) = [name for name in before if name.startswith(f"{NAMESPACE}_istiod-")]
    controllers = before["controllers"]
    assert controllers
    os.kill(controllers, signal.SIGKILL)
    assert eventually(lambda: not {each.name: each for each in mesh.status()}["controllers"].running)
    assert mesh.up() is True
    after = {each.name: each.pid for each in mesh.status()}
    assert after[name]
    assert after[name] != before[name]
    # The one that was left without its parent is gone, not just forgotten.
    running = [line for line in processes_of(mesh.directory) if line.endswith(" pilot-discovery")]
    assert running == [f"{after[name]} pilot-discovery"]
    assert "istio-proxy" in json.dumps(created(mesh, INJECTED, "later")["spec"])
