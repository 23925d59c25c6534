"""Faults in the real program, through the real engine and the pack as it starts it: each rule speaks, and no other.

One by one they are in tests/graph/test_violations.py; a preview takes many at once, none of which meets another.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import addons, preview
from sandbox.workspace import ROOT
from tests.support.engine import Stack
from tests.violations import VIOLATIONS
from tests.violations.program import CHOSEN, MAIN


def together(stack: str) -> list[list[int]]:
    """Faults in as few groups as possible, by number: in a group no two have a rule or an object in common."""
    groups: list[list[int]] = []
    for number, each in enumerate(VIOLATIONS):
        if stack not in each.stacks:
            continue
        for group in groups:
            others = [VIOLATIONS[other] for other in group]
            rules = {rule for other in others for rule in (other.rule, *other.also)}
            if not rules & {each.rule, *each.also} and each.of not in {other.of for other in others}:
                group.append(number)
                break
        else:
            groups.append([number])
    return groups


CASES = [
    pytest.param(stack, group, id=f"{stack}-{index}")
    for stack in ("dev", "prod")
    for index, group in enumerate(together(stack))
]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("violated")
    shutil.copy(ROOT / "Pulumi.yaml", folder)
    (folder / "__main__.py").write_text(MAIN)
    return folder


@pytest.fixture(scope="module")
def stacks(new_stack: Callable[[str, str], Stack]) -> dict[str, Stack]:
    # A namespace that nobody makes, under the name that the faults know: they are in previews only.
    made = {name: new_stack(name, "data-platform") for name in ("dev", "prod")}
    addons.install(made["prod"].workspace.cluster, addons.TOOLS)
    return made


@pytest.mark.parametrize(("stack", "group"), CASES)
def test_each_rule_speaks_and_no_other(stack: str, group: list[int], stacks: dict[str, Stack], program: Path) -> None:
    env = {**preview.STREAMING, CHOSEN: json.dumps(group)}
    done = stacks[stack].pulumi("preview", "--json", *stacks[stack].policies, program=program, env=env)
    assert done.code != 0, done.text
    found = preview.read(done.text.splitlines())
    assert found.errors == ()
    chosen = [VIOLATIONS[number] for number in group]
    expected = {rule for each in chosen for rule in (each.rule, *each.also)}
    decided = [each for each in found.violations if not each.undecided]
    assert {each.policy for each in decided} == expected, [each.message for each in decided]
    assert {each.policy for each in decided if each.level == "mandatory"} >= {each.rule for each in chosen}


def test_every_fault_is_in_one_group() -> None:
    for stack in ("dev", "prod"):
        numbers = sorted(number for group in together(stack) for number in group)
        assert numbers == [number for number, each in enumerate(VIOLATIONS) if stack in each.stacks]
