"""Spec: the base of every decision model, and the small value types decisions are made of.

A spec holds plain values, never an Output; it is frozen and refuses unknown keys, so a misspelt key
in `Pulumi.<stack>.yaml` is an error with its path and never a silent default.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Literal, Protocol

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from components.kube.quantity import normalise, number


class Spec(BaseModel):
    """Base of every spec: frozen, unknown keys refused, spelt in camelCase as Kubernetes spells its fields."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        validate_default=True,
        use_attribute_docstrings=True,
    )


_DNS_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_IMAGE = re.compile(
    r"(?P<name>[a-z0-9]+(?:[._-][a-z0-9]+)*(?::[0-9]+(?=/))?(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*)"
    r"(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>sha256:[a-f0-9]{64}))?"
)
_HOST = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_CRON = r"^(@(yearly|monthly|weekly|daily|hourly)|[-0-9*,/]+( [-0-9*,/]+){2}( [-A-Za-z0-9*,/]+){2})$"
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")


def _dns_label(value: str) -> str:
    if not _DNS_LABEL.fullmatch(value) or len(value) > 63:
        raise ValueError("must be 1 to 63 lowercase letters, digits or '-', starting with a letter")
    return value


def _host(value: str) -> str:
    if not _HOST.fullmatch(value) or len(value) > 253:
        raise ValueError("must be a DNS name or an IPv4 address, without scheme and port")
    return value


def _image(value: str) -> str:
    match = _IMAGE.fullmatch(value)
    if not match or not (match["tag"] or match["digest"]):
        raise ValueError("must be an image reference with a tag or a digest, such as 'rayproject/ray:2.60.0'")
    if match["tag"] in {"latest", "nightly"}:
        raise ValueError("must name a version: the tags 'latest' and 'nightly' change under your feet")
    return value


def _label_key(value: str) -> str:
    if not _LABEL_KEY.fullmatch(value):
        raise ValueError("must be a label key such as 'nvidia.com/gpu.product'")
    return value


def _label_value(value: str) -> str:
    if not _LABEL_VALUE.fullmatch(value) or len(value) > 63:
        raise ValueError("must be a label value: up to 63 letters, digits, '-', '_' or '.'")
    return value


def _version(value: str) -> str:
    if not _VERSION.fullmatch(value):
        raise ValueError("must be a version such as '2.60.0', in quotes")
    return value


Quantity = Annotated[str, BeforeValidator(normalise)]
"""An amount in Kubernetes' notation, kept as written: `500m` (cores), `4Gi` (bytes), `16` (a count)."""

DnsLabel = Annotated[str, AfterValidator(_dns_label)]
"""A name of a Kubernetes object: RFC 1035 label, as Services and RayClusters need it."""

ImageRef = Annotated[str, AfterValidator(_image)]
"""A container image with a tag or a digest."""

LabelKey = Annotated[str, AfterValidator(_label_key)]
LabelValue = Annotated[str, AfterValidator(_label_value)]
Labels = dict[LabelKey, LabelValue]
"""Labels or a node selector."""

Version = Annotated[str, AfterValidator(_version)]
"""A release: MAJOR.MINOR.PATCH without a leading `v`."""

Count = Annotated[int, Field(strict=True, ge=0)]
"""A number of things; zero is allowed."""

PositiveCount = Annotated[int, Field(strict=True, ge=1)]

Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
"""A TCP port."""

Host = Annotated[str, AfterValidator(_host)]
"""A DNS name or an IPv4 address."""

Cron = Annotated[str, Field(pattern=_CRON)]
"""When a CronJob runs, in UTC: five fields, such as `0 3 * * 0` (Sundays at three)."""

Seconds = Annotated[int, Field(strict=True, ge=1)]
"""A duration in seconds."""


class _Named(Protocol):
    @property
    def name(self) -> str: ...


def unique(key: str, things: Iterable[_Named]) -> None:
    """See that things have names of their own.

    Raises:
        ValueError: two have the same; `key` is what the list of them is called.
    """
    names = [thing.name for thing in things]
    for name in sorted(set(names)):
        if names.count(name) > 1:
            raise ValueError(f"{key} has {names.count(name)} named '{name}': names must be unique")


class Compute(Spec):
    """Cores and memory of one container."""

    cpu: Quantity
    """Cores, such as `500m` or `2`."""
    memory: Quantity
    """Bytes, such as `512Mi` or `4Gi`."""

    @model_validator(mode="after")
    def _positive(self) -> "Compute":
        for key in ("cpu", "memory"):
            if number(getattr(self, key)) <= 0:
                raise ValueError(f"{key} must be more than 0")
        return self


class Resources(Spec):
    """What a container is promised (`requests`) and the most it may use (`limits`)."""

    requests: Compute
    """What the scheduler sets aside."""
    limits: Compute
    """The most the container may use."""

    @model_validator(mode="after")
    def _requests_within_limits(self) -> "Resources":
        for key in ("cpu", "memory"):
            request, limit = getattr(self.requests, key), getattr(self.limits, key)
            if number(request) > number(limit):
                raise ValueError(f"requests.{key} ({request}) must not be more than limits.{key} ({limit})")
        return self


class Volume(Spec):
    """A disk of the platform's own."""

    size: Quantity
    """How large it is."""
    storage_class: DnsLabel | None = None
    """StorageClass; the cluster's default when absent."""
    retention: Literal["Retain", "Delete"] = "Retain"
    """What becomes of the claim when its owner is removed: `Retain` keeps the data and protects both, `Delete` removes
    it."""

    @model_validator(mode="after")
    def _positive(self) -> "Volume":
        if number(self.size) <= 0:
            raise ValueError("size must be more than 0")
        return self


class Toleration(Spec):
    """A taint that a pod accepts (core/v1 Toleration)."""

    key: LabelKey
    """Key of the taint."""
    operator: Literal["Exists", "Equal"] = "Exists"
    """`Exists` accepts any value, `Equal` only `value`."""
    value: LabelValue = ""
    """Value of the taint, with `Equal`."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = "NoSchedule"
    """Effect of the taint."""


class Autoscaling(Spec):
    """A HorizontalPodAutoscaler: how many pods there are follows their use of CPU."""

    min_replicas: PositiveCount = 2
    """The fewest pods."""
    max_replicas: PositiveCount
    """The most pods; the quota is held against this."""
    target_cpu_percent: Annotated[int, Field(strict=True, ge=1, le=100)] = 80
    """Use of CPU, in per cent of what is requested, that it aims at."""

    @model_validator(mode="after")
    def _bounds(self) -> "Autoscaling":
        if self.min_replicas > self.max_replicas:
            raise ValueError(
                f"minReplicas ({self.min_replicas}) must not be more than maxReplicas ({self.max_replicas})"
            )
        return self


class Scale(Spec):
    """How many pods of one shape serve: a number, or what an autoscaler decides between two."""

    replicas: PositiveCount = 2
    """How many pods."""
    autoscaling: Autoscaling | None = None
    """Decides how many pods, instead."""

    @model_validator(mode="after")
    def _one_of_both(self) -> "Scale":
        if self.autoscaling and "replicas" in self.model_fields_set:
            raise ValueError("has both replicas and autoscaling: keep the one you mean")
        return self
