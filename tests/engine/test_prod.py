"""The prod stack on an existing cluster, reached by its context."""

from collections.abc import Callable

import pytest

from tests.support.engine import Outcome, Stack, eventually


@pytest.fixture(scope="module")
def prod(new_stack: Callable[[str, str], Stack]) -> Stack:
    return new_stack("prod", "prod-platform")


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
