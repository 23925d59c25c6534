"""The objects that are judged: what the program of each stack registers, the rules' samples, and one huge CRD."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from pulumi.runtime.proto.analyzer_pb2 import AnalyzeRequest, AnalyzerResource

from policies.decode import Secret, Unknown, decode, revealed
from policies.manifests import read
from sandbox.tools import CRDS, install
from tests.graph.test_program import settings_of
from tests.policies.support import SAMPLES, Manifest, bare, manifests
from tests.support.recorder import record, sent

STACKS: Final = ("dev", "prod")


@dataclass(frozen=True)
class Corpus:
    """What the engine sends in one update, and how many Kubernetes objects there are in it.

    Attributes:
        name: for the table.
        stack: whose configuration holds; none where the defaults do.
        resources: everything, components and passwords included: a stack rule is given all.
        objects: what a cost is divided by.
    """

    name: str
    stack: str
    resources: Sequence[AnalyzerResource]
    objects: int


def program(stack: str) -> Corpus:
    """What the program of a stack registers at an update, where every value is known."""
    resources = sent(record(settings_of(stack), stack=stack))
    return Corpus(f"program, {stack}", stack, resources, sum(map(_is_kubernetes, resources)))


def of_files(name: str, files: Iterable[Path]) -> Corpus:
    """Manifests, each as a resource of one stack."""
    resources = [_resource(request) for request in read(files)]
    return Corpus(name, "", resources, len(resources))


def of_program(corpus: Corpus) -> list[Manifest]:
    """The Kubernetes objects of a program as manifests, which know nothing of secrets."""
    found = [decode(each.properties) for each in corpus.resources if _is_kubernetes(each)]
    return [{key: revealed(value) for key, value in each.items()} for each in found]


def of_samples() -> list[Manifest]:
    """The allowed and refused samples of all rules, but for those that only an engine can say: unknowns and secrets."""
    files = [path for part in ("allowed", "refused") for path in sorted(SAMPLES.glob(f"*/{part}/*.yaml"))]
    found = [bare(each) for file in files for each in manifests(file)]
    return [each for each in found if {"apiVersion", "kind"} <= each.keys() and not _has_marks(each)]


def crd() -> list[Manifest]:
    """KubeRay's CRD of RayJobs, the largest of the pinned release."""
    file = install([CRDS]).crds / "ray.io_rayjobs.yaml"
    return [yaml.load(file.read_text(), yaml.CSafeLoader)]


def write(found: Iterable[Manifest], folder: Path) -> list[Path]:
    """Write each object into a file of its own, for all who read files."""
    folder.mkdir(parents=True)
    files = []
    for number, manifest in enumerate(found):
        files.append(folder / f"{number:04}.json")
        files[-1].write_text(json.dumps(manifest, separators=(",", ":")))
    return files


def request(resource: AnalyzerResource) -> AnalyzeRequest:
    """What the engine asks about a resource before it makes it."""
    return AnalyzeRequest(
        urn=resource.urn,
        type=resource.type,
        name=resource.name,
        properties=resource.properties,
        options=resource.options,
    )


def _resource(asked: AnalyzeRequest) -> AnalyzerResource:
    return AnalyzerResource(urn=asked.urn, type=asked.type, properties=asked.properties)


def _is_kubernetes(resource: AnalyzerResource) -> bool:
    return resource.type.startswith("kubernetes:")


def _has_marks(value: Any) -> bool:
    """Whether something in it can stand in no manifest."""
    if isinstance(value, dict):
        return any(map(_has_marks, value.values()))
    return any(map(_has_marks, value)) if isinstance(value, list) else isinstance(value, Secret | Unknown)
