"""The quotas of a stack and the demand of its namespaces side by side: for the rule, and for those who report."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from policies.demand import WORKLOADS, Share, shares
from policies.quota import Quota, quotas_of
from policies.view import Stack, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies.surroundings import Survey


@dataclass(frozen=True)
class Line:
    """One bound of a quota, and what it counts.

    Attributes:
        quota: the bound.
        counted: the shares of the demand that it counts.
    """

    quota: Quota
    counted: list[Share]

    @property
    def total(self) -> Fraction:
        """The demand at maximum scale, without shares that have no largest number."""
        return sum((share.of(self.quota.key) for share in self.counted if not share.unbounded), Fraction(0))

    def allowed(self, headroom: float) -> Fraction:
        """What demand may come to where this share of the bound is kept free."""
        return self.quota.hard * (1 - Fraction(str(headroom)))


@dataclass(frozen=True)
class Ledger:
    """By namespace: its quotas, and what its workloads may come to ask for. `unread` is what could not be told."""

    quotas: dict[str, list[Quota]] = field(default_factory=lambda: defaultdict(list))
    demand: dict[str, list[Share]] = field(default_factory=lambda: defaultdict(list))
    unread: list[Unreadable] = field(default_factory=list)

    def lines(self) -> Iterator[Line]:
        """Every bound with what it counts."""
        for namespace, quotas in self.quotas.items():
            for quota in quotas:
                yield Line(quota, [share for share in self.demand[namespace] if quota.counts(share)])


def ledger(stack: Stack, survey: Survey) -> Ledger:
    """Take in a whole stack, and go on where one object cannot be read; workloads without a quota are left out."""
    book = Ledger()
    for resource in stack.resources:
        try:
            survey.add(resource)
            if resource.kind == "ResourceQuota":
                book.quotas[resource.namespace] += quotas_of(resource)
        except Unreadable as unreadable:
            book.unread.append(unreadable.at(resource))
    for resource in stack.resources:
        try:
            if (resource.group, resource.kind) in WORKLOADS and resource.namespace in book.quotas:
                book.demand[resource.namespace] += shares(resource, survey.around(resource.namespace))
        except Unreadable as unreadable:
            book.unread.append(unreadable.at(resource))
    return book
