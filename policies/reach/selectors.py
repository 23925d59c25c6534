"""Which labels a selector wants.

Source: Kubernetes, "Labels and Selectors" and the field documentation of `LabelSelector`: all requirements must hold,
an empty selector matches everything, and `NotIn` also matches where the key is absent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from policies.reach.fields import Field

OPERATORS: Final = ("In", "NotIn", "Exists", "DoesNotExist")


@dataclass(frozen=True)
class Requirement:
    """One demand on one label."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels meet it."""
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
        return self.key not in labels


@dataclass(frozen=True)
class Selector:
    """A conjunction of requirements."""

    requirements: tuple[Requirement, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether it matches everything."""
        return not self.requirements

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels meet all requirements."""
        return all(each.holds(labels) for each in self.requirements)


def equalities(labels: Mapping[str, str]) -> Selector:
    """A selector that wants exactly these labels, whatever others there are."""
    return Selector(tuple(Requirement(key, "In", (value,)) for key, value in sorted(labels.items())))


def read_selector(field: Field) -> Selector:
    """A Kubernetes LabelSelector."""
    field.only("matchLabels", "matchExpressions")
    expressions = tuple(_read_requirement(item) for item in field.items("matchExpressions"))
    return Selector(equalities(field.labels("matchLabels")).requirements + expressions)


def read_workload_selector(field: Field) -> Selector:
    """Istio's WorkloadSelector, which has equalities only: it would drop `matchExpressions` and select everything."""
    return equalities(field.only("matchLabels").labels("matchLabels"))


def _read_requirement(field: Field) -> Requirement:
    field.only("key", "operator", "values")
    operator = field.choice("operator", OPERATORS, "")
    values = tuple(str(item.raw) for item in field.items("values") if _is_text(item))
    if operator in ("In", "NotIn") and not values:
        field.wrong(f"needs values for {operator}")
    if operator in ("Exists", "DoesNotExist") and values:
        field.wrong(f"must have no values for {operator}")
    key = field.optional("key")
    if not key:
        field.wrong("needs a key")
    return Requirement(key, operator, values)


def _is_text(field: Field) -> bool:
    if not isinstance(field.raw, str):
        field.wrong("must be text")
    return isinstance(field.raw, str)
