"""The labels that every object of the platform carries, and what annotations tell of content.

Source: Kubernetes, "Recommended Labels" (app.kubernetes.io/*).
"""

from hashlib import sha256

PART_OF = "ml-platform"


def labels(component: str, **extra: str) -> dict[str, str]:
    """Standard labels of an object of `component`; `extra` adds more `app.kubernetes.io/` labels."""
    return {
        "app.kubernetes.io/part-of": PART_OF,
        "app.kubernetes.io/managed-by": "pulumi",
        "app.kubernetes.io/component": component,
        **{f"app.kubernetes.io/{key}": value for key, value in extra.items()},
    }


def fingerprint(text: str) -> str:
    """Sixteen hex digits that change with a text and tell nothing of it."""
    return sha256(text.encode()).hexdigest()[:16]
