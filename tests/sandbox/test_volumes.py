"""Volumes of simulated pods: each belongs to the one claim that it is made for."""

from kubernetes import client

from sandbox.volumes import SIMULATED, volume_for
from sandbox.workspace import ROOT


def test_a_volume_is_as_large_as_its_claim_and_can_be_bound_by_no_other() -> None:
    claim = client.V1PersistentVolumeClaim(
        metadata=client.V1ObjectMeta(name="data-redis-0", namespace="ns", uid="123"),
        spec=client.V1PersistentVolumeClaimSpec(
            access_modes=["ReadWriteOnce"],
            storage_class_name=SIMULATED,
            resources=client.V1VolumeResourceRequirements(requests={"storage": "2Gi"}),
        ),
    )
    made = volume_for(claim)
    assert made["metadata"]["name"] == "pvc-123"
    assert made["spec"]["capacity"] == {"storage": "2Gi"}
    assert {key: made["spec"]["claimRef"][key] for key in ("namespace", "name", "uid")} == {
        "namespace": "ns",
        "name": "data-redis-0",
        "uid": "123",
    }


def test_the_class_is_the_one_of_the_cluster() -> None:
    assert f"name: {SIMULATED}" in (ROOT / "sandbox" / "storage.yaml").read_text()
