"""Faults in the real program, one by one: the intended rule catches each, and no other has anything to say."""

from dataclasses import replace

import pytest

from policies.pack import RULES
from tests.graph.test_clean_program import judged, seen
from tests.graph.test_program import settings_of
from tests.support.recorder import Recording, record
from tests.violations import VIOLATIONS
from tests.violations.violation import Violation

CASES = [pytest.param(stack, each, id=f"{stack}-{each.what}") for each in VIOLATIONS for stack in each.stacks]


@pytest.fixture(scope="module")
def recordings() -> dict[str, Recording]:
    return {stack: record(settings_of(stack), stack=stack) for stack in ("dev", "prod")}


def with_fault(recording: Recording, violation: Violation) -> Recording:
    """The same run of the program with the fault in one of its objects, or with one more."""
    known = recording.kubernetes
    manifests = violation.done_to([each.inputs for each in known])
    faulty = {each.urn: replace(each, inputs=manifest) for each, manifest in zip(known, manifests, strict=False)}
    for added in manifests[len(known) :]:
        token = f"kubernetes:{added['apiVersion']}:{added['kind']}"
        urn = f"urn:pulumi:stack::project::{token}::added"
        faulty[urn] = replace(known[0], urn=urn, type=token, name="added", parent="", dependencies=[], inputs=added)
    return Recording({**recording.resources, **faulty})


@pytest.mark.parametrize(("stack", "violation"), CASES)
def test_a_fault_is_caught_by_its_rule(stack: str, violation: Violation, recordings: dict[str, Recording]) -> None:
    # What is undecided is said by each rule that cannot read it: one that decides has to speak.
    judgement = judged(seen(with_fault(recordings[stack], violation)), stack)
    found = [each for each in judgement if not each.message.startswith("undecided")]
    assert {each.rule.name for each in found} == {violation.rule, *violation.also}, [each.message for each in found]
    assert "mandatory" in {each.level for each in found}


def test_every_rule_has_a_fault_that_it_catches() -> None:
    assert {rule.name for rule in RULES} == {each.rule for each in VIOLATIONS}
