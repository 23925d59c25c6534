"""The CRDs of the cluster: all four, whole, applied server-side, in a stack of their own."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.workspace import CRDS, POLICIES, Workspace

KINDS = ("rayclusters", "raycronjobs", "rayjobs", "rayservices")


def installed(base: Workspace, kind: str) -> dict[str, Any]:
    return dict(
        json.loads(base.cluster.kubectl("get", "crd", f"{kind}.ray.io", "--output", "json", "--show-managed-fields"))
    )


@pytest.mark.parametrize("kind", KINDS)
def test_all_four_crds_are_applied_server_side(base: Workspace, kind: str) -> None:
    found = installed(base, kind)
    upstream = yaml.load((base.toolbox.crds / f"ray.io_{kind}.yaml").read_text(), yaml.CSafeLoader)
    assert [version["name"] for version in found["spec"]["versions"]] == [
        version["name"] for version in upstream["spec"]["versions"]
    ]
    for ours, theirs in zip(found["spec"]["versions"], upstream["spec"]["versions"], strict=True):
        assert ours["schema"] == theirs["schema"]
    established = {condition["type"]: condition["status"] for condition in found["status"]["conditions"]}
    assert established["Established"] == "True"
    # Client-side apply would keep a copy in an annotation, which has no room for three of the four.
    assert "kubectl.kubernetes.io/last-applied-configuration" not in found["metadata"].get("annotations", {})
    managers = {(entry["manager"].split("-")[0], entry["operation"]) for entry in found["metadata"]["managedFields"]}
    assert ("pulumi", "Apply") in managers


def test_applying_them_again_changes_nothing_and_is_judged_by_the_pack(base: Workspace) -> None:
    done = base.pulumi(
        ["up", "--yes", "--skip-preview", "--expect-no-changes", *POLICIES], "dev", program=CRDS, capture=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Policies:" in done.stdout


def test_nobody_removes_them_by_accident(base: Workspace) -> None:
    done = base.pulumi(["destroy", "--yes"], "dev", program=CRDS, capture=True)
    assert done.returncode != 0
    # The engine names the first that it would delete.
    assert '.ray.io" cannot be deleted' in done.stdout + done.stderr
    for kind in KINDS:
        assert "deletionTimestamp" not in installed(base, kind)["metadata"]


def test_the_stack_says_which_release_is_there(base: Workspace) -> None:
    assert base.outputs("dev", program=CRDS) == {"kuberay": "1.6.2"}


@pytest.mark.parametrize("missing", ["KUBERAY_CRDS", "KUBERAY_VERSION"])
def test_without_the_files_the_program_says_how_to_get_them(base: Workspace, missing: str) -> None:
    done = base.pulumi(["preview"], "dev", program=CRDS, capture=True, extra_env={missing: ""})
    assert done.returncode != 0
    assert "`make crds`, which sets both" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_directory_without_crds_is_refused(base: Workspace, tmp_path: Path) -> None:
    done = base.pulumi(["preview"], "dev", program=CRDS, capture=True, extra_env={"KUBERAY_CRDS": str(tmp_path)})
    assert done.returncode != 0
    assert "must name the directory with KubeRay's CRD files" in done.stdout
