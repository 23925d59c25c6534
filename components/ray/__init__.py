"""Ray: the KubeRay operator and one RayCluster with CPU and GPU worker groups."""

from components.ray.component import RayCluster, RayEndpoints
from components.ray.manifests import live_scaling
from components.ray.spec import RayImages, RaySpec

__all__ = ["RayCluster", "RayEndpoints", "RayImages", "RaySpec", "live_scaling"]
