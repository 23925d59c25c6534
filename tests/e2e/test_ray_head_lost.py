"""The head is lost: with fault tolerance the cluster remembers, without it the cluster begins anew; both come back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.engine import Stack, changed
from tests.support.ray import comes_back, dashboard, head, replaced

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
def test_with_fault_tolerance_it_comes_back_and_remembers_actors_and_jobs(tolerant: Stack) -> None:
    assert [count(tolerant), count(tolerant)] == [1, 2]
    workers = {pod["metadata"]["uid"] for pod in tolerant.get("pods", "--selector", "ray.io/group=cpu")["items"]}
    lose_the_head(tolerant)
    assert jobs(tolerant) == ["SUCCEEDED", "SUCCEEDED"]
    assert count(tolerant) == 3
    kept = {pod["metadata"]["uid"] for pod in tolerant.get("pods", "--selector", "ray.io/group=cpu")["items"]}
    assert workers & kept
