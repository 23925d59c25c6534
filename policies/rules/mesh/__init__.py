"""Mesh and network: who takes calls from whom, and whether they travel encrypted."""
