"""Faults that are put into the real program one by one, by family of the rule that has to catch them."""

from tests.violations import mesh, quota

VIOLATIONS = (*quota.VIOLATIONS, *mesh.VIOLATIONS)
