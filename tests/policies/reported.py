"""The platform that the reports describe, as manifests in `reports/`, and words for what is wrong with it.

The faults themselves are in `reported_faults.py`.

`both` was there all the time; `earlier` is what they found or left behind on the way, though not all of it at once;
`final` is how it ended; `next` is what they say comes next. A comment on each object names report and section.
"""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from policies import configuration, manifests, pods
from policies.configuration import Configuration
from policies.judge import Diagnostic
from policies.pack import RULES
from tests.policies.support import POLICIES, Manifest

FOLDER = Path(__file__).parent / "reports"
CONFIG = POLICIES / "config"
STATES = {
    "earlier": ("both", "earlier"),
    "final": ("both", "final"),
    "next": ("both", "final", "next"),
}
"""The folders of which each state is made."""
Manifests = dict[str, Manifest]
"""By identity: `Kind/namespace/name`."""
Repair = Callable[[Manifests], None]


@dataclass(frozen=True)
class Fault:
    """Something wrong that a rule catches: on which object of which state, and a small change that repairs it."""

    requirement: str
    """Its number in docs/requirements.md."""
    what: str
    said: str
    """Report and section."""
    state: str
    rule: str
    place: str
    """Object and path, as the message begins."""
    repair: Repair
    behind: Repair | None = None
    """The repair of another fault, without which this one is not seen."""

    def is_told_by(self, found: list[Diagnostic]) -> list[str]:
        """The messages about this fault."""
        return [
            each.message
            for each in found
            if each.rule.name == self.rule and not each.unreadable and each.message.startswith(f"{self.place}: ")
        ]


@dataclass(frozen=True)
class Gap:
    """Something wrong that no rule catches."""

    requirement: str
    what: str
    said: str
    why: str
    """Why no rule catches it."""
    state: str = "final"
    place: str = ""
    """Beginning of what a message about it would be; empty where there is no object to speak of."""
    rules: tuple[str, ...] = ()
    """Rules that would speak of it; empty for all."""


@cache
def _read(state: str) -> Manifests:
    files = [file for folder in STATES[state] for file in sorted((FOLDER / folder).glob("*.yaml"))]
    found = [each for file in files for each in yaml.safe_load_all(file.read_text())]
    named = {_identity(each): each for each in found}
    assert len(named) == len(found), f"{state}: an object stands twice"
    return named


def documents(state: str) -> Manifests:
    """The objects of a state, to change; raises AssertionError where two are the same."""
    return deepcopy(_read(state))


def judged(objects: Manifests) -> list[Diagnostic]:
    """What the pack says of them, asked as `make policy` asks."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "objects.yaml"
        file.write_text("\n---\n".join(map(json.dumps, objects.values())))
        return manifests.judge(manifests.read([file]), Configuration())


@cache
def verdict(state: str, stack: str = "") -> list[Diagnostic]:
    """What the pack says of a state as it is, with the choices of a stack or the defaults."""
    choice = configuration.load(CONFIG, stack, RULES) if stack else Configuration()
    return manifests.judge(manifests.read([FOLDER / folder for folder in STATES[state]]), choice)


def told(fault: Fault) -> list[str]:
    """The messages about a fault that nobody has repaired."""
    if fault.behind is None:
        return fault.is_told_by(verdict(fault.state))
    objects = documents(fault.state)
    fault.behind(objects)
    return fault.is_told_by(judged(objects))


def _identity(manifest: Manifest) -> str:
    metadata = manifest["metadata"]
    return "/".join(part for part in (manifest["kind"], metadata.get("namespace", ""), metadata["name"]) if part)


def put(identity: str, *path: str | int, to: Any) -> Repair:
    """Set one field; what is missing on the way is made."""

    def repair(objects: Manifests) -> None:
        node: Any = objects[identity]
        for key in path[:-1]:
            node = node[key] if isinstance(key, int) else node.setdefault(key, {})
        node[path[-1]] = to

    return repair


def remove(identity: str, *path: str | int) -> Repair:
    """Remove one field."""

    def repair(objects: Manifests) -> None:
        node: Any = objects[identity]
        for key in path[:-1]:
            node = node[key]
        del node[path[-1]]

    return repair


def add(text: str) -> Repair:
    """Add an object."""

    def repair(objects: Manifests) -> None:
        manifest = yaml.safe_load(text)
        assert _identity(manifest) not in objects
        objects[_identity(manifest)] = manifest

    return repair


def small_sidecars(objects: Manifests) -> None:
    """Say in each pod template what its sidecar may use, in place of the two CPUs that Istio gives it."""
    for manifest in objects.values():
        for template in _templates(manifest):
            annotations = template.setdefault("metadata", {}).setdefault("annotations", {})
            annotations["sidecar.istio.io/proxyCPU"] = "100m"
            annotations["sidecar.istio.io/proxyCPULimit"] = "200m"


def _templates(manifest: Manifest) -> list[Manifest]:
    spec = manifest.get("spec", {})
    if manifest["kind"] == "RayCluster":
        return [group["template"] for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"])]
    if manifest["kind"] == "CronJob":
        return [spec["jobTemplate"]["spec"]["template"]]
    return [spec["template"]] if manifest["kind"] in {kind for _, kind in pods.KINDS} else []
