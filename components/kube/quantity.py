"""Kubernetes quantities: `500m`, `4Gi`, `1e3`.

Source: k8s.io/apimachinery pkg/api/resource, "Quantity" (v0.34).
"""

import re
from decimal import Decimal

_SUFFIX = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    **{unit: Decimal(1000) ** power for power, unit in enumerate("kMGTPE", start=1)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", start=1)},
}
_QUANTITY = re.compile(
    r"(?P<number>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:(?P<exponent>[eE][+-]?[0-9]{1,3})|(?P<suffix>[a-zA-Z]{0,2}))"
)


def number(quantity: str) -> Decimal:
    """The amount that a quantity stands for: cores, bytes or a count.

    Raises:
        ValueError: it is not a quantity.
    """
    match = _QUANTITY.fullmatch(quantity)
    if not match or (match["suffix"] or "") not in _SUFFIX:
        raise ValueError("must be a quantity such as 500m, 2, 512Mi or 4Gi")
    return Decimal(match["number"] + (match["exponent"] or "")) * _SUFFIX[match["suffix"] or ""]


def normalise(value: object) -> str:
    """A quantity as a string: YAML gives `cpu: 2` as a number.

    Raises:
        ValueError: it is not a quantity, or it is negative.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("must be a quantity such as 500m, 2, 512Mi or 4Gi")
    text = str(value)
    number(text)
    return text
