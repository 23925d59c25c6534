"""The real node: pods that run, answer, are told apart from simulated ones, and leave nothing behind."""

import json
import os
import signal
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from sandbox import configs
from sandbox.cluster import Cluster
from sandbox.machine import BUSYBOX, image
from tests.support.engine import eventually
from tests.support.web import forwarded

WEB = "sandbox.local/web:1"


@pytest.fixture(scope="module")
def own(real_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """The cluster with a small web server among its images."""
    directory = tmp_path_factory.mktemp("web")
    files = {"bin/busybox": BUSYBOX, "www/index.html": directory / "index.html"}
    files["www/index.html"].write_text("from a real pod\n")
    command = ["/bin/httpd", "-f", "-v", "-p", "8080", "-h", "/www"]
    real_cluster.node.load(image(directory / "web.tar", WEB, files, command))
    return real_cluster


def create(cluster: Cluster, *objects: dict[str, Any]) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    cluster.kubectl("create", "--filename", "-", stdin=json.dumps(listed))


def pod(
    name: str, *command: str, image: str = configs.BUSYBOX, volumes: tuple[str, ...] = (), **spec: Any
) -> dict[str, Any]:
    """A pod of one container; `volumes` are claims, mounted by their names at the root."""
    container: dict[str, Any] = {"name": "main", "image": image}
    container["volumeMounts"] = [{"name": claim, "mountPath": f"/{claim}"} for claim in volumes]
    if command:
        container["command"] = list(command)
    for key in ("resources",):
        if key in spec:
            container[key] = spec.pop(key)
    claims = [{"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim in volumes]
    full = {"containers": [container], "volumes": claims, "terminationGracePeriodSeconds": 1, **spec}
    metadata = {"name": name, "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": full}


def fetch(name: str, port: int) -> tuple[str, ...]:
    """A command that prints the last line of what a server answers; the static wget of Debian cannot look names up."""
    address = f"$(nslookup {name}.default.svc.cluster.local | sed -n 's/^Address: //p' | tail -1)"
    return "/bin/sh", "-c", f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {address} {port} | tail -1"


def get(cluster: Cluster, *args: str) -> Any:
    return json.loads(cluster.kubectl("get", *args, "--output", "json"))


def result_of(cluster: Cluster, name: str, seconds: int = 60) -> str:
    """What a pod that ends well has printed."""
    cluster.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", f"--timeout={seconds}s")
    return cluster.kubectl("logs", name)


@pytest.fixture(scope="module")
def web(own: Cluster) -> Cluster:
    ports = [{"port": 80, "targetPort": 8080}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}}
    create(own, pod("web", image=WEB), {**service, "spec": {"selector": {"app": "web"}, "ports": ports}})
    own.kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=60s")
    return own


def test_the_node_is_the_machine_and_every_part_of_it_runs(own: Cluster) -> None:
    node = get(own, "node", configs.NAME)
    assert node["metadata"]["labels"]["kubernetes.io/hostname"] == "local"
    assert int(node["status"]["capacity"]["cpu"]) == os.cpu_count()
    assert "nvidia.com/gpu" not in node["status"]["capacity"]
    assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.34.4"
    for component in own.status():
        print(f"{component.name:<30} {component.memory:5d} MiB")
    assert [component.name for component in own.status() if not component.running] == []
    assert own.up() is False


def test_on_the_machine_nothing_listens_but_on_loopback(own: Cluster) -> None:
    # Sockets of the node are in a network namespace of its own, so they are not in this list.
    mine = {
        str(fd.readlink()).removeprefix("socket:[").removesuffix("]")
        for component in own.status()
        for fd in Path(f"/proc/{component.pid}/fd").iterdir()
        if fd.is_symlink()
    }
    rows = [line.split() for kind in ("tcp", "tcp6") for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]]
    listening = {row[1].partition(":")[0] for row in rows if row[3] == "0A" and row[9] in mine}
    assert listening == {"0100007F"}


def test_images_that_are_there_are_not_loaded_again(own: Cluster) -> None:
    before = own.node.images()
    assert {WEB, configs.PAUSE, configs.BUSYBOX} <= set(before)
    assert not own.node.load(own.node.directory / "pause.tar")
    assert own.node.images() == before


def test_a_node_shares_what_it_has_unpacked_with_the_next_one(own: Cluster) -> None:
    root = own.node.directory / "containerd"
    digest = own.node.images()[configs.PAUSE].replace(":", "/")
    assert (root / "io.containerd.content.v1.content" / "blobs" / digest).stat().st_nlink > 1
    assert {path.stat().st_nlink for path in root.glob("io.containerd.*/*.db")} == {1}


def test_a_pod_answers_another_one_by_the_name_of_its_service(web: Cluster) -> None:
    create(web, pod("client", *fetch("web", 80), restartPolicy="OnFailure"))
    assert result_of(web, "client") == "from a real pod\n"
    assert get(web, "pod", "client")["spec"]["nodeName"] == configs.NAME


def test_a_pod_reaches_itself_through_its_service(web: Cluster) -> None:
    assert web.kubectl("exec", "web", "--", *fetch("web", 80)) == "from a real pod\n"


def test_a_pod_reaches_the_api_server_as_every_client_in_a_cluster_does(own: Cluster) -> None:
    create(own, pod("api", *fetch("kubernetes", 443), restartPolicy="Never"))
    assert "Client sent an HTTP request to an HTTPS server" in result_of(own, "api")


def test_nothing_in_the_node_reaches_beyond_this_machine(own: Cluster) -> None:
    create(own, pod("beyond", "/bin/sh", "-c", "ping -c 1 -W 2 192.0.2.1 || echo refused", restartPolicy="Never"))
    assert "refused" in result_of(own, "beyond")


def test_logs_exec_and_port_forward_work(web: Cluster) -> None:
    assert web.kubectl("exec", "web", "--", "cat", "/www/index.html") == "from a real pod\n"
    with (
        forwarded(web, "default", "service/web", 80) as address,
        urllib.request.urlopen(address, timeout=10) as answer,
    ):
        assert answer.read() == b"from a real pod\n"
    assert eventually(lambda: "response:200" in web.kubectl("logs", "web"))


def test_a_volume_is_made_kept_between_pods_and_removed_with_its_claim(own: Cluster) -> None:
    request = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Mi"}}}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": request}
    write = pod("writer", "/bin/sh", "-c", "echo kept > /data/file", volumes=("data",), restartPolicy="Never")
    create(own, claim, write)
    result_of(own, "writer")
    create(own, pod("reader", "/bin/cat", "/data/file", volumes=("data",), restartPolicy="Never"))
    assert result_of(own, "reader") == "kept\n"
    assert list((own.node.directory / "volumes").glob("*/file"))
    own.kubectl("delete", "pod/writer", "pod/reader", "pvc/data")
    assert eventually(lambda: not list((own.node.directory / "volumes").iterdir()), seconds=60)


def test_a_pod_with_gpus_runs_on_a_simulated_node_beside_it(web: Cluster) -> None:
    tolerations = [{"key": "nvidia.com/gpu", "operator": "Exists"}]
    limits = {"limits": {"nvidia.com/gpu": "2"}}
    create(web, pod("gpus", "nvidia-smi", image="nvidia/cuda:11.4.3", resources=limits, tolerations=tolerations))
    web.kubectl("wait", "--for=condition=Ready", "pod/gpus", "--timeout=30s")
    nodes = {each["metadata"]["name"]: each["spec"]["nodeName"] for each in get(web, "pods")["items"]}
    assert nodes["gpus"] in {"gpu1", "gpu2"}
    assert nodes["web"] == configs.NAME


def test_an_operators_image_on_the_real_node_starts_no_process_beside_it(own: Cluster) -> None:
    create(own, pod("operator", image="quay.io/kuberay/operator:v1.6.2"))
    assert eventually(lambda: get(own, "pod", "operator")["spec"].get("nodeName") == configs.NAME)
    time.sleep(2)
    assert not any(component.name.startswith("default_operator") for component in own.status())


def test_a_missing_image_is_named_at_once(own: Cluster) -> None:
    create(own, pod("missing", image="registry.example/nothing:1"))

    def waiting() -> dict[str, str]:
        found = get(own, "pod", "missing")["status"].get("containerStatuses", [{}])[0]
        return dict(found.get("state", {}).get("waiting", {}))

    assert eventually(lambda: waiting().get("reason") in {"ErrImagePull", "ImagePullBackOff"}, seconds=30)
    assert "registry.example/nothing:1" in waiting()["message"]


def test_a_part_that_was_killed_comes_back_with_the_next_up(web: Cluster) -> None:
    (kubelet,) = [component for component in web.status() if component.name == "kubelet"]
    assert kubelet.pid
    os.kill(kubelet.pid, signal.SIGKILL)
    assert eventually(lambda: not all(component.running for component in web.status()))
    assert web.up() is True
    assert [component.name for component in web.status() if not component.running] == []
    assert get(web, "pod", "web")["status"]["containerStatuses"][0]["restartCount"] == 0


def test_the_node_comes_back_with_its_images_and_pods_after_containerd_was_killed(web: Cluster) -> None:
    (containerd,) = [component for component in web.status() if component.name == "containerd"]
    assert containerd.pid
    os.kill(containerd.pid, signal.SIGKILL)
    assert eventually(lambda: not all(component.running for component in web.status()))
    assert web.up() is True
    assert eventually(
        lambda: web.kubectl("exec", "web", "--", *fetch("web", 80), check=False) == "from a real pod\n",
        seconds=60,
    )
