"""What cannot be read may be what another object needs: that one is not called a violation."""

import pytest

from tests.policies.support import SAMPLES, judge, manifests, rule_named

CASES = {
    "no-orphan-pvc": "it_may_be_this_claim",
    "crd-first": "it_may_be_the_one_that_is_missing",
    "backup-present": "schedule_is_not_known",
}


@pytest.mark.parametrize(("name", "sample"), CASES.items())
def test_only_what_is_not_known_is_told(name: str, sample: str) -> None:
    objects = manifests(SAMPLES / name / "undecided" / f"{sample}.yaml")
    assert [each.message.partition(":")[0] for each in judge(rule_named(name), objects)] == ["undecided"]


@pytest.mark.parametrize(("name", "sample"), CASES.items())
def test_without_what_is_not_known_it_is_a_violation(name: str, sample: str) -> None:
    _, *rest = manifests(SAMPLES / name / "undecided" / f"{sample}.yaml")
    assert [each.level for each in judge(rule_named(name), rest)] == ["mandatory"]
