"""GCS fault tolerance: the finalizer that KubeRay adds never keeps a stack from going."""

from collections.abc import Callable
from pathlib import Path

from tests.support.engine import Stack, eventually

SERVICES = "app.kubernetes.io/component=ray,app.kubernetes.io/managed-by=pulumi"
FINALIZER = "ray.io/gcs-ft-redis-cleanup-finalizer"


def test_a_cluster_with_redis_is_destroyed_in_order(new_stack: Callable[[str, str], Stack], tmp_path: Path) -> None:
    redis = {"host": "redis-shared", "passwordSecret": "redis-password", "pods": {"app": "redis"}}
    known = {"foreignPods": [{"labels": redis["pods"]}]}
    judged = new_stack("dev", "fault-tolerant").judged_with(tmp_path, no_dangling=known, authz_refs=known)
    stack = judged.with_config(stores={"redis": {"external": redis}}, ray={"gcsFaultTolerance": True})
    done = stack.up()
    assert done.code == 0, done.text
    cluster = stack.get("rayclusters.ray.io", "ray-cluster")
    assert FINALIZER in cluster["metadata"]["finalizers"]
    head = stack.get("pods", "--selector", "ray.io/node-type=head")["items"][0]["spec"]["containers"][0]
    env = {variable["name"]: variable for variable in head["env"]}
    assert env["RAY_REDIS_ADDRESS"]["value"] == "redis://redis-shared:6379"
    assert env["REDIS_PASSWORD"]["valueFrom"]["secretKeyRef"] == {"name": "redis-password", "key": "password"}
    gone = stack.destroy()
    assert gone.code == 0, gone.text
    assert eventually(lambda: not stack.objects())


def test_a_cluster_that_loses_its_fault_tolerance_is_another_one_and_can_be_destroyed(
    new_stack: Callable[[str, str], Stack],
) -> None:
    stack = new_stack("dev", "once-tolerant")
    assert stack.with_config(ray={"gcsFaultTolerance": True}).up().code == 0
    before = stack.get("rayclusters.ray.io", "ray-cluster")["metadata"]
    services = {each["metadata"]["uid"] for each in stack.get("services", "--selector", SERVICES)["items"]}
    done = stack.up()
    assert done.code == 0, done.text
    after = stack.get("rayclusters.ray.io", "ray-cluster")["metadata"]
    assert after["uid"] != before["uid"]
    assert FINALIZER in before["finalizers"]
    assert FINALIZER not in after.get("finalizers", [])
    assert services == {each["metadata"]["uid"] for each in stack.get("services", "--selector", SERVICES)["items"]}
    gone = stack.destroy()
    assert gone.code == 0, gone.text
    assert eventually(lambda: not stack.objects())
