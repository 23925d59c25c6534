"""The prod stack on an existing cluster, reached by its context, beside stores that are there already."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.support.engine import Outcome, Stack, eventually

NEIGHBOURS = {"postgres-shared": 5432, "redis-shared": 6379, "minio": 9000}
"""Hosts and ports of Pulumi.prod.yaml's external stores."""

SECRETS = {
    "postgres-admin": ("username", "password"),
    "redis-password": ("password",),
    "minio-credentials": ("access-key", "secret-key"),
}
"""Secrets that it refers to, and their keys."""


def neighbour(name: str, port: int) -> list[dict[str, Any]]:
    """A store that someone else runs: a pod and its Service."""
    labels = {"app": name}
    container = {"name": name, "image": f"{name}:1", "ports": [{"containerPort": port}]}
    return [
        {"kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": {"containers": [container]}},
        {"kind": "Service", "metadata": {"name": name}, "spec": {"selector": labels, "ports": [{"port": port}]}},
    ]


@pytest.fixture(scope="module")
def prod(new_stack: Callable[[str, str], Stack]) -> Stack:
    stack = new_stack("prod", "prod-platform")
    secrets = [
        {"kind": "Secret", "metadata": {"name": name}, "stringData": dict.fromkeys(keys, "theirs")}
        for name, keys in SECRETS.items()
    ]
    objects = [*secrets, *(each for name, port in NEIGHBOURS.items() for each in neighbour(name, port))]
    stack.workspace.cluster.kubectl("create", "namespace", stack.namespace)
    stack.create(*objects)
    return stack


@pytest.fixture(scope="module")
def first(prod: Stack) -> Outcome:
    return prod.up()


@pytest.fixture(autouse=True)
def deployed(first: Outcome) -> None:
    assert first.code == 0, first.text


def test_the_cluster_is_ready_with_its_larger_groups(prod: Stack) -> None:
    pods = prod.get("pods", "--selector", "ray.io/cluster=ray-cluster")["items"]
    groups = [pod["metadata"]["labels"]["ray.io/group"] for pod in pods]
    assert sorted(groups) == ["cpu", "cpu", "gpu", "headgroup"]
    (gpu,) = [pod for pod in pods if pod["metadata"]["labels"]["ray.io/group"] == "gpu"]
    assert gpu["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert gpu["spec"]["nodeName"] in {"gpu1", "gpu2"}


def test_the_images_are_on_every_node_before_the_cluster_needs_them(prod: Stack) -> None:
    nodes = {"ray-image-pull": {"cpu1", "k8s-worker"}, "ray-gpu-image-pull": {"gpu1", "gpu2"}}
    for name, expected in nodes.items():
        pods = prod.get("pods", "--selector", f"app.kubernetes.io/name={name}")["items"]
        assert {pod["spec"]["nodeName"] for pod in pods} == expected
        assert prod.get("daemonset", name)["status"]["numberReady"] == len(expected)


def environment(prod: Stack, kind: str, name: str) -> dict[str, Any]:
    """Variables of the first container, values or the Secret's key that they come from."""
    (container, *_) = prod.get(kind, name)["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each.get("value") or each["valueFrom"].get("secretKeyRef") for each in container["env"]}


def test_everything_leads_to_the_stores_that_are_there(prod: Stack) -> None:
    assert not prod.get("statefulsets")["items"]
    made = environment(prod, "job", "databases")
    assert (made["PGHOST"], made["PGUSER"]["name"], made["PGSSLMODE"]) == (
        "postgres-shared",
        "postgres-admin",
        "require",
    )
    server = environment(prod, "deployment", "mlflow")
    assert (server["PGHOST"], server["PGUSER"]) == ("postgres-shared", "mlflow")
    assert server["AWS_ENDPOINT_URL_S3"] == "http://minio:9000"
    assert server["AWS_SECRET_ACCESS_KEY"] == {"name": "minio-credentials", "key": "secret-key"}
    features = environment(prod, "deployment", "feast-server")
    assert (features["PGHOST"], features["REDIS_HOST"]) == ("postgres-shared", "redis-shared")
    assert features["REDIS_PASSWORD"] == {"name": "redis-password", "key": "password"}
    options = prod.get("rayclusters.ray.io", "ray-cluster")["spec"]["gcsFaultToleranceOptions"]
    assert options["redisAddress"] == "redis://redis-shared:6379"
    for host, port in NEIGHBOURS.items():
        assert prod.get("service", host)["spec"]["ports"][0]["port"] == port
    for name, keys in SECRETS.items():
        assert set(prod.get("secret", name)["data"]) == set(keys)


def test_servers_scale_and_are_never_drained_all_at_once(prod: Stack) -> None:
    bounds = {
        each["metadata"]["name"]: (each["spec"]["minReplicas"], each["spec"]["maxReplicas"])
        for each in prod.get("horizontalpodautoscalers")["items"]
    }
    assert bounds == {"mlflow": (2, 6), "feast-server": (2, 8)}
    budgets = {each["metadata"]["name"] for each in prod.get("poddisruptionbudgets")["items"]}
    assert budgets == {"mlflow", "feast-server", "feast-registry"}
    for name in budgets:
        assert eventually(partial(twice_ready, prod, name))


def twice_ready(prod: Stack, deployment: str) -> bool:
    return int(prod.get("deployment", deployment)["status"].get("readyReplicas", 0)) >= 2


def test_the_servers_know_clients_by_their_tokens(prod: Stack) -> None:
    account = f"system:serviceaccount:{prod.namespace}:feast"
    can = ("auth", "can-i", "--as", account)
    assert prod.kubectl(*can, "create", "tokenreviews").strip() == "yes"
    assert prod.kubectl(*can, "list", "rolebindings").strip() == "yes"
    assert prod.kubectl(*can, "list", "secrets", check=False).strip() == "no"


def test_the_pack_is_mandatory_and_found_nothing(first: Outcome) -> None:
    assert "Policies:" in first.text
    assert "Diagnostics:" not in first.text


def test_a_second_update_changes_nothing(prod: Stack) -> None:
    again = prod.up("--expect-no-changes")
    assert again.code == 0, again.text
    assert set(again.changes) == {"unchanged"}


def test_a_refresh_finds_nothing(prod: Stack) -> None:
    assert prod.pulumi("refresh", "--preview-only", "--expect-no-changes").code == 0


def test_destroying_leaves_nothing(prod: Stack) -> None:
    done = prod.destroy()
    assert done.code == 0, done.text
    assert eventually(lambda: not prod.objects()), prod.objects()
