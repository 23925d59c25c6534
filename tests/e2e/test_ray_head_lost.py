"""The head is lost: with fault tolerance the cluster remembers, without it the cluster begins anew; both come back.

A worker whose own part of Ray has ended is no worker, and another one takes its place.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.engine import Stack, changed, eventually, stays
from tests.support.ray import comes_back, cpu_workers, dashboard, head, replaced

REMEMBER = Path(__file__).with_name("jobs") / "remember.py"


@pytest.fixture(scope="module")
def tolerant(dev: Stack) -> Iterator[Stack]:
    """The same stack, changed while it runs: its Redis is there already."""
    first = head(dev)
    with changed(dev, ray={"gcsFaultTolerance": True}) as stack:
        replaced(stack, first)
        yield stack
        second = head(stack)
    replaced(dev, second)


def lose_the_head(stack: Stack) -> None:
    """Kill it without a word, and wait until another one is ready."""
    before = head(stack)
    pod = stack.get("pods", "--selector", "ray.io/node-type=head")["items"][0]["metadata"]["name"]
    stack.kubectl("delete", "pod", pod, "--grace-period=0", "--force")
    comes_back(stack, before)


def has_just_looked(stack: Stack) -> bool:
    """Whether the autoscaler has looked at the pods within the last second; it does so every five."""
    said = stack.kubectl("logs", "--selector=ray.io/node-type=head", "--container=autoscaler", "--since=1s")
    return "Fetched pod data" in said


def count(stack: Stack) -> int:
    with dashboard(stack) as owner:
        return int(owner.value(owner.submit(REMEMBER), "COUNT"))


def jobs(stack: Stack) -> list[str]:
    with dashboard(stack) as owner:
        return [job["status"] for job in owner.ask("/api/jobs/")[1] if job["submission_id"]]


@pytest.mark.timeout(600)
def test_without_fault_tolerance_the_cluster_comes_back_and_has_forgotten(dev: Stack) -> None:
    before = count(dev)
    assert count(dev) == before + 1
    lose_the_head(dev)
    assert jobs(dev) == []
    assert count(dev) == 1


@pytest.mark.timeout(600)
def test_a_worker_that_was_drained_just_before_is_replaced_though_nothing_failed(dev: Stack) -> None:
    """The autoscaler, which would remove the pod, is lost with the head; KubeRay's own probe waits ten minutes."""
    assert eventually(lambda: any(map(stays, cpu_workers(dev))), seconds=60)
    worker = next(filter(stays, cpu_workers(dev)))["metadata"]
    assert eventually(lambda: has_just_looked(dev))
    dev.kubectl("exec", worker["name"], "--container=ray-worker", "--", "pkill", "-TERM", "-x", "raylet")
    lose_the_head(dev)
    assert eventually(lambda: worker["uid"] not in {pod["metadata"]["uid"] for pod in cpu_workers(dev)}, seconds=180)
    assert count(dev) == 1


@pytest.mark.timeout(600)
def test_with_fault_tolerance_it_comes_back_and_remembers_actors_and_jobs(tolerant: Stack) -> None:
    assert [count(tolerant), count(tolerant)] == [1, 2]
    before = {pod["metadata"]["uid"] for pod in cpu_workers(tolerant)}
    lose_the_head(tolerant)
    assert jobs(tolerant) == ["SUCCEEDED", "SUCCEEDED"]
    assert count(tolerant) == 3
    assert before & {pod["metadata"]["uid"] for pod in cpu_workers(tolerant)}
