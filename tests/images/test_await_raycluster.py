"""What the image `store-client` takes for a ready RayCluster; tests/engine/test_dev.py asks a real API server."""

import importlib.util
from typing import Any

import pytest

from sandbox.images import FOLDER

SPEC = importlib.util.spec_from_file_location("await_raycluster", FOLDER / "store-client" / "await-raycluster.py")
assert SPEC
assert SPEC.loader
await_raycluster = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(await_raycluster)

CLUSTER = {
    "metadata": {"generation": 3},
    "spec": {
        "workerGroupSpecs": [
            {"groupName": "cpu", "replicas": 2},
            {"groupName": "gpu", "replicas": 1, "numOfHosts": 2},
            {"groupName": "none", "replicas": 0},
        ]
    },
    "status": {"observedGeneration": 3},
}


def pod(kind: str, *, ready: str = "True", **metadata: Any) -> dict[str, Any]:
    labels = {"ray.io/node-type": "head"} if kind == "head" else {"ray.io/group": kind, "ray.io/node-type": "worker"}
    return {"metadata": {"labels": labels, **metadata}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


ALL = [pod("head"), pod("cpu"), pod("cpu"), pod("gpu"), pod("gpu")]


def test_a_cluster_with_all_its_pods_lacks_nothing() -> None:
    assert await_raycluster.missing(CLUSTER, ALL) == []


@pytest.mark.parametrize(
    ("pods", "told"),
    [
        (ALL[1:], ["head: 0 of 1 pods ready"]),
        ([*ALL[:1], *ALL[2:]], ["cpu: 1 of 2 pods ready"]),
        (ALL[:4], ["gpu: 1 of 2 pods ready"]),
        ([pod("head", ready="False"), *ALL[1:]], ["head: 0 of 1 pods ready"]),
        ([pod("head", deletionTimestamp="now"), *ALL[1:]], ["head: 0 of 1 pods ready"]),
        ([], ["head: 0 of 1 pods ready", "cpu: 0 of 2 pods ready", "gpu: 0 of 2 pods ready"]),
        ([*ALL[:4], {"metadata": {"labels": {"ray.io/group": "gpu"}}}], ["gpu: 1 of 2 pods ready"]),
    ],
)
def test_what_is_missing_is_told_by_group(pods: list[dict[str, Any]], told: list[str]) -> None:
    assert await_raycluster.missing(CLUSTER, pods) == told


@pytest.mark.parametrize("status", [{"observedGeneration": 2}, {}])
def test_pods_of_the_form_before_do_not_count(status: dict[str, Any]) -> None:
    told = await_raycluster.missing({**CLUSTER, "status": status}, ALL)
    assert told == ["the operator has not seen the newest form of the cluster"]
