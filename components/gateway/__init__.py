"""Gateway: the way in from outside the cluster."""

from components.gateway.component import Gateway, GatewayEndpoints
from components.gateway.spec import GatewaySpec

__all__ = ["Gateway", "GatewayEndpoints", "GatewaySpec"]
