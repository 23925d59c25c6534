"""An autoscaler has something to scale, can measure it, and is the only one that says how many there are.

Restricted fields: `scaleTargetRef`, `metrics` and `targetCPUUtilizationPercentage` of HorizontalPodAutoscalers,
`scaleTargetRef` and `triggers` of KEDA's ScaledObjects, against the workload that they name: its `spec.replicas` and
the requests of its containers.

Allowed values: a Deployment, StatefulSet, ReplicaSet or ReplicationController of the stack, scaled by one autoscaler;
where utilization of a resource is the measure, a request for it in each container and mesh proxy, or in the one that
the metric names, defaults of LimitRanges included; no `spec.replicas`, or `ignore_changes` for it. What the API server
or the autoscaler wrote into an object that exists is not the program's.

Why: an autoscaler without its target, or without a request to divide by, says so in a condition that nobody reads and
scales nothing. One beside `spec.replicas` is undone by every update, in the middle of the load.
"""

from collections.abc import Iterator

from policies import pods
from policies.podsize import container_size
from policies.rule import Finding, Results, Rule
from policies.surroundings import MeshSettings, Surroundings, Target, sidecar
from policies.view import Resource, Stack, Undecided, Unreadable

_SCALABLE = ("Deployment", "StatefulSet", "ReplicaSet", "ReplicationController")
_KINDS = frozenset(kind for _, kind in pods.KINDS)
_AUTOSCALERS = frozenset({("autoscaling", "HorizontalPodAutoscaler"), ("keda.sh", "ScaledObject")})
Metric = tuple[str, str]
"""Resource and container; no container means all of them."""


class Settings(MeshSettings):
    """The mesh's proxy, whose requests are part of what is measured."""


def find(stack: Stack, settings: Settings) -> Results:
    """Judge each autoscaler with the workload that it names."""
    survey = settings.survey()
    workloads, scaled = dict[Target, Resource](), dict[Target, Resource]()
    for resource in stack.resources:
        try:
            if (resource.group, resource.kind) in pods.KINDS:
                workloads[resource.namespace, resource.kind, resource.name] = resource
            elif (resource.group, resource.kind) in {("", "Namespace"), ("", "LimitRange")}:
                survey.add(resource)
        except Unreadable as unreadable:
            yield unreadable.at(resource)
    for resource in stack.resources:
        if (resource.group, resource.kind) in _AUTOSCALERS:
            try:
                target = _target(resource)
                if target in scaled:
                    yield _rivals(resource, scaled[target])
                scaled[target] = resource
                yield from _judge(resource, target, workloads.get(target), survey.around(resource.namespace))
            except Unreadable as unreadable:
                yield unreadable.at(resource)


def _target(autoscaler: Resource) -> Target:
    reference = autoscaler.body.get("spec", "scaleTargetRef")
    # KEDA reads an absent kind as Deployment.
    return autoscaler.namespace, reference.get("kind").text("Deployment"), reference.get("name").text()


def _judge(autoscaler: Resource, target: Target, workload: Resource | None, around: Surroundings) -> Iterator[Finding]:
    _, kind, name = target
    reference = autoscaler.body.get("spec", "scaleTargetRef")
    if kind not in _SCALABLE:
        if kind not in _KINDS:
            raise Undecided(reference.path, f"whether a {kind} can be scaled is not known to the pack")
        found, fix = f"a {kind} has no number of replicas to scale", "scale it by its own autoscaler"
        yield Finding(autoscaler, reference.path, found, ", ".join(_SCALABLE), fix)
    elif workload is None:
        found = f"there is no {kind} {name} in the namespace"
        yield Finding(autoscaler, reference.path, found, "a workload of the stack", "correct the reference")
    else:
        if _pinned(workload):
            yield Finding(
                workload,
                "spec.replicas",
                f"every update sets it to {workload.body.get('spec', 'replicas').shown()} again, "
                f"whatever {autoscaler.identity} has decided",
                "no spec.replicas beside an autoscaler",
                'remove it, or add "spec.replicas" to ignore_changes',
            )
        for template in pods.templates(workload):
            yield from _unmeasured(autoscaler, workload, template, around)


def _rivals(one: Resource, other: Resource) -> Finding:
    path = one.body.get("spec", "scaleTargetRef").path
    return Finding(one, path, f"{other.identity} scales the same workload", "one autoscaler", "remove one of them")


def _pinned(workload: Resource) -> bool:
    """Whether the program says how many replicas there are.

    An object that exists has the field in any case; there, `managedFields` says who owns it.
    """
    ignored = {"spec", "spec.replicas"} & set(workload.options.ignore_changes)
    if ignored or not workload.body.get("spec", "replicas").exists():
        return False
    managers = workload.body.get("metadata", "managedFields").items()
    return not managers or any(
        each.get("manager").text().startswith("pulumi")
        and each.get("operation").text() == "Apply"
        and each.get("fieldsV1", "f:spec", "f:replicas").exists()
        for each in managers
    )


def _unmeasured(
    autoscaler: Resource, workload: Resource, template: pods.PodTemplate, around: Surroundings
) -> Iterator[Finding]:
    proxy = sidecar(template, around)
    beside = [node for node in template.init_containers() if node.get("restartPolicy").text() == "Always"]
    containers = {
        node.get("name").text(): container_size(node, around.defaults)
        for node in [*template.containers(), *beside, *([proxy] if proxy else [])]
    }
    of_the_pod = container_size(template.spec, around.defaults) if template.spec.get("resources").exists() else {}
    for resource, one in _metrics(autoscaler):
        key = f"requests.{resource}"
        lacking = [name for name, size in containers.items() if one in ("", name) and key not in size]
        if one and one not in containers:
            lacking = [one]
        if lacking and (one or key not in of_the_pod):
            yield Finding(
                workload,
                template.spec.path,
                f"{autoscaler.identity} measures its {resource}, and {', '.join(lacking)} requests none",
                f"a request for {resource} in every container that is measured",
                f"set resources.requests.{resource}",
            )


def _metrics(autoscaler: Resource) -> Iterator[Metric]:
    """What is measured against requests; an HorizontalPodAutoscaler without metrics measures the CPU."""
    spec = autoscaler.body.get("spec")
    if autoscaler.kind == "ScaledObject":
        for trigger in spec.get("triggers").items():
            kind = trigger.get("type").text()
            utilization = trigger.get("metricType").text("Utilization") == "Utilization"
            if kind in ("cpu", "memory") and utilization:
                yield kind, trigger.get("metadata", "containerName").text()
        return
    metrics = spec.get("metrics").items()
    if not metrics:
        yield "cpu", ""
    for metric in metrics:
        resource, container = metric.get("resource"), metric.get("containerResource")
        if resource.get("target", "type").text() == "Utilization":
            yield resource.get("name").text(), ""
        if container.get("target", "type").text() == "Utilization":
            yield container.get("name").text(), container.get("container").text()


RULE = Rule(
    name="hpa-target",
    scope="stack",
    kinds=pods.KINDS | _AUTOSCALERS | {("", "Namespace"), ("", "LimitRange")},
    settings=Settings,
    find=find,
    doc=__doc__,
)
