"""CUDA releases: which ones a GPU model runs, and which one is in an image."""

import re
from typing import Final

from pydantic import Field

from policies.rule import RuleSettings

RELEASE: Final = re.compile(r"\d{1,2}\.\d{1,2}", re.ASCII)
_IN_TAG: Final = re.compile(r"cuda[-_]?(\d{1,2}\.\d{1,2})|(?<![a-z0-9])cu(\d{2,3})(?![0-9])", re.ASCII)


class CudaRange(RuleSettings):
    """The CUDA releases that a GPU model runs, both ends included."""

    oldest: str = Field(pattern=r"^\d{1,2}\.\d{1,2}$")
    """The first release that knows the model."""
    newest: str = Field(default="99.9", pattern=r"^\d{1,2}\.\d{1,2}$")
    """The last one."""

    def __contains__(self, release: str) -> bool:
        return _number(self.oldest) <= _number(release) <= _number(self.newest)


# Oldest: the first release with the model's compute capability. Newest: CUDA 13.0 release notes (Maxwell, Pascal and
# Volta dropped); for the K80, driver branch R470 is the last (CUDA 11.4): nvidia container-images/cuda issue 182.
MODELS: Final = {
    "K80": CudaRange(oldest="6.5", newest="11.4"),
    "P100": CudaRange(oldest="8.0", newest="12.9"),
    "V100": CudaRange(oldest="9.0", newest="12.9"),
    "T4": CudaRange(oldest="10.0"),
    "A100": CudaRange(oldest="11.0"),
    "A10": CudaRange(oldest="11.1"),
    "A30": CudaRange(oldest="11.1"),
    "A40": CudaRange(oldest="11.1"),
    "L4": CudaRange(oldest="11.8"),
    "L40": CudaRange(oldest="11.8"),
    "L40S": CudaRange(oldest="11.8"),
    "H100": CudaRange(oldest="11.8"),
    "H200": CudaRange(oldest="11.8"),
}


def model_of(product: str, models: dict[str, CudaRange]) -> CudaRange | None:
    """The model that a value of the node label `nvidia.com/gpu.product` stands for: `Tesla-K80` for `K80`."""
    words = re.split(r"[-_ ]", product.upper())
    return next((model for name, model in models.items() if name.upper() in words), None)


def in_image(image: str, ray_gpu: str) -> str:
    """The CUDA release that an image's own name tells; empty where it does not.

    `ray_gpu` is the release in Ray's images whose tag ends with `-gpu` and says no more.
    """
    repository, _, tag = image.partition("@")[0].rpartition(":")
    if not repository or "/" in tag:
        return ""
    if repository.endswith("/cuda") and (release := RELEASE.match(tag)):
        return release.group()
    if found := _IN_TAG.search(tag):
        dotted, digits = found.groups()
        return dotted or f"{digits[:-1]}.{digits[-1]}"
    ray = "/ray" in f"/{repository}" and tag.endswith("-gpu")
    return ray_gpu if ray else ""


def _number(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split("."))
