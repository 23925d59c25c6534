"""From a request of the engine to the resources that rules see; what no rule reads is never decoded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto.analyzer_pb2 import AnalyzeRequest

from policies.decode import Plain, Secret, decode, peek
from policies.rule import ANY
from policies.view import Node, Options, Resource, group_of, group_today, kind_of_token

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pulumi.runtime.proto.analyzer_pb2 import AnalyzerResource

_SECRET_FIELDS: Final = ("data", "stringData")
_KIND_FIELDS: Final = ("apiVersion", "kind")
_OUTLINE: Final = (*_KIND_FIELDS, "metadata")


def resources(request: AnalyzeRequest | AnalyzerResource, wanted: frozenset[tuple[str, str]]) -> Iterator[Resource]:
    """The object in a request, or the elements of a list of them, where any rule wants the kind.

    Of a kind that only `ANY` wants, the outline.
    """
    group, kind = _kind(request)
    if (group, kind) in wanted:
        yield _resource(request, decode(request.properties))
    elif kind.endswith("List") and "items" in request.properties.fields:
        if kind == "List" or _wants(wanted, group, kind.removesuffix("List")):
            yield from _elements(request, kind.removesuffix("List"), wanted)
    elif ANY in wanted and _is_kubernetes(request) and kind:
        yield _resource(request, decode(request.properties, only=_OUTLINE))


def asked(manifest: Mapping[str, Any], urn: str = "") -> AnalyzeRequest:
    """The request that the engine would send for an object that somebody has in hand."""
    body = Struct()
    # Kubernetes reads YAML as JSON: keys are texts.
    body.update(json.loads(json.dumps(manifest)))
    token = f"kubernetes:{manifest['apiVersion']}:{manifest['kind']}"
    return AnalyzeRequest(urn=f"{urn}::{token}", type=token, properties=body)


def order(requests: Iterable[AnalyzerResource]) -> Mapping[str, tuple[str, ...]]:
    """What each resource waits for, by URN: nothing is decoded for it."""
    return {each.urn: (*each.dependencies, each.parent, each.options.parent) for each in requests}


def kind_is_unreadable(request: AnalyzeRequest) -> bool:
    """Whether the resource has the fields of a Kubernetes object, but not as plain strings."""
    stated = [name for name in _KIND_FIELDS if name in request.properties.fields]
    return _is_kubernetes(request) and not all(peek(request.properties, name) for name in stated)


def whole(request: AnalyzeRequest) -> Resource:
    """The resource, whatever it is."""
    return _resource(request, decode(request.properties))


def _kind(request: AnalyzeRequest | AnalyzerResource) -> tuple[str, str]:
    """API group and kind; of the type token where the body does not state them, empty where it cannot be read."""
    group, kind = kind_of_token(request.type)
    fields = request.properties.fields
    if "apiVersion" in fields:
        group = group_of(peek(request.properties, "apiVersion") or "")
    if "kind" in fields:
        kind = peek(request.properties, "kind") or ""
    return group_today(group, kind.removesuffix("List")), kind


def _is_kubernetes(request: AnalyzeRequest | AnalyzerResource) -> bool:
    """Whether it is an object of Kubernetes: a custom resource may have any type token, a patch any body."""
    stated = all(name in request.properties.fields for name in _KIND_FIELDS)
    return stated or request.type.startswith("kubernetes:")


def _wants(wanted: frozenset[tuple[str, str]], group: str, kind: str) -> bool:
    return (group, kind) in wanted or ANY in wanted


def _elements(
    request: AnalyzeRequest | AnalyzerResource, kind: str, wanted: frozenset[tuple[str, str]]
) -> Iterator[Resource]:
    body = decode(request.properties)
    # An element of a typed list may leave out what the list already says.
    implied: dict[str, Plain] = {"apiVersion": body.get("apiVersion"), "kind": kind} if kind else {}
    items = body.get("items")
    items = items.reveal() if isinstance(items, Secret) else items
    for element in items if isinstance(items, list) else []:
        inner = element.reveal() if isinstance(element, Secret) else element
        if isinstance(inner, dict):
            found = implied | inner
            version, its_kind = found.get("apiVersion"), found.get("kind")
            if isinstance(version, str) and isinstance(its_kind, str):
                group = group_today(group_of(version), its_kind)
                if _wants(wanted, group, its_kind):
                    yield _resource(request, found)


def _resource(request: AnalyzeRequest | AnalyzerResource, body: dict[str, Plain]) -> Resource:
    if body.get("kind") == "Secret":
        hidden: dict[str, Plain] = {key: Secret(body[key]) for key in _SECRET_FIELDS if body.get(key) is not None}
        body = body | hidden
    options = request.options
    return Resource(
        urn=request.urn,
        token=request.type,
        body=Node(body),
        logical_name=request.name,
        parent=getattr(request, "parent", "") or options.parent,
        dependencies=tuple(getattr(request, "dependencies", ())),
        options=Options(
            options.protect,
            tuple(options.ignoreChanges),
            options.customTimeouts.create,
            options.customTimeouts.update,
            options.customTimeouts.delete,
        ),
    )
