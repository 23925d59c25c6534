"""Kubernetes quantities as exact numbers.

Source of the grammar: k8s.io/apimachinery pkg/api/resource/quantity.go. Negative quantities are refused, since no
field that a policy reads allows them.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from policies.view import Malformed

if TYPE_CHECKING:
    from policies.view import Node

_EXPECTED: Final = 'expected a quantity such as "100m", 0.5, "1e3" or "1Gi"'
_FORM: Final = re.compile(
    r"\+?(\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:([eE][+-]?\d{1,2})|([numkMGTPE]|[KMGTPE]i)?)", re.ASCII
)
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: Final = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def parse(raw: str | int | float) -> Fraction:
    """The number that a quantity stands for: CPUs, bytes or a count. Raises ValueError where it is none."""
    if isinstance(raw, float):
        raw = format(raw, ".12g")
    found = _FORM.fullmatch(str(raw))
    if not found:
        raise ValueError(_EXPECTED)
    digits, exponent, suffix = found.groups()
    number = Fraction(digits.rstrip(".") if digits.endswith(".") else digits)
    if exponent:
        return number * _scale(int(exponent[1:]))
    if suffix in _BINARY:
        return number * (1 << 10 * _BINARY[suffix])
    return number * _scale(_DECIMAL[suffix]) if suffix else number


def _scale(power: int) -> Fraction:
    """Ten to a power, exact for negative ones too."""
    return Fraction(f"1e{power}")


def read(node: Node) -> Fraction | None:
    """The quantity in a field; None where it is absent. Raises `Undecided` and `Malformed` as every read does."""
    raw = node.scalar()
    if raw is None:
        return None
    try:
        return parse(raw)
    except ValueError:
        raise Malformed(node.path, _EXPECTED) from None


def show(resource: str, amount: Fraction) -> str:
    """A quantity for people: CPUs, Gi for memory and storage, a plain number for the rest; never rounded down."""
    if resource.rpartition("/")[2].endswith(("memory", "storage")):
        return f"{_rounded_up(amount / 1024**3)}Gi"
    unit = " CPU" if resource.endswith("cpu") else ""
    return f"{_rounded_up(amount)}{unit}"


def _rounded_up(amount: Fraction) -> str:
    thousandths = -(-amount * 1000 // 1)
    return format(thousandths / 1000, ".3f").rstrip("0").rstrip(".")
