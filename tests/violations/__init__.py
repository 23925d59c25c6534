"""Faults that are put into the real program one by one, by family of the rule that has to catch them."""

from tests.violations import access, availability, images, mesh, operations, pods, quota, state

VIOLATIONS = (
    *quota.VIOLATIONS,
    *mesh.VIOLATIONS,
    *images.VIOLATIONS,
    *access.VIOLATIONS,
    *pods.VIOLATIONS,
    *state.VIOLATIONS,
    *availability.VIOLATIONS,
    *operations.VIOLATIONS,
)
