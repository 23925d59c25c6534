"""What is legal, changes nothing for the better, and is hardly ever meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.reach import flaws_authorization, flaws_mtls, flaws_network
from policies.reach.words import Flaw, Pod

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from policies.reach.objects import Objects


def flaws(objects: Objects, pods: Iterable[Pod] = ()) -> Iterator[Flaw]:
    """Every flaw of the set, sorted. What needs to know the pods is only looked for where some are given."""
    given = tuple(pods)
    found = {
        *flaws_network.find(objects, given),
        *flaws_mtls.find(objects, given),
        *flaws_authorization.find(objects, given),
        *(select_nothing(objects, given) if given else ()),
    }
    yield from sorted(found)


def select_nothing(objects: Objects, pods: tuple[Pod, ...]) -> Iterator[Flaw]:
    """Selectors that match none of the pods; an empty one means all pods there will ever be."""
    for policy in objects.network_policies:
        if not policy.pods.empty and not any(policy.selects(pod) for pod in pods):
            yield _nothing(str(policy))
    for authentication in objects.peer_authentications:
        if not authentication.pods.empty and not any(authentication.selects(pod) for pod in pods):
            yield _nothing(str(authentication))
    for authorization in objects.authorization_policies:
        if not authorization.pods.empty and not any(
            authorization.applies_to(pod, objects.root_namespace) for pod in pods
        ):
            yield _nothing(str(authorization))


def _nothing(policy: str) -> Flaw:
    what = "its selector matches no pod, so it does nothing. Fix: correct the labels, or remove it"
    return Flaw("selects-no-pod", policy, what)
