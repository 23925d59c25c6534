"""Quantities, held against the arithmetic of Kubernetes' own notation."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity

from components.kube.quantity import normalise, number

SUFFIXES = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]


@given(st.decimals(min_value=0, max_value=10**9, places=3), st.sampled_from(SUFFIXES))
def test_a_quantity_is_worth_what_the_kubernetes_client_says(amount: Decimal, suffix: str) -> None:
    text = f"{amount:f}{suffix}"
    assert number(text) == parse_quantity(text)


@pytest.mark.parametrize(("text", "value"), [("1e3", 1000), ("1E3", 1000), ("2.", 2), (".5", Decimal("0.5")), ("0", 0)])
def test_the_rarer_forms_are_read(text: str, value: Decimal) -> None:
    assert number(text) == value


@pytest.mark.parametrize("text", ["", "x", "1 Gi", "-1", "1GB", "1gi", "Gi", "1e", "1.2.3", "\uff11", "1\n"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a quantity"):
        number(text)


@given(st.one_of(st.booleans(), st.none(), st.lists(st.integers()), st.text(alphabet="abcxyz", min_size=1)))
def test_other_types_are_refused_and_never_guessed(value: object) -> None:
    with pytest.raises(ValueError, match="must be a quantity"):
        normalise(value)
