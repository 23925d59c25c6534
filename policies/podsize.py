"""What one pod counts against a ResourceQuota, sidecars and defaults included.

Amounts are keyed by the names that a quota uses: `requests.cpu` in CPUs, `limits.memory` in bytes,
`requests.nvidia.com/gpu` as a count. Sources: k8s.io/component-helpers resource/helpers.go (pod arithmetic),
kubernetes pkg/quota/v1/evaluator/core/pods.go (what must be specified), pkg/apis/core/v1/defaults.go.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from policies import quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from policies.pods import PodTemplate
    from policies.view import Node

Amounts = dict[str, Fraction]
ENFORCED: Final = ("requests.cpu", "requests.memory", "limits.cpu", "limits.memory")
"""Amounts that a quota, where it counts them, makes each container state."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a namespace's LimitRanges give to containers that do not say."""

    requests: Amounts = field(default_factory=dict)
    limits: Amounts = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PodSize:
    """What one pod counts, and per amount the containers that do not state it."""

    amounts: Amounts
    unstated: dict[str, tuple[str, ...]]


def pod_size(template: PodTemplate, defaults: Defaults, sidecar: Node | None) -> PodSize:
    """The size of one pod of the template; `sidecar` is the mesh's proxy where the pod gets one.

    The proxy is counted as a native sidecar: a restartable init container that starts first, the larger case.
    """
    apps = [container_size(node, defaults) for node in template.containers()]
    proxy = [(container_size(sidecar, defaults), True)] if sidecar else []
    init = proxy + [
        (container_size(node, defaults), node.get("restartPolicy").text() == "Always")
        for node in template.init_containers()
    ]
    total, restartable = _sum(apps), Amounts()
    peak = Amounts()
    for amounts, restarts in init:
        running = _sum([restartable, amounts])
        restartable = running if restarts else restartable
        peak = _larger(peak, running)
    total = _larger(_sum([total, restartable]), peak)

    pod_level = template.spec.get("resources")
    unstated = {} if pod_level.exists() else _unstated(template, defaults, sidecar)
    total |= _pod_level(pod_level, total)
    for name, extra in _quantities(template.spec.get("overhead")).items():
        total[f"requests.{name}"] = total.get(f"requests.{name}", Fraction(0)) + extra
        if f"limits.{name}" in total:
            total[f"limits.{name}"] += extra
    return PodSize(total, unstated)


def limit_range_defaults(spec: Node) -> Defaults:
    """The defaults in a LimitRange, completed as the API server does (SetDefaults_LimitRangeItem)."""
    requests, limits = Amounts(), Amounts()
    for item in spec.get("limits").items():
        if item.get("type").text() != "Container":
            continue
        default = _quantities(item.get("max")) | _quantities(item.get("default"))
        limits |= default
        requests |= _quantities(item.get("min")) | default | _quantities(item.get("defaultRequest"))
    return Defaults(requests, limits)


def container_size(node: Node, defaults: Defaults) -> Amounts:
    """What one container asks for and may use, after the defaults of its namespace."""
    resources = node.get("resources")
    limits = _quantities(resources.get("limits"))
    requests = limits | _quantities(resources.get("requests"))
    return _keyed("requests", defaults.requests | requests) | _keyed("limits", defaults.limits | limits)


def _unstated(template: PodTemplate, defaults: Defaults, sidecar: Node | None) -> dict[str, tuple[str, ...]]:
    containers = [*template.containers(), *template.init_containers(), *([sidecar] if sidecar else [])]
    sizes = [(node.get("name").shown(), container_size(node, defaults)) for node in containers]
    lacking = {key: tuple(name for name, size in sizes if key not in size) for key in ENFORCED}
    return {key: names for key, names in lacking.items() if names}


def _pod_level(resources: Node, containers: Amounts) -> Amounts:
    """The pod's own `resources` override the sum; a limit alone is also the request where no container has one."""
    requests, limits = _quantities(resources.get("requests")), _quantities(resources.get("limits"))
    implied = {name: amount for name, amount in limits.items() if f"requests.{name}" not in containers}
    return _keyed("requests", implied | requests) | _keyed("limits", limits)


def _quantities(node: Node) -> Amounts:
    read = {name: quantity.read(child) for name, child in node.mapping().items()}
    return {name: amount for name, amount in read.items() if amount is not None}


def _keyed(prefix: str, amounts: Mapping[str, Fraction]) -> Amounts:
    return {f"{prefix}.{name}": amount for name, amount in amounts.items()}


def _sum(parts: Iterable[Amounts]) -> Amounts:
    total = Amounts()
    for part in parts:
        for key, amount in part.items():
            total[key] = total.get(key, Fraction(0)) + amount
    return total


def _larger(left: Amounts, right: Amounts) -> Amounts:
    return {key: max(left.get(key, Fraction(0)), right.get(key, Fraction(0))) for key in left | right}
