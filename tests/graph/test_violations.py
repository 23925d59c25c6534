"""Faults in the real program, one by one: the intended rule catches each, and no other has anything to say."""

import pytest
from pulumi.runtime.proto.analyzer_pb2 import AnalyzerResource

from policies.pack import RULES
from policies.wire_view import resources
from tests.graph.test_clean_program import WANTED, judged
from tests.graph.test_program import settings_of
from tests.policies.support import struct
from tests.support.recorder import Recording, record
from tests.violations import VIOLATIONS
from tests.violations.violation import Violation

CASES = [pytest.param(stack, each, id=f"{stack}-{each.what}") for each in VIOLATIONS for stack in each.stacks]


@pytest.fixture(scope="module")
def recordings() -> dict[str, Recording]:
    return {stack: record(settings_of(stack), stack=stack) for stack in ("dev", "prod")}


@pytest.mark.parametrize(("stack", "violation"), CASES)
def test_a_fault_is_caught_by_its_rule(stack: str, violation: Violation, recordings: dict[str, Recording]) -> None:
    known = recordings[stack].kubernetes
    manifests = violation.done_to([each.inputs for each in known])
    requests = []
    for index, manifest in enumerate(manifests):
        of = known[index] if index < len(known) else None
        urn = of.urn if of else f"urn:pulumi:{stack}::ml-platform::kubernetes:{manifest['kind']}::added"
        dependencies = of.dependencies if of else []
        requests.append(AnalyzerResource(urn=urn, properties=struct(manifest), dependencies=dependencies))
    program = tuple(resource for request in requests for resource in resources(request, WANTED))
    # What is undecided is said by each rule that cannot read it: one that decides has to speak.
    found = [each for each in judged(program, stack) if not each.message.startswith("undecided")]
    assert {each.rule.name for each in found} == {violation.rule, *violation.also}, [each.message for each in found]
    assert "mandatory" in {each.level for each in found}


def test_every_rule_has_a_fault_that_it_catches() -> None:
    assert {rule.name for rule in RULES} == {each.rule for each in VIOLATIONS}
