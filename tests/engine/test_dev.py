"""The dev stack from an empty cluster to nothing: up, again, scaled, changed, refreshed, read, destroyed."""

import base64
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.outputs import PlatformOutputs
from sandbox.images import FOLDER
from tests.support.engine import Outcome, Stack, eventually, run
from tests.support.mesh import analysed, misread, sidecar


@pytest.fixture(scope="module")
def first(dev: Stack) -> Outcome:
    return dev.up()


@pytest.fixture(scope="module")
def dev(new_stack: Callable[[str, str], Stack]) -> Stack:
    return new_stack("dev", "dev-platform")


@pytest.fixture(autouse=True)
def deployed(first: Outcome) -> None:
    assert first.code == 0, first.text


def groups(stack: Stack) -> dict[str, Any]:
    cluster = stack.get("rayclusters.ray.io", "ray-cluster")
    return {group["groupName"]: group for group in cluster["spec"]["workerGroupSpecs"]}


def scale(stack: Stack, index: int, replicas: int) -> None:
    """What the autoscaler does: a JSON patch of one group's replicas, by another field manager."""
    patch = f'[{{"op": "replace", "path": "/spec/workerGroupSpecs/{index}/replicas", "value": {replicas}}}]'
    stack.kubectl(
        "patch",
        "rayclusters.ray.io",
        "ray-cluster",
        "--type=json",
        f"--patch={patch}",
        "--field-manager=python-requests",
    )


def test_the_pack_judged_the_update_and_found_nothing(first: Outcome) -> None:
    assert "Policies:" in first.text
    assert "ml-platform" in first.text.split("Policies:")[1]
    assert "mandatory" not in first.text.lower()


def test_nothing_is_warned_about(first: Outcome) -> None:
    assert "Diagnostics:" not in first.text


def test_the_real_operator_made_the_cluster_ready(dev: Stack) -> None:
    status = dev.get("rayclusters.ray.io", "ray-cluster")["status"]
    conditions = {condition["type"]: condition["status"] for condition in status["conditions"]}
    assert conditions["RayClusterProvisioned"] == "True"
    assert conditions["HeadPodReady"] == "True"
    assert status["state"] == "ready"


def test_the_job_that_waits_for_pods_may_see_them_and_nothing_else(dev: Stack, tmp_path: Path) -> None:
    config = dev.workspace.cluster.kubectl("config", "view", "--raw", "--minify", "--output=json")
    cluster = json.loads(config)["clusters"][0]["cluster"]
    authority = cluster.get("certificate-authority-data")
    text = base64.b64decode(authority) if authority else Path(cluster["certificate-authority"]).read_bytes()
    (tmp_path / "ca.crt").write_bytes(text)
    (tmp_path / "token").write_text(dev.kubectl("create", "token", "ray-ready").strip())
    env = {"ACCOUNT": str(tmp_path), "API_SERVER": cluster["server"], "NO_PROXY": "*"}
    env |= {"NAMESPACE": dev.namespace, "CLUSTER": "ray-cluster", "SECONDS": "20"}
    command = [sys.executable, str(FOLDER / "store-client" / "await-raycluster.py")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"RayCluster ray-cluster: \d+ pods, all ready", done.stdout)
    absent = subprocess.run(command, env={**env, "CLUSTER": "other", "SECONDS": "1"}, capture_output=True, check=False)
    assert absent.returncode == 1
    account = f"system:serviceaccount:{dev.namespace}:ray-ready"
    assert dev.kubectl("auth", "can-i", "get", "secrets", f"--as={account}", check=False).strip() == "no"


def test_gpu_workers_are_on_gpu_nodes_and_no_other_pod_is(dev: Stack) -> None:
    pods = dev.get("pods", "--selector", "ray.io/cluster=ray-cluster")["items"]
    nodes: dict[str, set[str]] = {pod["metadata"]["labels"].get("ray.io/group"): set() for pod in pods}
    for pod in pods:
        nodes[pod["metadata"]["labels"].get("ray.io/group")].add(pod["spec"]["nodeName"])
    assert set(nodes) == {"headgroup", "cpu", "gpu"}
    assert nodes["gpu"] <= {"gpu1", "gpu2"}
    assert nodes["cpu"] | nodes["headgroup"] <= {"cpu1", "k8s-worker"}


def test_the_operator_uses_no_more_than_its_role(dev: Stack) -> None:
    account = f"system:serviceaccount:{dev.namespace}:kuberay-operator"
    allowed = ("create", "pods"), ("patch", "rayclusters/status"), ("create", "jobs.batch"), ("create", "rolebindings")
    for verb, kind in allowed:
        assert dev.kubectl("auth", "can-i", verb, kind, "--as", account).strip() == "yes", (verb, kind)
    refused = ("list", "nodes"), ("delete", "namespaces"), ("update", "secrets"), ("create", "clusterroles")
    for verb, kind in refused:
        assert dev.kubectl("auth", "can-i", verb, kind, "--as", account, check=False).strip() == "no", (verb, kind)


def test_the_quota_is_in_force_and_counts(dev: Stack) -> None:
    quota = dev.get("resourcequota", "data-platform-quota")["status"]
    assert set(quota["hard"]) >= {
        "requests.cpu",
        "limits.memory",
        "requests.nvidia.com/gpu",
        "pods",
        "requests.storage",
    }
    assert quota["used"]["requests.nvidia.com/gpu"] == "1"


def test_istio_itself_finds_nothing_wrong(dev: Stack) -> None:
    assert analysed(dev) == f"✔ No validation issues found when analyzing namespace: {dev.namespace}."


def test_the_policies_in_force_say_what_the_table_says(dev: Stack) -> None:
    assert misread(dev) == []


def test_every_pod_has_a_sidecar_of_the_stated_size_which_the_quota_counts(dev: Stack) -> None:
    pods = dev.get("pods")["items"]
    sizes = [sidecar(pod)["resources"] for pod in pods]
    assert len(sizes) >= 10
    limits = {"cpu": "500m", "memory": "256Mi"}
    assert all(size == {"requests": {"cpu": "5m", "memory": "64Mi"}, "limits": limits} for size in sizes)


def test_a_second_update_changes_nothing(dev: Stack) -> None:
    again = dev.up("--expect-no-changes")
    assert again.code == 0, again.text
    assert set(again.changes) == {"unchanged"}


def test_a_refresh_finds_nothing(dev: Stack) -> None:
    refreshed = dev.pulumi("refresh", "--preview-only", "--expect-no-changes")
    assert refreshed.code == 0, refreshed.text


def test_the_outputs_are_the_contract(dev: Stack) -> None:
    outputs = PlatformOutputs.read("dev", dev.outputs())
    assert outputs.tenancy.namespace == dev.namespace
    assert outputs.ray.dashboard.url == f"http://ray-head.{dev.namespace}.svc.cluster.local:8265"
    assert (
        dev.get("service", outputs.ray.serve.host.split(".")[0])["spec"]["ports"][0]["port"] == outputs.ray.serve.port
    )
    assert outputs.ray.token is not None
    assert outputs.ray.token.key in dev.get("secret", outputs.ray.token.name)["data"]


def test_what_the_autoscaler_did_is_no_difference(dev: Stack) -> None:
    scale(dev, 0, 4)
    again = dev.up("--expect-no-changes")
    assert again.code == 0, again.text
    assert groups(dev)["cpu"]["replicas"] == 4


def test_a_change_of_the_image_keeps_what_the_autoscaler_did(dev: Stack) -> None:
    scale(dev, 0, 5)
    scale(dev, 1, 2)
    changed = dev.with_config(images={"ray": "rayproject/ray:2.60.0-py311"})
    done = changed.up()
    assert done.code == 0, done.text
    after = groups(dev)
    assert after["cpu"]["template"]["spec"]["containers"][0]["image"] == "rayproject/ray:2.60.0-py311"
    assert (after["cpu"]["replicas"], after["gpu"]["replicas"]) == (5, 2)


def test_even_without_a_refresh_a_change_keeps_it(dev: Stack) -> None:
    scale(dev, 0, 3)
    done = dev.with_config(images={"ray": "rayproject/ray:2.60.0-py312"}).up("--refresh=false")
    assert done.code == 0, done.text
    assert groups(dev)["cpu"]["replicas"] == 3
    assert "py312" in groups(dev)["cpu"]["template"]["spec"]["containers"][0]["image"]


def test_a_group_that_is_put_in_between_leaves_the_others_alone(dev: Stack) -> None:
    cpu, gpu = dev.config["ml-platform:ray"]["workerGroups"]
    small = {
        "name": "small",
        "minReplicas": 0,
        "maxReplicas": 2,
        "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "500m", "memory": "1Gi"}},
        "sharedMemory": "256Mi",
    }
    done = dev.with_config(ray={"workerGroups": [cpu, small, gpu]}).up()
    assert done.code == 0, done.text
    after = groups(dev)
    assert {name: group["replicas"] for name, group in after.items()} == {"cpu": 3, "small": 0, "gpu": 2}


def test_lower_bounds_win_over_what_the_autoscaler_did(dev: Stack) -> None:
    cpu, gpu = dev.config["ml-platform:ray"]["workerGroups"]
    done = dev.with_config(ray={"workerGroups": [{**cpu, "maxReplicas": 2}, gpu]}).up()
    assert done.code == 0, done.text
    assert groups(dev)["cpu"]["replicas"] == 2
    assert groups(dev)["cpu"]["maxReplicas"] == 2


def test_no_secret_is_in_the_state_or_in_what_was_printed(dev: Stack, first: Outcome) -> None:
    token = dev.secret("ray-auth-token", "auth_token")
    assert len(token) == 48
    printed = (
        first.text
        + dev.preview("--diff").text
        + dev.pulumi("refresh", "--preview-only", "--diff").text
        + str(dev.outputs())
    )
    hidden = (token, base64.b64encode(token.encode()).decode())
    state = dev.state()
    assert "ciphertext" in state
    for form in hidden:
        assert form not in printed
        assert form not in state
    for file in dev.workspace.directory.rglob("*"):
        if file.is_file() and not file.is_symlink() and file.stat().st_size < 50_000_000:
            assert token.encode() not in file.read_bytes(), file
    assert not (dev.workspace.directory / "pulumi" / "logs").is_dir()


@pytest.fixture
def exported(dev: Stack, tmp_path: Path) -> Path:
    """The state, as `pulumi stack export` gives it."""
    file = tmp_path / "state.json"
    assert pulumi(dev, "stack", "export", "--stack", dev.name, "--file", str(file)).code == 0
    return file


def pulumi(stack: Stack, *command: str) -> Outcome:
    """A command that needs no program."""
    return run(str(stack.workspace.toolbox.binary("pulumi")), *command, env=stack.workspace.environment())


def test_what_is_deployed_can_be_judged_without_program_and_cluster(dev: Stack, exported: Path) -> None:
    judge = ("policy", "analyze", *dev.policies, "--file", str(exported))
    clean = pulumi(dev, *judge)
    assert clean.code == 0, clean.text
    assert "mandatory" not in clean.text
    state = json.loads(exported.read_text())
    (peers,) = (
        each
        for each in state["deployment"]["resources"]
        if each["type"] == "kubernetes:security.istio.io/v1:PeerAuthentication"
    )
    for side in ("inputs", "outputs"):
        peers[side]["spec"]["mtls"]["mode"] = "PERMISSIVE"
    exported.write_text(json.dumps(state))
    loose = pulumi(dev, *judge)
    assert loose.code != 0, loose.text
    assert "[mandatory]  mesh-strict" in loose.text


def test_destroying_leaves_nothing(dev: Stack) -> None:
    assert dev.objects()
    done = dev.destroy()
    assert done.code == 0, done.text
    assert eventually(lambda: not dev.objects()), dev.objects()
    assert dev.workspace.cluster.kubectl("get", "namespaces", dev.namespace, "--ignore-not-found") == ""
    assert re.search(r"\d+ deleted", done.text)
    running = [component.name for component in dev.workspace.cluster.status()]
    assert eventually(
        lambda: (
            not any(name.startswith(dev.namespace) for name in running)
            or not [
                component for component in dev.workspace.cluster.status() if component.name.startswith(dev.namespace)
            ]
        )
    )
