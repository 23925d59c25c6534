"""The demand model on KubeRay's resources, and on the platform of the reports."""

from fractions import Fraction
from typing import Any

import pytest

from tests.policies.support import Manifest
from tests.policies.workloads import amount, box, found_shares, template, total, workload


def ray(groups: list[Manifest], **spec: Any) -> Manifest:
    return {"headGroupSpec": template(box(1, "4Gi")), "workerGroupSpecs": groups, **spec}


def group(**fields: Any) -> Manifest:
    return {"groupName": "cpu", **template(box(1, "4Gi")), **fields}


GROUP = group(maxReplicas=5)


@pytest.mark.parametrize(
    ("kind", "spec", "pods", "cpu"),
    [
        ("RayCluster", ray([]), 1, "1"),
        ("RayCluster", ray([GROUP]), 6, "6"),
        ("RayCluster", ray([group(maxReplicas=5, numOfHosts=4)]), 21, "21"),
        ("RayCluster", ray([group(maxReplicas=5, suspend=True)]), 1, "1"),
        ("RayCluster", ray([GROUP], suspend=True), 0, "0"),
        ("RayCluster", ray([GROUP], enableInTreeAutoscaling=True), 6, "6.5"),
        (
            "RayCluster",
            ray(
                [GROUP],
                enableInTreeAutoscaling=True,
                autoscalerOptions={"resources": {"requests": {"cpu": 2}}},
            ),
            6,
            "8",
        ),
        # The injected init container asks for more than a small worker does.
        ("RayCluster", ray([{"groupName": "s", "maxReplicas": 2, **template(box("50m"))}]), 3, "1.4"),
        ("RayService", {"rayClusterConfig": ray([GROUP])}, 12, "12"),
        ("RayService", {"rayClusterConfig": ray([GROUP]), "upgradeStrategy": {"type": "None"}}, 6, "6"),
        (
            "RayService",
            {
                "rayClusterConfig": ray([GROUP]),
                "upgradeStrategy": {
                    "type": "NewClusterWithIncrementalUpgrade",
                    "clusterUpgradeOptions": {"maxSurgePercent": 20},
                },
            },
            8,
            "8",
        ),
        ("RayJob", {"rayClusterSpec": ray([GROUP])}, 7, "6.5"),
        ("RayJob", {"rayClusterSpec": ray([GROUP]), "submissionMode": "HTTPMode"}, 6, "6"),
        ("RayJob", {"rayClusterSpec": ray([GROUP]), "submissionMode": "SidecarMode"}, 6, "6.5"),
        ("RayJob", {"rayClusterSpec": ray([GROUP]), "suspend": True}, 0, "0"),
        ("RayJob", {"clusterSelector": {"ray.io/cluster": "ml"}}, 1, "0.5"),
        (
            "RayJob",
            {
                "clusterSelector": {"ray.io/cluster": "ml"},
                "submitterPodTemplate": template(box(2))["template"],
            },
            1,
            "2",
        ),
    ],
)
def test_what_kuberay_makes_of_its_resources(kind: str, spec: Manifest, pods: int, cpu: str) -> None:
    found = total(workload(kind, spec, "ray.io/v1"))
    assert found["pods"] == pods
    assert found["requests.cpu"] == amount(cpu)


@pytest.mark.parametrize(
    ("kind", "spec", "api"),
    [
        ("RayCluster", ray([group()]), "ray.io/v1"),
        ("RayService", {"rayClusterConfig": ray([group()])}, "ray.io/v1"),
        ("RayCronJob", {"jobTemplate": {"rayClusterSpec": ray([GROUP])}}, "ray.io/v1"),
        ("CronJob", {"jobTemplate": {"spec": template()}}, "batch/v1"),
    ],
)
def test_what_has_no_largest_number_of_pods_says_so(kind: str, spec: Manifest, api: str) -> None:
    assert any(share.unbounded for share in found_shares(workload(kind, spec, api)))


def feast_or_mlflow(**spec: Any) -> Manifest:
    sizes = {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": 1, "memory": "2Gi"}}
    return workload("Deployment", {"replicas": 2, **template({"name": "it", "resources": sizes}), **spec})


def platform(workers: int, *, autoscaler: bool, **deployments: Any) -> dict[str, Fraction]:
    """The ML workloads of the reports (`docs/requirements.md` Q3)."""
    sizes = {"requests": {"cpu": 1, "memory": "4Gi"}, "limits": {"cpu": 2, "memory": "8Gi"}}
    node = template({"name": "ray", "resources": sizes})
    cluster = {
        "enableInTreeAutoscaling": autoscaler,
        "headGroupSpec": node,
        "workerGroupSpecs": [{"groupName": "cpu", "minReplicas": 1, "maxReplicas": workers, **node}],
    }
    both = [feast_or_mlflow(**deployments)] * 2
    return total([workload("RayCluster", cluster, "ray.io/v1"), *both])


def test_the_reports_band_at_the_start_of_the_day() -> None:
    found = platform(2, autoscaler=True, strategy={"type": "Recreate"})
    assert found["requests.cpu"] == amount("5.5")  # the reports say 6
    assert amount("16Gi") <= found["requests.memory"] <= amount("17Gi")


def test_the_reports_band_at_full_scale() -> None:
    """18 CPU and 60 Gi are met to the digit by limits with rollout surge, before the autoscaler's own container."""
    found = platform(5, autoscaler=False)
    assert found["limits.cpu"] == 18
    assert found["limits.memory"] == amount("60Gi")
    steady = platform(5, autoscaler=True, strategy={"type": "Recreate"})
    assert steady["limits.cpu"] == amount("16.5")
    assert steady["limits.memory"] == amount("56.5Gi")
    whole = platform(5, autoscaler=True)
    assert whole["limits.cpu"] - found["limits.cpu"] == amount("500m")
    assert whole["limits.memory"] - found["limits.memory"] == amount("512Mi")
