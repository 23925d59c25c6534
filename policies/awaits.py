"""How an update waits for an object: annotations that the Kubernetes provider reads.

Source: pulumi-kubernetes v4.34 provider/pkg/metadata/annotations.go (GetReadyCondition, IsAnnotationTrue).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from policies.view import Node, Resource

SKIP: Final = "pulumi.com/skipAwait"
WAIT_FOR: Final = "pulumi.com/waitFor"
TIMEOUT: Final = "pulumi.com/timeoutSeconds"
DELETION: Final = "pulumi.com/deletionPropagationPolicy"


def annotation(resource: Resource, key: str) -> Node:
    """An annotation of an object."""
    return resource.body.get("metadata", "annotations", key)


def is_skipped(resource: Resource) -> bool:
    """Whether an update does not wait for the object at all; only the exact word `true` says so."""
    return annotation(resource, SKIP).text() == "true"


def waited_for(resource: Resource) -> list[str]:
    """What an update waits for instead of the built-in: expressions such as `condition=Ready`; one or a JSON list."""
    said = annotation(resource, WAIT_FOR).text()
    try:
        listed = json.loads(said)
    except ValueError:
        listed = None
    several = isinstance(listed, list) and all(isinstance(each, str) for each in listed)
    return listed if several else [said] if said else []
