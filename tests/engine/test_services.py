"""MLflow and Feast on the real engine: what comes before what, and how far a change reaches."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from tests.support.engine import Outcome, Stack

ROLLED_BY_A_ROTATION = {
    "postgres",
    "redis",
    "object-store",
    "mlflow",
    "feast-server",
    "feast-registry",
}
"""Workloads that read a generated password; Ray's pods, which do so too, are counted apart."""


@pytest.fixture(scope="module")
def dev(new_stack: Callable[[str, str], Stack]) -> Stack:
    return new_stack("dev", "services")


@pytest.fixture(scope="module", autouse=True)
def first(dev: Stack) -> Outcome:
    done = dev.up()
    assert done.code == 0, done.text
    return done


def when(text: str) -> datetime:
    return datetime.fromisoformat(text)


def began(stack: Stack, job: str) -> datetime:
    return when(stack.get("job", job)["status"]["startTime"])


def ended(stack: Stack, job: str) -> datetime:
    return when(stack.get("job", job)["status"]["completionTime"])


def newest_replica_set(stack: Stack, deployment: str) -> dict[str, Any]:
    listed = stack.get("replicasets", "--selector", f"app.kubernetes.io/name={deployment}")["items"]
    return max(listed, key=lambda each: int(each["metadata"]["annotations"]["deployment.kubernetes.io/revision"]))


def identities(stack: Stack) -> dict[str, str]:
    """What must never be removed and made again, by name."""
    listed = stack.get("deployments,statefulsets,services,pvc,rayclusters.ray.io")["items"]
    return {f"{each['kind']}/{each['metadata']['name']}": each["metadata"]["uid"] for each in listed}


def templates(stack: Stack) -> dict[str, Any]:
    """The pod template of every workload, by name."""
    listed = stack.get("deployments,statefulsets")["items"]
    return {each["metadata"]["name"]: each["spec"]["template"] for each in listed}


def in_order(stack: Stack) -> None:
    """See that dump, migration and rollout came one after the other."""
    server = newest_replica_set(stack, "mlflow")
    assert ended(stack, "buckets") <= began(stack, "mlflow-backup")
    assert ended(stack, "databases") <= began(stack, "mlflow-backup")
    assert ended(stack, "mlflow-backup") <= began(stack, "mlflow-migrate")
    assert ended(stack, "mlflow-migrate") <= when(server["metadata"]["creationTimestamp"])


def test_the_first_installation_is_the_same_graph_as_an_upgrade(dev: Stack) -> None:
    in_order(dev)
    assert ended(dev, "feast-apply") <= when(newest_replica_set(dev, "feast-server")["metadata"]["creationTimestamp"])


def test_another_release_is_dumped_for_migrated_to_and_then_rolled_out(dev: Stack) -> None:
    jobs = {name: dev.get("job", name)["metadata"]["uid"] for name in ("mlflow-backup", "mlflow-migrate", "databases")}
    before = identities(dev)
    done = dev.with_config(images={"mlflow": "ml-platform/mlflow:3.18.0"}).up()
    assert done.code == 0, done.text
    in_order(dev)
    image = newest_replica_set(dev, "mlflow")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == "ml-platform/mlflow:3.18.0"
    assert identities(dev) == before
    again = {name: dev.get("job", name)["metadata"]["uid"] for name in jobs}
    assert {name for name in jobs if jobs[name] != again[name]} == {"mlflow-backup", "mlflow-migrate"}


def test_a_change_that_is_no_release_migrates_nothing(dev: Stack) -> None:
    stack = dev.with_config(images={"mlflow": "ml-platform/mlflow:3.18.0"}, mlflow={"replicas": 2})
    before = dev.get("job", "mlflow-migrate")["metadata"]["uid"]
    assert stack.up().code == 0
    assert dev.get("job", "mlflow-migrate")["metadata"]["uid"] == before
    assert dev.get("deployment", "mlflow")["spec"]["replicas"] == 2


def test_a_rotation_reaches_every_reader_and_nothing_else(dev: Stack) -> None:
    back = dev.up()
    assert back.code == 0, back.text
    before, kept = templates(dev), identities(dev)
    secrets = {each["metadata"]["name"]: each for each in dev.get("secrets")["items"]}
    pods = {each["metadata"]["uid"] for each in dev.get("pods", "--selector", "ray.io/cluster=ray-cluster")["items"]}
    done = dev.with_config(secrets={"generation": 2}).up()
    assert done.code == 0, done.text
    after = templates(dev)
    assert {name for name in before if before[name] != after[name]} == ROLLED_BY_A_ROTATION
    rotated = {each["metadata"]["name"]: each for each in dev.get("secrets")["items"]}
    changed = {name for name in secrets if secrets[name]["data"] != rotated[name]["data"]}
    assert changed == {
        "postgres-admin",
        "database-mlflow",
        "database-feast",
        "redis-auth",
        "object-store",
        "mlflow-auth",
        "ray-auth-token",
    }
    assert identities(dev) == kept
    # A Secret keeps its identity too; Ray's pods are others.
    assert {secrets[name]["metadata"]["uid"] for name in changed} == {
        rotated[name]["metadata"]["uid"] for name in changed
    }
    later = {each["metadata"]["uid"] for each in dev.get("pods", "--selector", "ray.io/cluster=ray-cluster")["items"]}
    assert not pods & later
    again = dev.with_config(secrets={"generation": 2}).up("--expect-no-changes")
    assert again.code == 0, again.text


def test_destroying_leaves_nothing_not_even_disks_that_are_to_be_deleted(dev: Stack) -> None:
    done = dev.destroy()
    assert done.code == 0, done.text
    assert dev.workspace.cluster.kubectl("get", "namespaces", dev.namespace, "--ignore-not-found") == ""
    listed = dev.workspace.cluster.kubectl("get", "clusterroles,clusterrolebindings", "--output=name")
    assert dev.namespace not in listed
