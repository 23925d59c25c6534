"""What must not be deployed is refused before anything is created, in plain words, with a status that is not 0."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.support.engine import Outcome, Stack


@pytest.fixture(scope="module")
def dev(new_stack: Callable[[str, str], Stack]) -> Stack:
    return new_stack("dev", "refused")


def refused(stack: Stack, done: Outcome, *expected: str) -> None:
    """The command failed, said why in plain words, and left the cluster alone."""
    assert done.code != 0, done.text
    for part in expected:
        assert part in done.text, done.text
    assert "Traceback" not in done.text
    assert stack.objects() == set()


def test_a_quota_that_is_too_small_is_refused_at_preview(dev: Stack) -> None:
    quota = {**dev.config["ml-platform:tenancy"]["quota"], "limitsCpu": 8, "requestsCpu": 6}
    small = dev.with_config(tenancy={"quota": quota})
    for command in (small.preview, small.up):
        refused(dev, command(), "quota-covers-demand", "limits.cpu", "ray-cluster worker group cpu: 5 x 1.5 CPU")


def test_a_k80_with_a_cuda_12_image_is_refused_at_preview(dev: Stack) -> None:
    modern = dev.with_config(images={"rayGpu": {"reference": "rayproject/ray:2.60.0-cu121", "cuda": "12.1"}})
    for command in (modern.preview, modern.up):
        refused(dev, command(), "gpu-runs-image-cuda", "Tesla-K80", "11.4")


def test_bad_settings_are_all_said_at_once(dev: Stack) -> None:
    broken = dev.with_config(
        ray={"verzion": 1, "workerGroups": [{"name": "gpu", "gpu": {"count": 1}}]}, tenancy={"podss": 1}
    )
    refused(
        dev,
        broken.up(),
        "3 problems in Pulumi.dev.yaml",
        "ml-platform:ray.verzion: is not a known key",
        "ml-platform:ray.workerGroups[0].gpu.model: is missing",
        "ml-platform:tenancy.podss: is not a known key",
    )


def test_a_context_that_does_not_exist_is_refused(dev: Stack) -> None:
    elsewhere = dev.with_config(cluster={"kind": "existing"})
    elsewhere.config["kubernetes:context"] = "production"
    refused(dev, elsewhere.up(), "there is no context 'production'", "contexts there: ml-platform-sandbox")


def test_an_existing_cluster_without_a_context_is_refused(dev: Stack) -> None:
    refused(
        dev, dev.with_config(cluster={"kind": "existing"}).up(), "kubernetes:context: is missing", "pulumi config set"
    )


def test_an_api_server_that_does_not_answer_is_refused(dev: Stack, tmp_path: Path) -> None:
    config = yaml.safe_load(dev.workspace.cluster.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    done = dev.pulumi("up", "--yes", env={"KUBECONFIG": str(tmp_path / "kubeconfig")})
    refused(dev, done, "does not answer", "127.0.0.1:1")


def test_a_wrong_passphrase_is_refused(dev: Stack, tmp_path: Path) -> None:
    dev.workspace.prepare(Path(__file__).resolve().parents[2], dev.name)
    (tmp_path / "passphrase").write_text("another")
    done = dev.pulumi("up", "--yes", env={"PULUMI_CONFIG_PASSPHRASE_FILE": str(tmp_path / "passphrase")})
    refused(dev, done, "incorrect passphrase")


def test_crds_of_another_release_are_refused(dev: Stack) -> None:
    other = dev.with_config(ray={"kuberayVersion": "1.5.0"})
    refused(dev, other.up(), "kuberayVersion is 1.5.0, but the CRDs of stack", "are of 1.6.2", "make crds")


def test_a_stack_of_crds_that_does_not_exist_is_refused(dev: Stack) -> None:
    refused(
        dev, dev.with_config(cluster={"crdsStack": "organization/ml-platform-crds/none"}).up(), "ml-platform-crds/none"
    )


def test_a_cluster_that_nobody_makes_ready_is_told_with_the_reason(new_stack: Callable[[str, str], Stack]) -> None:
    alone = new_stack("dev", "no-operator").with_config(
        ray={"operator": {"mode": "existing"}, "readyTimeoutSeconds": 10}
    )
    done = alone.up()
    assert done.code != 0
    assert "ray-cluster in namespace no-operator is not ready" in done.text
    assert "no pod of ray-cluster exists: no operator is there that would create them" in done.text
    # The same stack converges once the operator is there: nothing has to be mended by hand.
    mended = alone.with_config(ray={"operator": {"mode": "managed"}, "readyTimeoutSeconds": 120})
    assert mended.up().code == 0
    assert mended.up("--expect-no-changes").code == 0
    assert mended.destroy().code == 0


def test_pods_that_find_no_node_are_named_with_the_schedulers_reason(new_stack: Callable[[str, str], Stack]) -> None:
    nowhere = new_stack("dev", "no-node")
    cpu, gpu = nowhere.config["ml-platform:ray"]["workerGroups"]
    nowhere = nowhere.with_config(
        ray={"workerGroups": [{**cpu, "nodeSelector": {"zone": "moon"}}, gpu], "readyTimeoutSeconds": 15}
    )
    done = nowhere.up()
    assert done.code != 0
    assert "pod ray-cluster-cpu-worker-" in done.text
    assert "Unschedulable: 0/4 nodes are available" in done.text
    assert nowhere.destroy().code == 0
