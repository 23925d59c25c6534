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
from tests.support.configuration import load_with, stack_config
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


def keeping(stores: str, logs: str) -> Recording:
    """Stack dev whose stores and logs stay when their StatefulSets go, or do not."""
    config = stack_config("dev")
    for store in config["ml-platform:stores"].values():
        store["embedded"]["volume"]["retention"] = stores
    config["ml-platform:observability"]["logs"]["loki"]["managed"]["volume"]["retention"] = logs
    return record(load_with(config)[0], stack="dev")


@pytest.mark.parametrize(
    ("stores", "logs", "kept"),
    [
        ("Delete", "Delete", set()),
        ("Retain", "Delete", {"postgres", "redis", "object-store"}),
        ("Delete", "Retain", {"loki"}),
    ],
)
def test_what_is_kept_is_protected_with_its_namespace_and_nothing_else_is(
    stores: str, logs: str, kept: set[str]
) -> None:
    recording = keeping(stores, logs)
    found = {each.inputs["metadata"]["name"] for each in recording.kubernetes if each.protect}
    assert found == (kept | {"data-platform"} if kept else set())
    # What is kept also needs a backup, which something outside of the stack may make: the pack's own setting.
    broken = {each.rule.name for each in judged(seen(recording), "dev")}
    assert broken == ({"backup-present"} if kept else set())
