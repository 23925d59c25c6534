"""The mesh on real pods: who is answered where mutual TLS is demanded, and that everything else still works."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import configs
from sandbox.cluster import Cluster
from sandbox.machine import BUSYBOX, image
from tests.support.engine import eventually
from tests.support.manifests import RESTRICTED

WEB = "sandbox.local/mesh-web:1"
INJECTED, PLAIN = "mesh", "no-mesh"
ASKED = 20


@pytest.fixture(scope="module")
def mesh(real_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two namespaces: one in the mesh that demands mutual TLS and as much of Pod Security as there is, one in none."""
    page = tmp_path_factory.mktemp("page") / "index.html"
    page.write_text("from the mesh\n")
    command = ["/bin/httpd", "-f", "-p", "8080", "-h", "/www"]
    files = {"bin/busybox": BUSYBOX, "www/index.html": page}
    real_cluster.node.load(image(page.with_name("web.tar"), WEB, files, command))
    enforce = {"pod-security.kubernetes.io/enforce": "restricted"}
    for name, labels in ((INJECTED, {"istio-injection": "enabled", **enforce}), (PLAIN, {})):
        create(real_cluster, {"kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    strict = {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": named("default")}
    port = {"name": "http", "port": 80, "targetPort": 8080}
    service = {"kind": "Service", "metadata": named("web"), "spec": {"selector": {"app": "web"}, "ports": [port]}}
    create(real_cluster, {**strict, "spec": {"mtls": {"mode": "STRICT"}}}, service, pod(INJECTED, "web", image=WEB))
    real_cluster.kubectl("-n", INJECTED, "wait", "--for=condition=Ready", "pod/web", "--timeout=60s")
    yield real_cluster
    real_cluster.kubectl("delete", "namespace", INJECTED, PLAIN)


def create(cluster: Cluster, *objects: dict[str, Any]) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", **each} for each in objects]}
    cluster.kubectl("create", "--filename", "-", stdin=json.dumps(listed))


def named(name: str, namespace: str = INJECTED) -> dict[str, Any]:
    return {"name": name, "namespace": namespace, "labels": {"app": name}}


def pod(namespace: str, name: str, *command: str, image: str = configs.BUSYBOX, **spec: Any) -> dict[str, Any]:
    """A pod of one container."""
    full = {"containers": [container("main", *command, image=image)], "terminationGracePeriodSeconds": 1, **spec}
    return {"kind": "Pod", "metadata": named(name, namespace), "spec": full}


def container(name: str, *command: str, image: str = configs.BUSYBOX) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "image": image, "securityContext": RESTRICTED}
    return {**made, "command": list(command)} if command else made


def ask(times: int) -> tuple[str, ...]:
    """A command that prints for each request the last line of the answer, or that there is none.

    The static wget of Debian cannot look names up. A client that closes its side before the answer is there gets none
    from Envoy, so the request is not simply put into nc.
    """
    address = f"$(nslookup web.{INJECTED}.svc.{configs.DOMAIN} | sed -n 's/^Address: //p' | tail -1)"
    request = f"GET / HTTP/1.1\\r\\nHost: web.{INJECTED}\\r\\nConnection: close\\r\\n\\r\\n"
    talk = f"""printf "{request}"; tail -1 >&2"""
    once = f"nc -w 5 $address 80 -e /bin/sh -c '{talk}' 2>&1 | grep . || echo none"
    return "/bin/sh", "-c", f"address={address}; for i in $(seq {times}); do {once}; done"


def printed(cluster: Cluster, namespace: str, name: str, container: str = "main") -> list[str]:
    """What a pod that ends well has printed."""
    ended = "--for=jsonpath={.status.phase}=Succeeded"
    cluster.kubectl("-n", namespace, "wait", ended, f"pod/{name}", "--timeout=60s")
    return cluster.kubectl("-n", namespace, "logs", name, "--container", container).splitlines()


def test_in_the_mesh_every_request_is_answered_and_beside_it_none(mesh: Cluster) -> None:
    for namespace in (INJECTED, PLAIN):
        create(mesh, pod(namespace, "client", *ask(ASKED), restartPolicy="Never"))
    assert printed(mesh, INJECTED, "client") == ["from the mesh"] * ASKED
    assert printed(mesh, PLAIN, "client") == ["tail: read error: Connection reset by peer"] * ASKED


def test_who_may_ask_can_be_said_by_service_account(mesh: Cluster) -> None:
    rule = {"from": [{"source": {"principals": [f"{configs.DOMAIN}/ns/{INJECTED}/sa/friend"]}}]}
    spec = {"selector": {"matchLabels": {"app": "web"}}, "action": "ALLOW", "rules": [rule]}
    policy = {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": named("web")}
    create(mesh, {"kind": "ServiceAccount", "metadata": named("friend")}, {**policy, "spec": spec})
    try:
        create(mesh, pod(INJECTED, "stranger", "sleep", "600"))
        mesh.kubectl("-n", INJECTED, "wait", "--for=condition=Ready", "pod/stranger", "--timeout=60s")

        def stranger() -> str:
            return mesh.kubectl("-n", INJECTED, "exec", "stranger", "--", *ask(1)).strip()

        assert eventually(lambda: stranger() == "RBAC: access denied")
        create(mesh, pod(INJECTED, "friend", *ask(1), restartPolicy="Never", serviceAccountName="friend"))
        assert printed(mesh, INJECTED, "friend") == ["from the mesh"]
    finally:
        mesh.kubectl("-n", INJECTED, "delete", "authorizationpolicy/web")
    assert eventually(lambda: stranger() == "from the mesh")


def test_a_job_ends_although_its_sidecar_would_not_and_its_init_container_has_the_mesh(mesh: Cluster) -> None:
    spec = {
        "restartPolicy": "Never",
        "initContainers": [container("before", *ask(1))],
        "containers": [container("main", *ask(1))],
    }
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": named("job"), "spec": {"template": {"spec": spec}}}
    create(mesh, job)
    mesh.kubectl("-n", INJECTED, "wait", "--for=condition=Complete", "job/job", "--timeout=60s")
    listed = json.loads(mesh.kubectl("-n", INJECTED, "get", "pods", "-l", "job-name=job", "--output", "json"))
    (found,) = listed["items"]
    assert {each["name"]: "terminated" in each["state"] for each in found["status"]["initContainerStatuses"]} == {
        "istio-validation": True,
        "istio-proxy": True,
        "before": True,
    }
    for name in ("before", "main"):
        assert printed(mesh, INJECTED, found["metadata"]["name"], name) == ["from the mesh"]


def test_every_proxy_took_what_istiod_gave_it(mesh: Cluster) -> None:
    # Stock Envoy refuses a listener with a filter that only Istio's build has: istiod then logs what it was told.
    log = mesh.kubectl("-n", "istio-system", "logs", "deployment/istiod")
    assert "LDS: PUSH" in log
    assert "ACK ERROR" not in log


def test_the_traffic_of_the_mesh_is_led_by_a_plugin_of_the_node(mesh: Cluster) -> None:
    logged = (mesh.node.directory / "istio-cni" / "istio-cni.log").read_text()
    assert "Start iptables configuration for web" in logged
    listed = json.loads(mesh.kubectl("-n", INJECTED, "get", "pod/web", "--output", "json"))["spec"]["initContainers"]
    assert [each["name"] for each in listed] == ["istio-validation", "istio-proxy"]
