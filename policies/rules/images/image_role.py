"""An operator runs its own image by its own entry point, and a Ray pod an image of Ray in the release of its cluster.

Restricted fields: `image` and `command` of the operator's container in every workload that is called like an operator
of the settings; `rayVersion` of Ray's resources, and the first container's `image` in each of their pod templates, the
submitter's included.

Allowed values: the repositories that the settings give to the role, in any registry and under any prefix of a mirror,
with no `command` but the image's own. The tag of a Ray image starts with `rayVersion` (`2.60.0-py311`); where it says
no release, as with a digest alone, the annotation `ml-platform/ray-version` of the pod template says it.

Why: KubeRay's operator was once deployed from `rayproject/ray`, whose entry point is another ("executable not found";
`docs/requirements.md` R1). KubeRay decides by `rayVersion` what Ray can do, and head and workers of different releases
refuse each other.
"""

import re
from collections.abc import Iterator
from typing import Final

from policies import images, ray
from policies.pods import KINDS, PodTemplate, templates
from policies.rule import Finding, Results, Rule, RuleSettings, as_far_as_readable
from policies.view import Node, Resource

ANNOTATION: Final = "ml-platform/ray-version"
_NAMES: Final = ("app.kubernetes.io/name", "app.kubernetes.io/component", "app")


class Role(RuleSettings):
    """What an operator runs."""

    images: tuple[str, ...]
    """Repositories without registry."""
    entrypoint: tuple[str, ...] = ()
    """The image's own entry point, which `command` may repeat."""


_KUBERAY: Final = Role(images=("kuberay/operator",), entrypoint=("/manager",))
_OPERATORS: Final = {"kuberay-operator": _KUBERAY, "ray-operator": _KUBERAY}


class Settings(RuleSettings):
    """Which image plays which role; forks and renamed copies belong in here."""

    operators: dict[str, Role] = _OPERATORS
    """By what the workload, its pods or its container are called, as whole words: `xray-operator` is another."""
    ray: tuple[str, ...] = ("rayproject/ray", "rayproject/ray-ml", "rayproject/ray-llm", "ml-platform/ray-gpu")
    """Repositories of Ray without registry."""


def find(resource: Resource, settings: Settings) -> Results:
    """Judge operators by their name, and Ray's pods by their kind."""
    if resource.group == "ray.io":
        yield from _ray(resource, settings)
        return
    for template in templates(resource):
        for name, role in settings.operators.items():
            if candidates := _called(name, resource, template):
                yield from _operator(resource, name, role, candidates)


def _called(name: str, resource: Resource, template: PodTemplate) -> list[Node]:
    """The containers of which one has to be the operator."""
    containers = template.spec.get("containers").items()
    called = re.compile(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])")
    so_called = [node for node in containers if called.search(node.get("name").text())]
    names = (resource.name, *(template.label(key).text() for key in _NAMES))
    return so_called or (containers if any(map(called.search, names)) else [])


def _operator(resource: Resource, name: str, role: Role, candidates: list[Node]) -> Iterator[Finding]:
    own = [node for node in candidates if _is_one_of(node.get("image").text(), role.images)]
    if not own:
        image = candidates[0].get("image")
        yield Finding(
            resource,
            image.path,
            f"{name} runs {images.shown(image)}, which is not its own",
            f"an image of {' or '.join(role.images)}",
            "correct the image (ml-platform:images.kuberayOperator)",
        )
    for node in own:
        command = tuple(part.text() for part in node.get("command").items())
        if command not in ((), role.entrypoint):
            yield Finding(
                resource,
                node.get("command").path,
                f"{name} does not start by the entry point of its image",
                "no command",
                "remove command and keep args",
            )


def _ray(resource: Resource, settings: Settings) -> Results:
    for cluster in ray.clusters(resource):
        version = cluster.get("rayVersion")
        if ray.release(version.text()) is None:
            yield Finding(
                resource,
                version.path,
                "this is no release of Ray" if version.exists() else "it is not said which release of Ray this is",
                'a release such as "2.60.0"',
                "set rayVersion to the release in the image (ml-platform:ray.version)",
            )
            continue
        submitters = [job.get("submitterPodTemplate") for job in ray.jobs(resource)]
        pods = [group.get("template") for group in ray.groups(cluster)]
        templates = [*pods, *(node for node in submitters if node.exists())]
        yield from as_far_as_readable(_ray_pod(resource, template, version.text(), settings) for template in templates)


def _ray_pod(resource: Resource, template: Node, version: str, settings: Settings) -> Iterator[Finding]:
    """KubeRay takes the first container for Ray's: RayContainerIndex in controllers/ray/utils/constant.go."""
    for container in template.get("spec", "containers").items()[:1]:
        image, said = container.get("image"), template.get("metadata", "annotations", ANNOTATION)
        if not _is_one_of(image.text(), settings.ray):
            yield Finding(
                resource,
                image.path,
                f"a Ray pod runs {images.shown(image)}, which is none of Ray",
                f"an image of {', '.join(settings.ray)}",
                "correct the image (ml-platform:images), or name a build of your own in the rule's setting `ray`",
            )
            continue
        parsed = images.parse(image.text())
        tagged = ray.in_tag(parsed.tag) if parsed else ""
        if found := _disagreement(version, tagged, said.text()):
            yield Finding(
                resource,
                image.path,
                f"{images.shown(image)} {found}",
                f"one release in rayVersion, in the tag, and where the tag has none, in the annotation {ANNOTATION}",
                "bring ml-platform:ray.version and ml-platform:images together",
            )


def _disagreement(version: str, tagged: str, said: str) -> str:
    if not tagged and not said:
        return f"says no release, and rayVersion is {version}"
    if tagged and said and tagged != said:
        return f"says release {tagged}, and its annotation {said}"
    told = tagged or said
    return "" if told == version else f"says release {told}, and rayVersion is {version}"


def _is_one_of(reference: str, repositories: tuple[str, ...]) -> bool:
    image = images.parse(reference)
    return image is not None and any(image.is_of(repository) for repository in repositories)


RULE = Rule(name="image-role", scope="resource", kinds=KINDS, settings=Settings, find=find, doc=__doc__)
