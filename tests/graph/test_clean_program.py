"""The program of each stack breaks no rule of the pack, under the configuration that the stack has."""

from datetime import date

import pytest

from policies import configuration
from policies.judge import Diagnostic, Judge
from policies.pack import RULES
from policies.view import Stack
from policies.wire_view import order, resources
from tests.graph.test_program import settings_of
from tests.policies.support import POLICIES, WANTED
from tests.support.recorder import Recording, record, sent

STACKS = ("dev", "prod")


@pytest.fixture(scope="module", params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def program(stack: str) -> Stack:
    return seen(record(settings_of(stack), stack=stack))


def seen(recording: Recording) -> Stack:
    """What a run registered as the pack sees it: over the wire."""
    requests = sent(recording)
    found = tuple(resource for request in requests for resource in resources(request, WANTED))
    return Stack(found, order(requests))


def judged(program: Stack, stack: str) -> list[Diagnostic]:
    """What the pack finds at the end of an update."""
    choice = configuration.load(POLICIES / "config", stack, RULES)
    judge = Judge(RULES, choice, preview=False, today=date.today())
    return [*(found for each in program.resources for found in judge.resource(each)), *judge.stack(program)]


def test_no_rule_is_broken(program: Stack, stack: str) -> None:
    assert [found.message for found in judged(program, stack)] == []


def test_what_is_wrong_would_be_found(stack: str) -> None:
    settings = settings_of(stack)
    less = settings.tenancy.quota.model_copy(update={"pods": 1})
    small = settings.model_copy(update={"tenancy": settings.tenancy.model_copy(update={"quota": less})})
    found = judged(seen(record(small, stack=stack)), stack)
    assert {each.rule.name for each in found} == {"quota-covers-demand"}


def test_a_platform_that_nobody_watches_breaks_none_either() -> None:
    assert [found.message for found in judged(seen(record(settings_of("dev unwatched"), stack="dev")), "dev")] == []
