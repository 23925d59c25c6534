"""GCS fault tolerance: the finalizer that KubeRay adds never keeps a stack from going."""

from collections.abc import Callable

from tests.support.engine import Stack, eventually

FINALIZER = "ray.io/gcs-ft-redis-cleanup-finalizer"


def test_a_cluster_with_redis_is_destroyed_in_order(new_stack: Callable[[str, str], Stack]) -> None:
    redis = {"host": "redis-shared", "passwordSecret": "redis-password"}
    stack = new_stack("dev", "fault-tolerant").with_config(
        stores={"redis": {"external": redis}}, ray={"gcsFaultTolerance": True}
    )
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
