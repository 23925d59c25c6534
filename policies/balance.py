"""Demand held against one bound of a quota: what is asked for, by whom, and which key to change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import Field

from policies import quantity
from policies.rule import Finding, RuleSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from fractions import Fraction

    from policies.demand import Share
    from policies.ledger import Line

_CONFIG_KEYS: Final = {
    "requests.cpu": "requestsCpu",
    "requests.memory": "requestsMemory",
    "limits.cpu": "limitsCpu",
    "limits.memory": "limitsMemory",
    "requests.nvidia.com/gpu": "gpus",
    "pods": "pods",
    "persistentvolumeclaims": "persistentVolumeClaims",
    "requests.storage": "requestsStorage",
}


class BalanceSettings(RuleSettings):
    """How much is kept free, and how much is told."""

    headroom: float = Field(default=0.1, ge=0, lt=1)
    """The share of each hard value that demand must leave free."""
    contributors: int = Field(default=3, ge=1)
    """How many of the largest contributors a finding names."""


def too_small(line: Line, settings: BalanceSettings) -> Iterator[Finding]:
    """A finding where what the quota counts comes to more than it allows."""
    key, total, allowed = line.quota.key, line.total, line.allowed(settings.headroom)
    if total <= allowed:
        return

    def show(amount: Fraction) -> str:
        return quantity.show(key, amount)

    largest = sorted((each for each in line.counted if not each.unbounded), key=lambda share: -share.of(key))
    named = [share for share in largest if share.of(key)][: settings.contributors]
    parts = "; ".join(
        f"{share.who}: {share.copies} x {show(share.each[key])} = {show(share.of(key))}" for share in named
    )
    raised = f"ml-platform:tenancy.quota.{_CONFIG_KEYS[key]}" if key in _CONFIG_KEYS else line.quota.path
    yield Finding(
        line.quota.resource,
        line.quota.path,
        f"demand at maximum scale is {show(total)} ({parts}), hard is {show(line.quota.hard)}",
        f"at most {show(allowed)}, which keeps {settings.headroom:.0%} free",
        f"raise {raised} or lower {', '.join(dict.fromkeys(map(knob, named)))}",
    )


def knob(share: Share) -> str:
    """What to change for a share to become smaller."""
    if share.role.startswith("worker group "):
        return f"ml-platform:ray.workerGroups[{share.role.removeprefix('worker group ')}].maxReplicas"
    return f"the number or size of {'pods' if share.template else 'claims'} of {share.resource.identity}"
