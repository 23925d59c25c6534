"""Samples that are damaged at one place, whatever it is: the rule says so or does not mind, and never fails."""

import time
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

import pytest

from policies.decode import UNKNOWN, Secret
from policies.pack import RULES
from policies.rule import Rule
from tests.policies.support import SAMPLES, Manifest, judge, manifests

DAMAGE: tuple[Any, ...] = (
    UNKNOWN,
    None,
    "",
    "text",
    -1,
    2.5,
    True,
    [],
    {},
    [None],
    {"a": {}},
    [[]],
    Secret("hidden-text"),
)
PLACES = 4
"""Of each sample, drawn anew for each kind of damage."""


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to every value within another."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from places(child, (*path, key))


def damaged(sample: list[Manifest], path: tuple[Any, ...], value: Any) -> list[Manifest]:
    found: list[Any] = deepcopy(sample)
    *way, last = path
    inner: Any = found
    for key in way:
        inner = inner[key]
    inner[last] = value
    return [each for each in found if isinstance(each, dict)]


def samples(rule: Rule) -> list[Path]:
    return [
        path for verdict in ("allowed", "refused") for path in sorted((SAMPLES / rule.name / verdict).glob("*.yaml"))
    ]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_no_damage_makes_a_rule_fail_or_leak_or_take_long(rule: Rule) -> None:
    random = Random(rule.name)  # noqa: S311 - the same places each time
    for path in samples(rule):
        sample = manifests(path)
        everywhere = list(places(sample))
        for value in DAMAGE:
            for place in random.sample(everywhere, min(PLACES, len(everywhere))):
                began = time.perf_counter()
                found = judge(rule, damaged(sample, place, value))
                assert time.perf_counter() - began < 2, (path, place, value)
                assert not any("hidden-text" in each.message for each in found), (path, place)


def test_damage_is_told() -> None:
    """The twin of the case above: a mode that is not known is found out, and so is one of the wrong shape."""
    (rule,) = [each for each in RULES if each.name == "effective-strict"]
    sample = manifests(SAMPLES / rule.name / "allowed" / "namespace_strict_with_ray.yaml")
    assert judge(rule, sample) == []
    for value in DAMAGE:
        assert judge(rule, damaged(sample, (1, "spec", "mtls", "mode"), value)), value
