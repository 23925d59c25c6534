"""What a stack chooses for itself and what it chooses for the policy pack do not contradict each other."""

import pytest

from policies import configuration
from policies.pack import RULES
from policies.rule import RuleSettings
from tests.graph.test_program import settings_of
from tests.policies.support import POLICIES, rule_named

STACKS = ("dev", "prod")


def chosen(stack: str, rule: str) -> RuleSettings:
    return configuration.load(POLICIES / "config", stack, RULES).of(rule_named(rule))


@pytest.mark.parametrize("stack", STACKS)
def test_digests_are_asked_for_where_the_stack_asks_for_them(stack: str) -> None:
    assert chosen(stack, "image-pinned").model_dump()["digests"] is settings_of(stack).images.require_digests


@pytest.mark.parametrize("stack", STACKS)
def test_the_operator_that_features_are_held_against_is_the_stacks(stack: str) -> None:
    assert chosen(stack, "ray-version-features").model_dump()["kuberay"] == settings_of(stack).ray.kuberay_version
