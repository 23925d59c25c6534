"""PeerAuthentication: what the sidecar of the target takes.

Sources: Istio, "PeerAuthentication" (https://istio.io/latest/docs/reference/config/security/peer_authentication/),
"Security", section "Peer authentication", and ComposePeerAuthentication in pilot/pkg/security/authn. In short:

- the narrowest of workload, namespace and mesh wins, UNSET inherits from the next wider one, and the mesh without a
  word is PERMISSIVE;
- the mesh-wide policy is the one without a selector in the root namespace. One *with* a selector there is ignored,
  also for pods of the root namespace: a workload policy is one "in the regular namespace";
- of several in one scope the oldest wins, and by name where the ages are equal (sortConfigByCreationTime);
- `portLevelMtls` speaks of container ports, and only together with a selector.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from policies.reach.fields import PORTS, is_number
from policies.reach.selectors import Selector, read_workload_selector

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from policies.reach.fields import Field
    from policies.reach.words import Pod

MODES: Final = ("UNSET", "DISABLE", "PERMISSIVE", "STRICT")


@dataclass(frozen=True)
class PeerAuthentication:
    """A policy with its mode and those of single ports; UNSET where it says nothing."""

    namespace: str
    name: str
    pods: Selector
    mode: str
    ports: Mapping[int, str]

    def __str__(self) -> str:
        return f"PeerAuthentication {self.namespace}/{self.name}"

    def selects(self, pod: Pod) -> bool:
        """Whether it speaks of the pod as one of its workloads."""
        return pod.namespace == self.namespace and self.pods.matches(pod.labels)


def mode_of(policies: Sequence[PeerAuthentication], root: str, pod: Pod, port: int) -> tuple[str, str]:
    """The mode of a meshed pod's container port, and who says so. Older policies come first; `root` is the mesh's."""
    mode, because = "PERMISSIVE", "no PeerAuthentication says otherwise: PERMISSIVE"
    for policy in _from_wide_to_narrow(policies, root, pod):
        if policy.mode != "UNSET":
            mode, because = policy.mode, f"{policy} says {policy.mode}"
        if policy.ports.get(port, "UNSET") != "UNSET" and not policy.pods.empty:
            mode, because = policy.ports[port], f"{policy} says {policy.ports[port]} for port {port}"
    return mode, because


def _from_wide_to_narrow(policies: Sequence[PeerAuthentication], root: str, pod: Pod) -> list[PeerAuthentication]:
    everywhere = [each for each in policies if each.namespace == root and each.pods.empty]
    here = [each for each in policies if each.namespace != root and each.selects(pod)]
    namespaced = [each for each in here if each.pods.empty]
    selecting = [each for each in here if not each.pods.empty]
    return [*everywhere[:1], *namespaced[:1], *selecting[:1]]


def read_peer_authentication(namespace: str, name: str, spec: Field) -> PeerAuthentication:
    """A PeerAuthentication; the keys of `portLevelMtls` may be numbers or text, as YAML and JSON have them."""
    spec.only("selector", "mtls", "portLevelMtls")
    levels = spec.child("portLevelMtls")
    ports = {}
    for key in levels.mapping():
        number = int(key) if isinstance(key, str) and is_number(key) else key
        if isinstance(number, bool) or not isinstance(number, int) or number not in PORTS:
            levels.wrong(f"must have port numbers as keys, but has {key!r}")
            continue
        if number in ports:
            levels.wrong(f"has port {number} twice")
        ports[number] = _read_mode(levels.part(levels.mapping()[key], str(number)))
    pods = read_workload_selector(spec.child("selector"))
    return PeerAuthentication(namespace, name, pods, _read_mode(spec.child("mtls")), ports)


def _read_mode(field: Field) -> str:
    return field.only("mode").choice("mode", MODES, "UNSET")
