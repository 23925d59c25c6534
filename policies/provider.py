"""The Kubernetes provider of a stack: Pulumi's SDKs pass each of its settings as JSON in a string."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from policies.view import Malformed

if TYPE_CHECKING:
    from policies.view import Resource

KIND: Final = ("pulumi:providers", "kubernetes")
"""What `policies.view.kind_of_token` makes of its type."""


def flag(provider: Resource, key: str, *, default: bool) -> bool:
    """A setting that is on or off; `default` where it is not said."""
    node = provider.body.get(key)
    if not node.exists():
        return default
    if isinstance(node.raw, bool):
        return node.raw
    try:
        value = json.loads(node.text())
    except ValueError:
        value = None
    if not isinstance(value, bool):
        raise Malformed(node.path, 'expected "true" or "false"')
    return value
