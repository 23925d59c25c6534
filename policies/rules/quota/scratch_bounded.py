"""Scratch space has a bound: every emptyDir, and the shared memory and disk of every Ray pod.

Restricted fields: `emptyDir.sizeLimit` and `emptyDir.medium` of every volume of every pod template, and the volume
mounts and memory limits of the containers that use them; of Ray's containers `/dev/shm`, `ephemeral-storage`, and
`object-store-memory` in `rayStartParams`.

Allowed values: a size for each emptyDir; those in memory together below the memory limit of each container that mounts
them, since what is in them is that container's memory. A Ray container mounts an emptyDir in memory of a stated size at
`/dev/shm`, unless its objects are elsewhere (`plasma-directory`), has an object store that fits into it, and states a
limit for `ephemeral-storage`.

Why: scratch space without a bound fills the node's disk, and the kubelet then evicts whoever is there. Shared memory
that KubeRay sizes is as large as the container's memory limit, so a full object store kills its own Ray node.
"""

from collections.abc import Iterator
from fractions import Fraction

from policies import quantity, rayclusters
from policies.pods import KINDS, PodTemplate, templates
from policies.rule import Finding, Results, Rule, RuleSettings
from policies.view import Node, Resource

_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - a path in a pod


class Settings(RuleSettings):
    """Nothing differs between stacks."""


def find(resource: Resource, settings: Settings) -> Results:
    """Judge the volumes of every pod template, and every group of Ray."""
    del settings
    for template in templates(resource):
        for volume in template.spec.get("volumes").items():
            scratch = volume.get("emptyDir")
            if scratch.exists() and not quantity.read(scratch.get("sizeLimit")):
                yield Finding(
                    resource,
                    scratch.child_path("sizeLimit"),
                    f"volume {volume.get('name').shown()} may grow until the node is full",
                    "a size of more than zero",
                    "set emptyDir.sizeLimit",
                )
        yield from _more_than_memory(resource, template)
    if (resource.group, resource.kind) in rayclusters.KINDS:
        for group in rayclusters.groups(resource):
            yield from _ray(resource, group)


def _more_than_memory(resource: Resource, template: PodTemplate) -> Iterator[Finding]:
    in_memory = _in_memory(template.spec)
    for container in template.spec.get("containers").items():
        mounted = {mount.get("name").text() for mount in container.get("volumeMounts").items()}
        size = sum((in_memory[name] for name in mounted if name in in_memory), Fraction(0))
        limit = quantity.read(container.get("resources", "limits", "memory"))
        if limit and size >= limit:
            found = f"its volumes in memory may take {_show(size)}, and its limit is {_show(limit)}"
            yield Finding(
                resource,
                container.child_path("volumeMounts"),
                f"container {container.get('name').shown()}: {found}",
                "volumes in memory that leave the container some",
                "lower emptyDir.sizeLimit, or raise resources.limits.memory",
            )


def _in_memory(spec: Node) -> dict[str, Fraction]:
    """Sizes of the emptyDirs that are in memory, by name."""
    return {
        volume.get("name").text(): quantity.read(volume.get("emptyDir", "sizeLimit")) or Fraction(0)
        for volume in spec.get("volumes").items()
        if volume.get("emptyDir", "medium").text() == "Memory"
    }


def _ray(resource: Resource, group: Node) -> Iterator[Finding]:
    """Ray's container is the first."""
    spec, params = group.get("template", "spec"), group.get("rayStartParams")
    containers = spec.get("containers").items()
    if not containers:
        return
    ray = containers[0]
    mounts = {mount.get("mountPath").text(): mount.get("name").text() for mount in ray.get("volumeMounts").items()}
    shared = _in_memory(spec).get(mounts.get(_SHARED_MEMORY, ""))
    if not params.get("plasma-directory").exists():
        store = quantity.read(params.get("object-store-memory"))
        if shared is None:
            found = f"KubeRay sizes {_SHARED_MEMORY} by the memory limit"
            yield Finding(
                resource,
                ray.child_path("volumeMounts"),
                found,
                f"an emptyDir with medium Memory and a sizeLimit at {_SHARED_MEMORY}",
                "add it (ml-platform:ray: sharedMemory)",
            )
        elif store and shared and store > shared:
            yield Finding(
                resource,
                params.child_path("object-store-memory"),
                f"the object store is {_show(store)}, and {_SHARED_MEMORY} holds {_show(shared)}",
                "an object store within its shared memory",
                "lower it, or raise the sizeLimit (ml-platform:ray: sharedMemory)",
            )
    if not quantity.read(ray.get("resources", "limits", "ephemeral-storage")):
        yield Finding(
            resource,
            ray.child_path("resources"),
            "Ray may spill objects and write logs until the node's disk is full",
            "a limit for ephemeral-storage",
            "set resources.limits.ephemeral-storage (ml-platform:ray: ephemeralStorage)",
        )


def _show(amount: Fraction) -> str:
    return quantity.show("memory", amount)


RULE = Rule(name="scratch-bounded", scope="resource", kinds=KINDS, settings=Settings, find=find, doc=__doc__)
