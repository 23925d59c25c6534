"""Who reaches whom: NetworkPolicy, PeerAuthentication, DestinationRule and AuthorizationPolicy, evaluated together.

It is written from the published semantics of Kubernetes and Istio alone and knows nothing of how this platform makes
its policies: what it says of rendered objects is a second opinion. Sidecars only; not ambient mode, gateways,
VirtualService, Sidecar, EnvoyFilter, or the policies of single network plugins.
"""

from policies.reach.flaws import flaws
from policies.reach.objects import Objects
from policies.reach.verdict import reach
from policies.reach.words import Address, Flaw, Http, Pod, Verdict

__all__ = ["Address", "Flaw", "Http", "Objects", "Pod", "Verdict", "flaws", "reach"]
