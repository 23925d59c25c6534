"""What a LimitRange lets into its namespace, one bound at a time, as the API server's LimitRanger judges it.

Source: kubernetes plugin/pkg/admission/limitranger/admission.go (PodValidateLimitFunc and
PersistentVolumeClaimValidateLimitFunc; minConstraint, maxConstraint, limitRequestRatioConstraint).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from policies import quantity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from fractions import Fraction

    from policies.podsize import Amounts
    from policies.view import Resource


@dataclass(frozen=True, slots=True)
class Bound:
    """One number of a LimitRange: of `cpu` in each `Container`, in all of a `Pod`, or `storage` of a claim."""

    resource: Resource
    path: str
    type: str
    rule: str
    """`min`, `max` or `maxLimitRequestRatio`."""
    name: str
    value: Fraction

    def broken_by(self, size: Amounts) -> str:
        """What is wrong with a size such as `requests.cpu`, `limits.cpu`; empty where nothing is."""
        request, limit = size.get(f"requests.{self.name}"), size.get(f"limits.{self.name}")
        if self.rule == "min":
            if request is None:
                return f"requests no {self.name}"
            return f"requests {self._show(request)} of {self.name}" if request < self.value else ""
        if self.rule == "max":
            used = request if self.type == "PersistentVolumeClaim" else limit
            if used is None:
                return f"has no limit for {self.name}"
            return f"may use {self._show(used)} of {self.name}" if used > self.value else ""
        if not request or not limit:
            return f"does not state both request and limit of {self.name}"
        times = f"may use {float(limit / request):g} times the {self.name} that it requests"
        return times if limit > request * self.value else ""

    @property
    def allowed(self) -> str:
        """The bound in words, with where it stands."""
        ratio = self.rule == "maxLimitRequestRatio"
        value = f"{float(self.value):g} times the request" if ratio else self._show(self.value)
        word = "at least" if self.rule == "min" else "at most"
        return f"{word} {value} ({self.resource.identity} {self.path})"

    def _show(self, amount: Fraction) -> str:
        return quantity.show(self.name, amount)


def bounds_of(resource: Resource) -> Iterator[Bound]:
    """The bounds of one LimitRange."""
    for item in resource.body.get("spec", "limits").items():
        for rule in ("min", "max", "maxLimitRequestRatio"):
            for name, node in item.get(rule).mapping().items():
                value = quantity.read(node)
                if value is not None:
                    yield Bound(resource, node.path, item.get("type").text(), rule, name, value)
