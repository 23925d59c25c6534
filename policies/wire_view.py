"""From a request of the engine to the resources that rules see; what no rule reads is never decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from policies.decode import Plain, Secret, decode, peek
from policies.view import Node, Options, Resource, group_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pulumi.runtime.proto.analyzer_pb2 import AnalyzeRequest, AnalyzerResource

_SECRET_FIELDS: Final = ("data", "stringData")


def resources(request: AnalyzeRequest | AnalyzerResource, wanted: frozenset[tuple[str, str]]) -> Iterator[Resource]:
    """The object in a request, or the elements of a list of them, where any rule wants the kind."""
    group = group_of(peek(request.properties, "apiVersion") or "")
    kind = peek(request.properties, "kind") or ""
    if (group, kind) in wanted:
        yield _resource(request, decode(request.properties))
    elif kind == "List" or (kind.endswith("List") and (group, kind.removesuffix("List")) in wanted):
        yield from _elements(request, kind.removesuffix("List"), wanted)


def kind_is_unreadable(request: AnalyzeRequest) -> bool:
    """Whether the resource has the fields of a Kubernetes object, but not as plain strings."""
    fields = ("apiVersion", "kind")
    return all(name in request.properties.fields for name in fields) and not all(
        peek(request.properties, name) for name in fields
    )


def whole(request: AnalyzeRequest) -> Resource:
    """The resource, whatever it is."""
    return _resource(request, decode(request.properties))


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
            if isinstance(version, str) and (group_of(version), its_kind) in wanted:
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
        parent=options.parent,
        dependencies=tuple(getattr(request, "dependencies", ())),
        options=Options(options.protect, tuple(options.ignoreChanges), options.customTimeouts.create),
    )
