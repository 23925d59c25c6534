"""Every sample of the policies is valid Kubernetes: the API server admits each of its objects in a dry run."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from policies.decode import Secret, Unknown
from policies.pack import RULES
from policies.view import group_of
from sandbox import addons
from sandbox.cluster import Cluster
from sandbox.workspace import Workspace
from tests.policies.support import SAMPLES, Manifest, bare, manifests
from tests.support import engine

VERDICTS = ("allowed", "refused", "undecided")
"""Those that are objects: what is malformed no API server takes."""

ABSENT = {
    "argoproj.io": "Argo CD, which deploys in the platform's place",
    "helm.toolkit.fluxcd.io": "Flux, which deploys in the platform's place",
    "keda.sh": "KEDA, an autoscaler beside the platform's own",
    "postgresql.cnpg.io": "CloudNativePG, a database beside the platform's own",
    "velero.io": "Velero, backups of whoever runs the cluster",
}
"""API groups that no part of the sandbox brings, and whose they are: their objects are not looked at here."""

KNOWN: dict[str, Any] = {
    "app": "mlflow",
    "cidr": "10.0.0.1/32",
    "concurrencyPolicy": "Forbid",
    "hard": {"pods": "1"},
    "hostNetwork": False,
    "limits": [{"type": "Container", "max": {"cpu": "1"}}],
    "maxReplicas": 2,
    "memory": "1Gi",
    "mode": "DISABLE",
    "mtls": {"mode": "STRICT"},
    "name": "rayclusters.ray.io",
    "namespace": "data-platform",
    "password": "bGF0ZXI=",
    "ports": [{"port": 80}],
    "principals": ["cluster.local/ns/data-platform/sa/trainer"],
    "replicas": 2,
    "requests.cpu": "1",
    "runAsNonRoot": True,
    "sizeLimit": "1Gi",
    "stringData": {"password": "later"},
    "tolerations": [{"operator": "Exists"}],
    "type": "ClusterIP",
    "whenDeleted": "Retain",
}
"""What an unknown value may turn out to be, by its field; any text where nothing is said."""

LATER = "later"
MADE = "created (server dry run)"
THERE = "(AlreadyExists)"
"""The API server has asked every webhook and validated an object before it sees that the name is taken."""

METADATA = {"name": "broken", "namespace": "data-platform"}
CONTAINER = {"name": "main", "image": "example.org/main:1"}
BROKEN: list[tuple[Manifest, str]] = [
    (
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": METADATA,
            "spec": {
                "selector": {"matchLabels": {"app": "one"}},
                "template": {"metadata": {"labels": {"app": "two"}}, "spec": {"containers": [CONTAINER]}},
            },
        },
        "`selector` does not match template `labels`",
    ),
    (
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": METADATA,
            "spec": {"containers": [{**CONTAINER, "ressources": {}}]},
        },
        'strict decoding error: unknown field "spec.containers[0].ressources"',
    ),
    (
        {
            "apiVersion": "ray.io/v1",
            "kind": "RayCluster",
            "metadata": METADATA,
            "spec": {"headGroupSpec": {"rayStartParams": {}, "template": {"spec": {"container": [CONTAINER]}}}},
        },
        'strict decoding error: unknown field "spec.headGroupSpec.template.spec.container"',
    ),
    (
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default", "labels": {"team": "no label!"}}},
        'metadata.labels: Invalid value: "no label!"',
    ),
    (
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "rayclusters.ray.io"},
            "spec": {
                "group": "ray.io",
                "scope": "Namespaced",
                "names": {"plural": "rayclusters", "kind": "RayCluster"},
                "versions": [{"name": "v1", "served": True, "storage": True}],
            },
        },
        "spec.versions[0].schema.openAPIV3Schema: Required value",
    ),
    (
        {
            "apiVersion": "security.istio.io/v1",
            "kind": "PeerAuthentication",
            "metadata": METADATA,
            "spec": {"mtls": {"mode": "STRICTER"}},
        },
        'spec.mtls.mode: Unsupported value: "STRICTER"',
    ),
    (
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "DestinationRule",
            "metadata": METADATA,
            "spec": {"host": "two words"},
        },
        "denied the request: configuration is invalid",
    ),
    (
        {
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "ScaledObject",
            "metadata": METADATA,
            "spec": {"scaleTargetRef": {"name": "mlflow"}},
        },
        'no matches for kind "ScaledObject"',
    ),
]
"""Objects that have to be refused, and in which words: by the core, the CRDs, Istio's webhook, and where the name is
taken or the kind unknown."""


def known(value: Any, field: str = "") -> Any:
    """A value as it reaches the API server at last: nothing is unknown, and a secret is what it holds."""
    if isinstance(value, Unknown):
        return KNOWN.get(field, LATER)
    if isinstance(value, Secret):
        return known(value.reveal(), field)
    if isinstance(value, dict):
        return {key: known(child, key) for key, child in value.items()}
    if isinstance(value, list):
        return [known(child) for child in value]
    return value


def samples(rule: str = "*") -> list[Path]:
    return sorted(path for verdict in VERDICTS for path in SAMPLES.glob(f"{rule}/{verdict}/*.yaml"))


def written(path: Path) -> list[Manifest]:
    """The Kubernetes objects of a sample: what has no kind is the engine's, a provider or a release."""
    return [bare(each) for each in manifests(path) if "kind" in each]


def objects(rule: str = "*") -> dict[str, list[Manifest]]:
    """The objects that the cluster can admit, by sample."""
    return {
        path.relative_to(SAMPLES).as_posix(): [
            known(each) for each in written(path) if group_of(each["apiVersion"]) not in ABSENT
        ]
        for path in samples(rule)
    }


def text(manifest: Manifest) -> str:
    return json.dumps(manifest, sort_keys=True)


def surroundings(found: list[Manifest]) -> list[Manifest]:
    """What the API server looks up before it admits an object: its namespace, and a pod's account."""
    namespaces = {each["metadata"].get("namespace", "default") for each in found}
    accounts = {
        (each["metadata"].get("namespace", "default"), each["spec"].get("serviceAccountName", "default"))
        for each in found
        if each["kind"] == "Pod"
    }
    made = [("Namespace", {"name": name}) for name in sorted(namespaces)]
    made += [("ServiceAccount", {"name": name, "namespace": namespace}) for namespace, name in sorted(accounts)]
    return [{"apiVersion": "v1", "kind": kind, "metadata": metadata} for kind, metadata in made]


def dry_run(cluster: Cluster, folder: Path, texts: list[str]) -> dict[str, str]:
    """Ask the API server about each object, in one call: what it says against an object, by the object's text.

    Raises:
        AssertionError: it did not answer for each of them.
    """
    for number, each in enumerate(texts):
        (folder / f"{number}.json").write_text(each)
    command = [str(cluster.toolbox.binary("kubectl")), "create", "--dry-run=server", "--validate=strict"]
    env = {**os.environ, **cluster.kubectl_environment}
    lines = engine.run(*command, "--filename", str(folder), env=env).text.splitlines()
    named = [(line, re.search(r'/(\d+)\.json": ', line)) for line in lines]
    refused = {texts[int(number[1])]: line for line, number in named if number and THERE not in line}
    admitted = sum(line.endswith(MADE) or THERE in line for line in lines)
    assert admitted + len(refused) == len(texts), lines[-20:]
    return refused


def against(found: dict[str, list[Manifest]], refused: dict[str, str]) -> list[str]:
    """What the API server says against any object of samples."""
    said = [(name, refused.get(text(each))) for name, some in found.items() for each in some]
    return [f"{name}: {line}" for name, line in said if line]


@pytest.fixture(scope="module")
def ready(base: Workspace) -> Iterator[Cluster]:
    """The cluster with every CRD, and with namespaces that neither inject nor enforce anything."""
    cluster = base.cluster
    addons.install(cluster, addons.TOOLS)
    before = set(cluster.kubectl("get", "namespaces", "--output", "name").split())
    found = surroundings([each for some in objects().values() for each in some])
    cluster.kubectl("apply", "--server-side", "--filename", "-", stdin="\n---\n".join(map(text, found)))
    yield cluster
    after = set(cluster.kubectl("get", "namespaces", "--output", "name").split())
    cluster.kubectl("delete", *sorted(after - before))


@pytest.fixture(scope="module")
def refused(ready: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    found = [text(each) for some in objects().values() for each in some]
    broken = [text(manifest) for manifest, _ in BROKEN]
    return dry_run(ready, tmp_path_factory.mktemp("samples"), sorted({*found, *broken}))


@pytest.mark.parametrize("rule", [rule.name for rule in RULES])
def test_the_samples_of_a_rule_are_admitted(refused: dict[str, str], rule: str) -> None:
    found = objects(rule)
    assert len(found) >= 5
    assert against(found, refused) == []


def test_one_broken_object_among_others_is_told_with_its_sample(refused: dict[str, str]) -> None:
    (name, some), *_ = objects("no-dangling").items()
    assert len(some) >= 2
    (said,) = against({name: [BROKEN[0][0], *some]}, refused)
    assert said.startswith(f"{name}: Error from server (Invalid)")


@pytest.mark.parametrize(("manifest", "words"), BROKEN, ids=[manifest["kind"] for manifest, _ in BROKEN])
def test_a_broken_object_is_refused(refused: dict[str, str], manifest: Manifest, words: str) -> None:
    assert words in refused[text(manifest)]


def test_only_what_the_cluster_cannot_know_is_left_out(ready: Cluster) -> None:
    served = {group_of(version) for version in ready.kubectl("api-versions").split()}
    used = {group_of(each["apiVersion"]) for path in samples() for each in written(path)}
    assert used - served == set(ABSENT)


def unknowns(value: Any, field: str = "") -> Iterator[str]:
    """The fields that hold an unknown value."""
    if isinstance(value, Unknown):
        yield field
    elif isinstance(value, dict):
        for key, child in value.items():
            yield from unknowns(child, key)
    elif isinstance(value, list):
        for child in value:
            yield from unknowns(child)


def test_only_values_that_are_unknown_somewhere_are_made_up() -> None:
    assert set(KNOWN) <= {field for path in samples() for each in written(path) for field in unknowns(each)}
