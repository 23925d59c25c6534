"""Mesh security: who may talk to whom, enforced."""

from components.mesh.component import MeshEndpoints, MeshSecurity
from components.mesh.spec import MeshSpec

__all__ = ["MeshEndpoints", "MeshSecurity", "MeshSpec"]
