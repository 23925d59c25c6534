"""A container that asks for a GPU sits on a known GPU model, which can run the CUDA release of its image.

Restricted fields: `nvidia.com/*` in `resources`, `image`, and the annotation `ml-platform/cuda-version` of every pod
template, those of Ray groups included; `nvidia.com/gpu.product` in `nodeSelector` or required node affinity.

Allowed values: the node label pins one or more models of the table in the settings, and the image's CUDA release is
within the range of each. The release is read from the tag (`cu118`, `cuda11.4`, `nvidia/cuda:11.4.3-...`, Ray's
`-gpu`); the annotation says it where the tag does not, and `none` says that the image has no CUDA: such a container
uses its GPU only for accounting (Ray's `num-gpus`). A tag and an
annotation must not contradict each other, and an image of which neither tells is refused.

Why: an image whose CUDA is too new for the board's last driver does not start
(`nvidia-container-cli: requirement error`), after the gigabytes are pulled. No stock Ray GPU image runs on a K80.
"""

from collections.abc import Iterator
from typing import Final

from policies import gpus
from policies.cuda import MODELS, RELEASE, CudaRange, in_image, model_of
from policies.pods import KINDS, PodTemplate, templates
from policies.rule import Finding, Results, Rule, RuleSettings
from policies.view import Node, Resource

ANNOTATION: Final = "ml-platform/cuda-version"
PRODUCT: Final = "nvidia.com/gpu.product"


class Settings(RuleSettings):
    """The GPU models that there may be: `K80` is any product label with that word, as `Tesla-K80`."""

    models: dict[str, CudaRange] = MODELS
    """The CUDA releases that each model runs."""
    ray_gpu_cuda: str = "12.1"
    """CUDA in `rayproject/ray:<release>-gpu`: docker/README.md of ray ("-gpu" is "-cu121")."""


def find(resource: Resource, settings: Settings) -> Results:
    """Judge every container of every pod template that asks for a GPU."""
    for template in templates(resource):
        containers = [*template.containers(), *template.init_containers()]
        asking = [node for node in containers if gpus.asked(node)]
        if not asking:
            continue
        products = {product: model_of(product, settings.models) for product in _products(template.spec)}
        strangers = ", ".join(product for product, model in products.items() if model is None)
        if strangers or not products:
            yield Finding(
                resource,
                template.spec.path,
                f"a GPU of {f'the unknown model {strangers}' if strangers else 'any model'} is asked for",
                f"nodes whose {PRODUCT} is of a known model: {', '.join(settings.models)}",
                f"set {PRODUCT} in nodeSelector (ml-platform:ray.workerGroups[NAME].gpu.model)",
            )
        for node in asking:
            yield from _judge(resource, template, node, products, settings)


def _judge(
    resource: Resource,
    template: PodTemplate,
    container: Node,
    products: dict[str, CudaRange | None],
    settings: Settings,
) -> Iterator[Finding]:
    image, annotation = container.get("image"), template.annotation(ANNOTATION)
    tagged, said = in_image(image.text(), settings.ray_gpu_cuda), annotation.text()
    shown = f"image {image.shown()}"
    if said not in ("", "none") and not RELEASE.fullmatch(said):
        yield Finding(
            resource, annotation.path, "this is no CUDA release", 'a release such as "11.4", or "none"', "correct it"
        )
    elif tagged and said and tagged != said:
        yield Finding(
            resource,
            annotation.path,
            f"it says {annotation.shown()}, but the tag of {shown} says CUDA {tagged}",
            "an annotation that agrees with the tag",
            "correct or remove the annotation (ml-platform:images)",
        )
    elif not tagged and not said:
        yield Finding(
            resource,
            image.path,
            f"cannot tell which CUDA release {shown} has",
            "a release in the tag or in the annotation",
            f'annotate the pod template with {ANNOTATION}, "none" for an image without CUDA',
        )
    elif said != "none":
        yield from _out_of_range(resource, image, tagged or said, products)


def _out_of_range(
    resource: Resource, image: Node, release: str, products: dict[str, CudaRange | None]
) -> Iterator[Finding]:
    for product, model in products.items():
        if model and release not in model:
            yield Finding(
                resource,
                image.path,
                f"image {image.shown()} has CUDA {release}, which {product} cannot run",
                f"CUDA {model.oldest} to {model.newest}",
                f'use an image built for CUDA {model.newest} or older, or one without CUDA and {ANNOTATION} "none"',
            )


def _products(spec: Node) -> list[str]:
    """The GPU models that the pod's nodes may have; none where one way of scheduling it leaves that open."""
    pinned = spec.get("nodeSelector", PRODUCT).text()
    if pinned:
        return [pinned]
    required = spec.get("affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    found: list[str] = []
    for term in required.get("nodeSelectorTerms").items():
        products = [
            value.text()
            for expression in term.get("matchExpressions").items()
            if expression.get("key").text() == PRODUCT and expression.get("operator").text() == "In"
            for value in expression.get("values").items()
        ]
        if not products:
            return []
        found += products
    return found


RULE = Rule(name="gpu-runs-image-cuda", scope="resource", kinds=KINDS, settings=Settings, find=find, doc=__doc__)
