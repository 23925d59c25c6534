"""What holds for any input: quantities are exact, and no resource makes a rule fail."""

import time
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cache
from typing import Any

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from policies import quantity
from policies.decode import UNKNOWN, Secret
from policies.pack import RULES
from tests.policies.support import SAMPLES, Manifest, judge, manifests

SUFFIXES = {
    "": "1", "n": "1e-9", "u": "1e-6", "m": "1e-3", "k": "1e3", "M": "1e6", "G": "1e9", "T": "1e12",
    "P": "1e15", "E": "1e18", "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60,
    "e3": "1e3", "E-2": "1e-2", "e+6": "1e6",
}  # fmt: skip
DIGITS = st.from_regex(r"[0-9]{1,12}(\.[0-9]{1,9})?", fullmatch=True)
LEAVES = st.none() | st.booleans() | st.integers(-5, 2**40) | st.text(max_size=8) | st.just(UNKNOWN) | st.floats(
    allow_nan=False, allow_infinity=False
) | st.sampled_from(["1", "100m", "1Gi", "Always", "rayproject/ray:2-gpu", "Tesla-K80", "25%"])  # fmt: skip
# fmt: off
KEYS = st.sampled_from([
    "spec", "template", "metadata", "labels", "annotations", "containers", "initContainers", "resources",
    "requests", "limits", "cpu", "memory", "nvidia.com/gpu", "image", "name", "replicas", "strategy",
    "rollingUpdate", "maxSurge", "type", "hard", "scopes", "default", "items", "headGroupSpec",
    "workerGroupSpecs", "groupName", "maxReplicas", "numOfHosts", "suspend", "rayClusterConfig",
    "rayClusterSpec", "upgradeStrategy", "clusterUpgradeOptions", "maxSurgePercent", "jobTemplate",
    "parallelism", "volumeClaimTemplates", "volumes", "nodeSelector", "affinity", "overhead",
    "restartPolicy", "scaleTargetRef", "kind", "ephemeral", "namespace",
])
# fmt: on
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5) | inner.map(Secret),
    max_leaves=25,
)
KINDS = sorted({kind for rule in RULES for kind in rule.kinds})


@settings(database=None)
@given(DIGITS, st.sampled_from(sorted(SUFFIXES)))
def test_a_quantity_is_the_number_that_decimal_arithmetic_gives(digits: str, suffix: str) -> None:
    with localcontext() as context:
        context.prec = 60
        independent = Decimal(digits) * Decimal(str(SUFFIXES[suffix]))
    assert quantity.parse(digits + suffix) == Fraction(independent)


@settings(database=None)
@given(st.integers(0, 10**15) | st.floats(0, 1e9).map(lambda value: round(value, 3)))
def test_a_bare_number_is_itself(value: float) -> None:
    assert quantity.parse(value) == Fraction(str(value))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("100m", "1/10"), (0.5, "1/2"), (2.0, "2"), ("1e3", "1000"), ("1Gi", str(2**30)), ("1G", "1000000000"),
        ("128974848000m", "128974848"), (".5", "1/2"), ("1.", "1"), ("+1", "1"), ("1E", str(10**18)),
    ],
)  # fmt: skip
def test_the_forms_that_kubernetes_documents(text: str | float, expected: str) -> None:
    assert quantity.parse(text) == Fraction(expected)


@pytest.mark.parametrize(
    "text", ["", " 1", "1 Gi", "-1", "1gi", "1KI", "two", "1e999", "1mi", "0x1", "1_000", "٣", "9" * 50, "nan"]
)
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a quantity"):
        quantity.parse(text)


@given(st.fractions(0, 10**6))
def test_a_shown_amount_is_never_rounded_down(amount: Fraction) -> None:
    assert Fraction(quantity.show("limits.cpu", amount).removesuffix(" CPU")) >= amount


def resource(kind: tuple[str, str], body: Any) -> Manifest:
    version = f"{kind[0]}/v1" if kind[0] else "v1"
    fields = body if isinstance(body, dict) else {"spec": body}
    return {**fields, "apiVersion": version, "kind": kind[1]}


parsed = cache(manifests)
"""YAML is slow to read, and every example starts with a sample."""


def mutated(draw: st.DrawFn, value: Any) -> Any:
    """A copy of a sample in which some fields have another value."""
    if draw(st.integers(0, 24)) == 24:
        return draw(VALUES)
    if isinstance(value, dict):
        return {key: mutated(draw, child) for key, child in value.items()}
    return [mutated(draw, child) for child in value] if isinstance(value, list) else value


@st.composite
def stacks(draw: st.DrawFn, rule: Any) -> list[Manifest]:
    """A sample of the rule with mutations, and objects of random kinds and fields."""
    sample = draw(st.sampled_from(sorted((SAMPLES / rule.name).rglob("*.yaml"))))
    found = [
        one | {key: mutated(draw, child) for key, child in one.items() if key not in ("apiVersion", "kind", "pulumi")}
        for one in parsed(sample)
    ]
    drawn = draw(st.lists(st.tuples(st.sampled_from(KINDS), VALUES), max_size=2))
    return [*found, *(resource(kind, body) for kind, body in drawn)]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@settings(max_examples=100)
@given(st.data())
def test_no_resource_makes_a_rule_fail_or_take_long(rule: Any, data: st.DataObject) -> None:
    found = data.draw(stacks(rule))
    began = time.process_time()
    first = judge(rule, found)
    assert time.process_time() - began < 2
    assert [each.message for each in judge(rule, found)] == [each.message for each in first]


def test_a_mutation_changes_a_sample_and_most_of_it_stays() -> None:
    """The twin of the case above: what it judges still looks like what the rule reads."""
    (pod,) = manifests(SAMPLES / "gpu-runs-image-cuda" / "allowed" / "pod_k80_cuda_11_4.yaml")
    whole = st.composite(lambda draw: mutated(draw, pod))()
    find(whole, lambda found: found == pod)
    find(whole, lambda found: isinstance(found, dict) and found != pod and found.get("metadata") == pod["metadata"])
