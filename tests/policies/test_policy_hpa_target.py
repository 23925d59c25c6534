"""What a manifest cannot say about an autoscaled workload: the options that the program gave the engine."""

from dataclasses import replace

import pytest

from policies.rules.quota.hpa_target import RULE, Settings
from policies.view import Options, Stack
from tests.policies.support import SAMPLES, decoded, manifests


@pytest.mark.parametrize(
    ("ignored", "found"),
    [((), 1), (("spec.replicas",), 0), (("spec",), 0), (("spec.template", "metadata.labels"), 1)],
)
def test_a_field_that_updates_ignore_pins_nothing(ignored: tuple[str, ...], found: int) -> None:
    sample = decoded(manifests(SAMPLES / "hpa-target" / "refused" / "replicas_are_pinned.yaml"))
    stack = Stack(tuple(replace(each, options=Options(ignore_changes=ignored)) for each in sample))
    assert len(list(RULE.find(stack, Settings()))) == found
