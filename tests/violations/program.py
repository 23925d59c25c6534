"""The platform's program with faults in it: what the engine runs in place of the checkout's `__main__.py`.

The faults are put into what the program declares, by a transformation: the program itself is the one of the checkout.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pulumi

from components.base import KubernetesObject
from components.outputs import PlatformOutputs
from components.platform import Platform
from components.settings import load
from tests.violations import VIOLATIONS
from tests.violations.violation import Violation

ROOT = Path(__file__).resolve().parents[2]

CHOSEN = "CHOSEN_VIOLATIONS"
"""Environment variable with the numbers of the faults, in JSON."""

MAIN = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom tests.violations.program import run\nrun()\n"
"""An entry point that runs it, wherever that lies."""


def run() -> None:
    """Declare the platform with the chosen faults."""
    os.chdir(ROOT)  # where the engine would run the program
    chosen = [VIOLATIONS[number] for number in json.loads(os.environ[CHOSEN])]
    pulumi.runtime.register_stack_transformation(lambda declared: _changed(declared, chosen))
    PlatformOutputs.publish(Platform(*load()).outputs)
    for violation in chosen:
        if violation.added:
            KubernetesObject(f"added-{VIOLATIONS.index(violation)}", violation.added)


def _changed(
    declared: pulumi.ResourceTransformationArgs, chosen: Sequence[Violation]
) -> pulumi.ResourceTransformationResult | None:
    props: Any = declared.props
    if not declared.type_.startswith("kubernetes:") or "metadata" not in props:
        return None
    name = props["metadata"].get("name")
    # Some follow from other objects.
    known = f"{props['kind']}/{name}" if isinstance(name, str) else ""
    changes = [each.change for each in chosen if known and each.of == known and each.change]
    if not changes:
        return None
    manifest = _copy(props)
    for change in changes:
        change(manifest)
    return pulumi.ResourceTransformationResult(manifest, declared.opts)


def _copy(value: Any) -> Any:
    """Maps and lists of its own; outputs stay what they are."""
    if isinstance(value, dict):
        return {key: _copy(child) for key, child in value.items()}
    return [_copy(child) for child in value] if isinstance(value, list) else value
