"""Ways around a policy that public packs leave open: each is closed, through the engine's messages."""

from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime.proto import analyzer_pb2 as wire

from policies.pack import RULES
from tests.policies.support import Manifest, bare, request, stack_request
from tests.policies.test_policy_server import channel

SELECTOR = {"matchLabels": {"app": "train"}}
BAD, GOOD = "rayproject/ray:2.52.0-gpu", "nvidia/cuda:11.4.3-base"
CUDA = "which Tesla-K80 cannot run"


def deployment(image: str = BAD, api_version: str | None = "apps/v1", **said: Any) -> Manifest:
    container = {"name": "train", "image": image, "resources": {"limits": {"nvidia.com/gpu": 1}}}
    spec = {"nodeSelector": {"nvidia.com/gpu.product": "Tesla-K80"}, "containers": [container]}
    template = {"metadata": {"labels": SELECTOR["matchLabels"]}, "spec": spec}
    stated = {"apiVersion": api_version, "kind": "Deployment"} if api_version else {}
    metadata = {"name": "train", "namespace": "ns"}
    said = {"name": "train"} | said
    return {**stated, "metadata": metadata, "spec": {"selector": SELECTOR, "template": template}, "pulumi": said}


def quota(**said: Any) -> Manifest:
    metadata = {"name": "q", "namespace": "ns"}
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": metadata,
        "spec": {"hard": {"pods": 0}},
        "pulumi": said,
    }


def one(folder: Path, rule: str, manifest: Manifest) -> list[str]:
    """What a rule says of one resource, by the messages."""
    with channel(folder, RULES) as stub:
        found = stub.Analyze(request(manifest)).diagnostics
    return [each.message for each in found if each.policyName == rule]


def all_of(folder: Path, rule: str, *manifests: Manifest) -> list[str]:
    """What a rule says of a stack."""
    with channel(folder, RULES) as stub:
        asked = wire.AnalyzeStackRequest(resources=stack_request(list(manifests)))
        found = stub.AnalyzeStack(asked).diagnostics
    return [each.message for each in found if each.policyName == rule]


def listed(kind: str, api_version: str, *items: Manifest) -> Manifest:
    return {"apiVersion": api_version, "kind": kind, "items": [bare(each) for each in items]}


def forms(image: str) -> dict[str, Manifest]:
    """One fault in every form that a Deployment may reach the engine in."""
    token = "kubernetes:apps/v1:"
    return {
        "patch": deployment(image, type=f"{token}DeploymentPatch"),
        "patch, by its token alone": deployment(image, None, type=f"{token}DeploymentPatch"),
        "token of a custom resource": deployment(image, type="kubernetes:example.org/v1:Widget"),
        "no kind but the token": deployment(image, None, type=f"{token}Deployment"),
        "extensions/v1beta1": deployment(image, "extensions/v1beta1"),
        "apps/v1beta1": deployment(image, "apps/v1beta1"),
        "apps/v1beta2": deployment(image, "apps/v1beta2"),
        "old token alone": deployment(image, None, type="kubernetes:extensions/v1beta1:Deployment"),
        "List": listed("List", "v1", deployment(image)),
        "List of an old version": listed("List", "v1", deployment(image, "extensions/v1beta1")),
        "DeploymentList": listed("DeploymentList", "apps/v1", deployment(image, None)),
        "DeploymentList of an old version": listed("DeploymentList", "extensions/v1beta1", deployment(image, None)),
    }


@pytest.mark.parametrize("form", list(forms(BAD)))
def test_a_fault_is_found_in_every_form(tmp_path: Path, form: str) -> None:
    (found,) = one(tmp_path, "gpu-runs-image-cuda", forms(BAD)[form])
    assert CUDA in found
    assert found.startswith("Deployment/ns/train ")
    assert one(tmp_path, "gpu-runs-image-cuda", forms(GOOD)[form]) == []


@pytest.mark.parametrize("form", list(forms(BAD)))
def test_demand_counts_in_every_form(tmp_path: Path, form: str) -> None:
    (found,) = all_of(tmp_path, "quota-covers-demand", quota(), forms(GOOD)[form])
    assert found.startswith("ResourceQuota/ns/q ")


@pytest.mark.parametrize(
    "token",
    [
        "kubernetes:yaml/v2:ConfigGroup",
        "kubernetes:yaml/v2:ConfigFile",
        "kubernetes:helm.sh/v4:Chart",
        "kubernetes:kustomize/v2:Directory",
        "team:notebooks:Notebook",
    ],
)
def test_a_child_of_a_component_is_judged_as_any_other(tmp_path: Path, token: str) -> None:
    parent = {"pulumi": {"type": token, "name": "parent"}}
    asked = request(deployment())
    asked.urn = asked.urn.replace("::kubernetes:", f"::{token}$kubernetes:")
    asked.options.parent = stack_request([parent])[0].urn
    with channel(tmp_path, RULES) as stub:
        found = {each.policyName: each for each in stub.Analyze(asked).diagnostics}
    assert CUDA in found["gpu-runs-image-cuda"].message
    assert found["gpu-runs-image-cuda"].urn == asked.urn
    (short,) = all_of(tmp_path, "quota-covers-demand", parent, quota(), deployment(GOOD, parent="parent"))
    assert short.startswith("ResourceQuota/ns/q ")
    assert all_of(tmp_path, "quota-covers-demand", parent, quota()) == []


def meshed(spec: dict[str, Any], api_version: str = "security.istio.io/v1", **said: Any) -> list[Manifest]:
    """A namespace of the mesh with one PeerAuthentication."""
    labels = {"istio-injection": "enabled"}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ns", "labels": labels}},
        {
            "apiVersion": api_version,
            "kind": "PeerAuthentication",
            "metadata": {"name": "default", "namespace": "ns"},
            "spec": spec,
            "pulumi": said,
        },
        deployment(GOOD),
    ]


UNSET: list[dict[str, Any]] = [{"mtls": {"mode": "UNSET"}}, {"mtls": {}}, {}]
STRICT = {"mtls": {"mode": "STRICT"}}


@pytest.mark.parametrize("spec", UNSET, ids=["mode UNSET", "no mode", "no mtls"])
@pytest.mark.parametrize("rule", ["mesh-strict", "effective-strict"])
def test_a_mode_that_is_not_set_is_not_strict(tmp_path: Path, rule: str, spec: dict[str, Any]) -> None:
    (found,) = all_of(tmp_path, rule, *meshed(spec))
    assert found.startswith(("PeerAuthentication/ns/default spec.mtls.mode", "Deployment/ns/train every port"))
    assert all_of(tmp_path, rule, *meshed(STRICT)) == []


@pytest.mark.parametrize("api_version", ["security.istio.io/v1", "security.istio.io/v1beta1"])
@pytest.mark.parametrize("suffix", ["", "Patch"])
def test_a_permissive_mode_is_found_in_every_form(tmp_path: Path, api_version: str, suffix: str) -> None:
    said = {"type": f"kubernetes:{api_version}:PeerAuthentication{suffix}"}
    (found,) = all_of(tmp_path, "mesh-strict", *meshed({"mtls": {"mode": "PERMISSIVE"}}, api_version, **said))
    assert "PERMISSIVE" in found
    assert all_of(tmp_path, "mesh-strict", *meshed(STRICT, api_version, **said)) == []


@pytest.mark.parametrize("kind", ["List", "PeerAuthenticationList"])
def test_a_mode_inside_a_list_counts(tmp_path: Path, kind: str) -> None:
    for mode, count in (("UNSET", 1), ("STRICT", 0)):
        namespace, policy, workload = meshed({"mtls": {"mode": mode}})
        version = "v1" if kind == "List" else policy["apiVersion"]
        found = all_of(tmp_path, "mesh-strict", namespace, listed(kind, version, policy), workload)
        assert len(found) == count, found
