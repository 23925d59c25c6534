"""Which resources are GPUs, by the names that NVIDIA's device plugin and DRA driver give them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from policies import quantity

if TYPE_CHECKING:
    from fractions import Fraction

    from policies.view import Node

PREFIX: Final = "nvidia.com/"
"""`nvidia.com/gpu`, `nvidia.com/gpu.shared` (time slices), `nvidia.com/mig-1g.5gb` (parts of a board)."""
DEVICE_CLASSES: Final = ("gpu.nvidia.com", "mig.nvidia.com", "vfio.gpu.nvidia.com")
"""Classes of devices of NVIDIA's driver for dynamic resource allocation (k8s-dra-driver-gpu)."""


def asked(container: Node) -> dict[str, Fraction]:
    """How many of each GPU resource a container asks for, by request or limit."""
    found: dict[str, Fraction] = {}
    for part in ("requests", "limits"):
        for name, node in container.get("resources", part).mapping().items():
            if name.startswith(PREFIX) and (amount := quantity.read(node)):
                found[name] = amount
    return found
