"""What a resource of KubeRay asks for is there in its release of Ray and in the operator's of KubeRay.

Restricted fields: `rayVersion`, and with it `authOptions`, `autoscalerOptions.version`; kinds and fields that a later
KubeRay brought (`RayCronJob`, `authOptions`, `submissionMode: SidecarMode`); and what KubeRay takes
only in certain company: `submissionMode`, `restartPolicy` of Ray's pods, `enableK8sTokenAuth`.

Allowed values: Ray 2.38.0 or newer, without which this operator's jobs hang; 2.52.0 for `mode: token`, 2.55.0 for
`enableK8sTokenAuth`, in a RayCluster only. `SidecarMode` without `clusterSelector`, `submitterPodTemplate` and
`submitterConfig`; `InteractiveMode` without `backoffLimit`. With autoscaler `v2` or `SidecarMode`, `restartPolicy` is
`Never` or absent. The operator is at least of the release that brought the field.

Why: the API server takes all of this, since the CRD knows the fields; the operator then refuses it in an event that
nobody reads, or an older one passes over a field that it does not know, and `authOptions` is such a field: the cluster
runs, open to everyone. Source: ray-operator v1.6.2 controllers/ray/utils/validation.go; docs.ray.io, "KubeRay upgrade
guide" (Ray 2.11.0 to 2.37.0) and "Configure Ray clusters to use Kubernetes RBAC authentication".
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import Field

from policies import ray
from policies.rule import Finding, Results, Rule, RuleSettings
from policies.view import Node, Resource


class Settings(RuleSettings):
    """The operator that this stack meets."""

    kuberay: str = Field(default="1.6.2", pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")
    """The release of KubeRay's operator (`ml-platform:ray.kuberayVersion`)."""
    oldest_ray: str = Field(default="2.38.0", pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")
    """The oldest Ray that this operator supports."""


@dataclass(frozen=True, slots=True)
class _Feature:
    """Something asked for, where, and the releases that have it."""

    name: str
    node: Node
    ray: str = ""
    kuberay: str = ""


def find(resource: Resource, settings: Settings) -> Results:
    """Judge the cluster and the job of the resource."""
    kind = _Feature(resource.kind, resource.body, kuberay="1.6.0" if resource.kind == "RayCronJob" else "")
    yield from _operator(resource, kind, settings)
    for job in ray.jobs(resource):
        yield from _job(resource, job, settings)
    for cluster in ray.clusters(resource):
        yield from _cluster(resource, cluster, settings)


def _cluster(resource: Resource, cluster: Node, settings: Settings) -> Iterator[Finding]:
    version = cluster.get("rayVersion")
    features = [_Feature(f"KubeRay {settings.kuberay}", version, ray=settings.oldest_ray), *_features_of(cluster)]
    for feature in features:
        yield from _operator(resource, feature, settings)
        yield from _ray(resource, feature, version)
    yield from _company(resource, cluster)


def _features_of(cluster: Node) -> Iterator[_Feature]:
    authentication, autoscaler = cluster.get("authOptions"), cluster.get("autoscalerOptions")
    if authentication.exists() and authentication.get("mode").text("token") == "token":
        yield _Feature("authentication by token", authentication, ray="2.52.0", kuberay="1.5.1")
    if authentication.get("enableK8sTokenAuth").flag():
        name = "authentication by the API server"
        yield _Feature(name, authentication.get("enableK8sTokenAuth"), ray="2.55.0", kuberay="1.6.0")
    if autoscaler.get("version").text() == "v2":
        yield _Feature("autoscaler v2", autoscaler.get("version"), ray="2.10.0", kuberay="1.4.0")


def _ray(resource: Resource, feature: _Feature, version: Node) -> Iterator[Finding]:
    """A feature against `rayVersion`; of an absent one the rule `image-role` speaks, unless KubeRay asks for it."""
    now = ray.release(version.text())
    needed = ray.release(feature.ray)
    if now is None and (version.exists() or feature.name == "authentication by token"):
        now = (0,)
    said = version.shown() if version.exists() else "absent"
    if needed and now is not None and now < needed:
        yield Finding(
            resource,
            feature.node.path,
            f"{feature.name} needs Ray {feature.ray}, and rayVersion is {said}",
            f"Ray {feature.ray} or newer",
            "raise ml-platform:ray.version, and the images with it, or do without",
        )


def _operator(resource: Resource, feature: _Feature, settings: Settings) -> Iterator[Finding]:
    now, needed = ray.release(settings.kuberay), ray.release(feature.kuberay)
    if now and needed and now < needed:
        yield Finding(
            resource,
            feature.node.path,
            f"{feature.name} needs KubeRay {feature.kuberay}, and the operator is {settings.kuberay}, which ignores it",
            f"KubeRay {feature.kuberay} or newer",
            "raise ml-platform:ray.kuberayVersion (and `kuberay` in the rule's settings), or do without",
        )


def _company(resource: Resource, cluster: Node) -> Iterator[Finding]:
    by_api_server = cluster.get("authOptions", "enableK8sTokenAuth")
    if by_api_server.flag() and resource.kind != "RayCluster":
        yield _refused(resource, by_api_server, "enableK8sTokenAuth", "a RayCluster of its own", "remove it")
    v2 = cluster.get("enableInTreeAutoscaling").flag() and cluster.get("autoscalerOptions", "version").text() == "v2"
    for group in ray.groups(cluster):
        restart = group.get("template", "spec", "restartPolicy")
        if v2 and restart.text("Never") != "Never":
            yield _refused(resource, restart, "autoscaler v2", "restartPolicy Never, or none", "remove restartPolicy")


def _job(resource: Resource, job: Node, settings: Settings) -> Iterator[Finding]:
    mode = job.get("submissionMode")
    if mode.text() == "InteractiveMode" and job.get("backoffLimit").integer(0):
        fix = "set backoffLimit to 0"
        yield _refused(resource, job.get("backoffLimit"), "InteractiveMode", "no retries", fix)
    if mode.text() != "SidecarMode":
        return
    yield from _operator(resource, _Feature("SidecarMode", mode, kuberay="1.5.0"), settings)
    for key in ("clusterSelector", "submitterPodTemplate", "submitterConfig"):
        if job.get(key).exists():
            yield _refused(resource, job.get(key), "SidecarMode", f"no {key}", f"remove {key}, or use K8sJobMode")
    restart = job.get("rayClusterSpec", "headGroupSpec", "template", "spec", "restartPolicy")
    if restart.text("Never") != "Never":
        yield _refused(resource, restart, "SidecarMode", "restartPolicy Never, or none", "remove restartPolicy")


def _refused(resource: Resource, node: Node, what: str, allowed: str, fix: str) -> Finding:
    return Finding(resource, node.path, f"KubeRay refuses this together with {what}", f"with {what}, {allowed}", fix)


RULE = Rule(name="ray-version-features", scope="resource", kinds=ray.KINDS, settings=Settings, find=find, doc=__doc__)
