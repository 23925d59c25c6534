"""Settings: what is accepted, and every kind of bad input as a sentence with file, key, value and what is allowed."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from components.settings import BadSettings, Images, load
from components.target import SANDBOX_CONTEXT
from tests.support.configuration import configured, load_with, refused, stack_config


def ray(**values: Any) -> dict[str, Any]:
    return {"ml-platform:ray": values}


def group(**values: Any) -> dict[str, Any]:
    return ray(workerGroups=[{"name": "cpu", **values}])


def tenancy(**values: Any) -> dict[str, Any]:
    return {"ml-platform:tenancy": values}


def quota(**values: Any) -> dict[str, Any]:
    return tenancy(quota=values)


def images(**values: Any) -> dict[str, Any]:
    return {"ml-platform:images": values}


def compute(requests: dict[str, Any], limits: dict[str, Any]) -> dict[str, Any]:
    return group(resources={"requests": requests, "limits": limits})


ONE = {"cpu": 1, "memory": "1Gi"}

BAD: dict[str, tuple[dict[str, Any], list[str]]] = {
    # Keys
    "unknown top key": ({"ml-platform:rai": {}}, ["ml-platform:rai: is not a known key", "did you mean 'ray'?"]),
    "unknown key": (ray(verzion="2.60.0"), ["ml-platform:ray.verzion: is not a known key", "did you mean 'version'?"]),
    "unknown key in a list": (group(minReplica=1), ["workerGroups[0].minReplica: is not a known key", "minReplicas"]),
    "unknown key far down": (quota(gpu=1), ["tenancy.quota.gpu: is not a known key", "did you mean 'gpus'?"]),
    "snake case": (ray(cluster_size=1), ["ml-platform:ray.cluster_size: is not a known key"]),
    "missing name": (ray(workerGroups=[{}]), ["workerGroups[0].name: is missing"]),
    "missing image part": (images(rayGpu={"reference": "a/b:1"}), ["images.rayGpu.cuda: is missing"]),
    "missing half of resources": (group(resources={"limits": ONE}), ["resources.requests: is missing"]),
    # Types
    "text for a map": ({"ml-platform:ray": "big"}, ["ml-platform:ray: must be a map of keys", "(found 'big')"]),
    "number for a map": ({"ml-platform:tenancy": 3}, ["ml-platform:tenancy: must be a map of keys", "(found 3)"]),
    "map for a list": (ray(workerGroups={"name": "x"}), ["ml-platform:ray.workerGroups: must be a list"]),
    "text for a count": (group(maxReplicas="five"), ["workerGroups[0].maxReplicas: must be a valid integer", "'five'"]),
    "fraction for a count": (group(maxReplicas=2.5), ["workerGroups[0].maxReplicas: must be a valid integer", "2.5"]),
    "truth for a count": (group(maxReplicas=True), ["workerGroups[0].maxReplicas: must be a valid integer", "True"]),
    "count for a truth": (ray(prePullImages=7), ["ml-platform:ray.prePullImages: must be a valid boolean", "7"]),
    "null for a key": (ray(version=None), ["ml-platform:ray.version: must be a valid string", "None"]),
    "number for a version": (ray(version=2.6), ["ml-platform:ray.version: must be a valid string", "2.6"]),
    "list for a quantity": (compute({"cpu": [1], "memory": "1Gi"}, ONE), ["requests.cpu: must be a quantity"]),
    "truth for a quantity": (compute({"cpu": True, "memory": "1Gi"}, ONE), ["requests.cpu: must be a quantity"]),
    # Bounds
    "inverted bounds": (group(minReplicas=7, maxReplicas=5), ["minReplicas (7) must not be more than maxReplicas (5)"]),
    "negative minimum": (
        group(minReplicas=-1),
        ["workerGroups[0].minReplicas: must be greater than or equal to 0", "-1"],
    ),
    "maximum of zero": (group(minReplicas=0, maxReplicas=0), ["maxReplicas: must be greater than or equal to 1"]),
    "start above the maximum": (group(initialReplicas=9), ["initialReplicas (9) must be between", "maxReplicas (5)"]),
    "start below the minimum": (group(minReplicas=2, initialReplicas=1), ["initialReplicas (1) must be between"]),
    "no worker group": (ray(workerGroups=[]), ["ml-platform:ray.workerGroups: must have at least 1 entry"]),
    "requests above limits": (
        compute({"cpu": 2, "memory": "1Gi"}, ONE),
        ["workerGroups[0].resources: requests.cpu (2) must not be more than limits.cpu (1)"],
    ),
    "memory above its limit": (
        compute({"cpu": 1, "memory": "2G"}, ONE),
        ["requests.memory (2G) must not be more than limits.memory (1Gi)"],
    ),
    "quota requests above limits": (
        quota(requestsCpu=300, limitsCpu=200),
        ["tenancy.quota: requestsCpu (300) must not be more than limitsCpu (200)"],
    ),
    "negative gpus": (quota(gpus=-1), ["tenancy.quota.gpus: must be greater than or equal to 0"]),
    "no cpu at all": (compute({"cpu": 0, "memory": "1Gi"}, ONE), ["cpu must be more than 0"]),
    "time of zero": (ray(readyTimeoutSeconds=0), ["readyTimeoutSeconds: must be greater than or equal to 1"]),
    "shared memory above memory": (
        group(sharedMemory="8Gi"),
        ["sharedMemory (8Gi) must not be more than resources.limits.memory (4Gi)"],
    ),
    "priority too high": (
        tenancy(priorityClasses=[{"name": "x", "value": 2_000_000_000, "description": "x"}]),
        ["priorityClasses[0].value: must be less than or equal to 1000000000"],
    ),
    # Quantities
    "quantity with a word": (
        quota(requestsMemory="lots"),
        ["tenancy.quota.requestsMemory: must be a quantity", "'lots'"],
    ),
    "quantity with a wrong unit": (quota(requestsMemory="4GB"), ["must be a quantity such as 500m, 2, 512Mi or 4Gi"]),
    "negative quantity": (quota(requestsCpu=-4), ["tenancy.quota.requestsCpu: must be a quantity", "-4"]),
    "empty quantity": (quota(requestsStorage=""), ["tenancy.quota.requestsStorage: must be a quantity"]),
    # Names
    "namespace with capitals": (tenancy(namespace="Data"), ["tenancy.namespace: must be 1 to 63 lowercase letters"]),
    "namespace too long": (tenancy(namespace="a" * 64), ["tenancy.namespace: must be 1 to 63 lowercase letters"]),
    "namespace with a slash": (tenancy(namespace="../x"), ["tenancy.namespace: must be 1 to 63 lowercase letters"]),
    "cluster name too long": (ray(clusterName="a" * 54), ["ray.clusterName: must be at most 53 characters"]),
    "group name with a space": (
        ray(workerGroups=[{"name": "a b"}]),
        ["workerGroups[0].name: must be 1 to 63 lowercase"],
    ),
    "two groups with one name": (
        ray(workerGroups=[{"name": "cpu"}, {"name": "cpu"}]),
        ["ml-platform:ray: workerGroups has 2 named 'cpu': names must be unique"],
    ),
    "two priorities with one name": (
        tenancy(
            priorityClasses=[
                {"name": name, "value": 1, "description": "x"} for name in ("control", "serving", "batch", "batch")
            ]
        ),
        ["priorityClasses has 2 named 'batch'"],
    ),
    "priorities without a role that is needed": (
        tenancy(priorityClasses=[{"name": name, "value": 1, "description": "x"} for name in ("control", "batch")]),
        ["priorityClasses must have an entry named 'serving'"],
    ),
    "bad selector": (group(nodeSelector={"a b": "c"}), ["must be a label key such as"]),
    "bad label value": (group(nodeSelector={"zone": "a b"}), ["must be a label value"]),
    # GPU
    "gpu without a model": (group(gpu={"count": 1}), ["workerGroups[0].gpu.model: is missing"]),
    "gpu of zero": (group(gpu={"model": "Tesla-K80", "count": 0}), ["gpu.count: must be greater than or equal to 1"]),
    "bad cuda": (images(rayGpu={"reference": "a/b:1", "cuda": "eleven"}), ["images.rayGpu.cuda:", "'eleven'"]),
    # Images
    "image without a tag": (images(ray="rayproject/ray"), ["images.ray: must be an image reference with a tag"]),
    "image that moves": (images(ray="rayproject/ray:latest"), ["images.ray: must name a version"]),
    "image with a space": (images(kuberayOperator="a b:1"), ["images.kuberayOperator: must be an image reference"]),
    "image with a short digest": (images(ray="a/b@sha256:12"), ["images.ray: must be an image reference"]),
    # Choices
    "unknown choice": (ray(authentication="basic"), ["ray.authentication: must be 'token' or 'disabled'", "'basic'"]),
    "unknown addon": (
        {"ml-platform:cluster": {"addons": ["kiali"]}},
        ["cluster.addons[0]: must be", "'istio'", "'kiali'"],
    ),
    "unknown toleration": (
        group(tolerations=[{"key": "a", "operator": "In"}]),
        ["tolerations[0].operator:", "'In'"],
    ),
    # What does not go together
    "mesh without istio": (
        tenancy(meshInjection=True),
        ["ml-platform:tenancy.meshInjection: needs the addon istio", "cluster.addons"],
    ),
    "token with an old ray": (ray(version="2.9.0"), ["authentication 'token' needs Ray 2.52.0 or newer", "2.9.0"]),
    # The cluster
    "existing without a context": (
        {"ml-platform:cluster": {"kind": "existing"}},
        ["kubernetes:context: is missing", "pulumi config set kubernetes:context NAME"],
    ),
    "sandbox with a context": (
        {"kubernetes:context": "production"},
        ["kubernetes:context: is 'production', but ml-platform:cluster.kind is 'sandbox'"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_a_sentence_with_file_key_and_what_is_allowed(case: str) -> None:
    refused(*BAD[case])


def test_the_table_of_bad_input_is_long_enough() -> None:
    assert len(BAD) >= 40


def test_all_problems_are_said_at_once() -> None:
    config = {
        **ray(verzion=1, workerGroups=[{"name": "A"}, {"name": "b", "maxReplicas": -1}]),
        **tenancy(namespace="B"),
    }
    with pytest.raises(BadSettings) as raised:
        load_with({**config, "kubernetes:context": "production"})
    message = str(raised.value)
    assert message.startswith("5 problems in Pulumi.dev.yaml")
    for key in ("ray.verzion", "workerGroups[0].name", "workerGroups[1].maxReplicas", "tenancy.namespace", "context"):
        assert key in message


def test_all_that_does_not_go_together_is_said_at_once_each_by_its_key() -> None:
    """Each breaks a rule between settings of two subsystems, and so does a row of the access table that ran out."""
    late = {"reason": "moves in autumn", "expires": "2026-01-31"}
    office = {"name": "office", "cidrs": ["192.0.2.0/24"]}
    config = {
        "ml-platform:cluster": {"addons": []},
        "ml-platform:tenancy": {"meshInjection": True},
        "ml-platform:mesh": {
            "neighbours": [office],
            "access": [
                {
                    "source": "office",
                    "target": "mlflow",
                    "ports": ["http"],
                    "why": "People there look at runs",
                    "plainText": late,
                }
            ],
        },
        "ml-platform:mlflow": {"bucket": "models", "database": "tracking"},
    }
    with pytest.raises(BadSettings) as raised:
        load_with(config)
    told = str(raised.value).splitlines()[1:]
    keys = ["tenancy.meshInjection", "mlflow.database", "mlflow.bucket", "mesh"]
    assert [line.removeprefix("  - ml-platform:").split(": ")[0] for line in told] == keys


def test_a_plain_value_that_was_encrypted_is_refused() -> None:
    with pytest.raises(BadSettings, match="is encrypted, but holds no secret"):
        load_with(ray(version="2.60.0"), secret_keys=("ml-platform:ray",))


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_stack_files_of_the_checkout_are_accepted(stack: str) -> None:
    config = stack_config(stack)
    if stack == "prod":
        config["kubernetes:context"] = "a-cluster"
    settings, target = load_with(config, stack)
    assert target.crds_stack == f"organization/ml-platform-crds/{stack}"
    assert {group.gpu is not None for group in settings.ray.worker_groups} == {True, False}


def test_no_context_means_the_sandbox() -> None:
    _, target = load_with({})
    assert target.connection.context == SANDBOX_CONTEXT


def test_a_context_that_does_not_exist_is_named_with_those_that_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(yaml.safe_dump({"contexts": [{"name": "staging", "context": {}}]}))
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    config = {"ml-platform:cluster": {"kind": "existing"}, "kubernetes:context": "prod"}
    with configured(config), pytest.raises(BadSettings) as raised:
        load()
    assert "there is no context 'prod'" in str(raised.value)
    assert "contexts there: staging" in str(raised.value)
    assert str(kubeconfig) in str(raised.value)


@pytest.mark.parametrize(
    ("image", "mirrored"),
    [
        ("rayproject/ray:2.60.0", "mirror.example/all/rayproject/ray:2.60.0"),
        ("quay.io/kuberay/operator:v1.6.2", "mirror.example/all/kuberay/operator:v1.6.2"),
        ("localhost:5000/ray:1", "mirror.example/all/ray:1"),
        ("busybox:1", "mirror.example/all/busybox:1"),
    ],
)
def test_one_registry_rewrites_every_image(image: str, mirrored: str) -> None:
    assert Images(registry="mirror.example/all/", ray=image).for_ray().ray == mirrored
    assert Images(ray=image).for_ray().ray == image
