"""From the engine's protobuf Struct to plain Python values, once per request.

The wire form marks what JSON cannot say: unknown values are well-known strings, secrets, assets, archives and
resource references are objects with a signature key.
Source: pulumi v3.259.0 sdk/go/common/resource/plugin/rpc.go and sdk/go/common/resource/sig/sig.go.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from google.protobuf.struct_pb2 import Struct
    from google.protobuf.struct_pb2 import Value as WireValue

SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a signature, not a secret
_RESOURCE_REFERENCE: Final = "5cf8f73096256a8f31e491e813e4eb8e"
_OUTPUT_VALUE: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_BYTE_STRING: Final = "803fd3297a5875dc03ca845dda5d2a98"
_ASSETS: Final = {"c44067f5952c0a294b673a41bacd8c17": "asset", "0def7320c3a5731c473e5ecbe6d01bc7": "archive"}
_UNKNOWNS: Final = frozenset(
    {
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # bool
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",  # string
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)


class Unknown:
    """A value that the engine does not know yet, as in a preview; the only instance is `UNKNOWN`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<unknown>"


UNKNOWN: Final = Unknown()


class Secret:
    """A value that the program marked as secret; neither `str` nor `repr` shows it."""

    __slots__ = ("_value",)

    def __init__(self, value: Plain) -> None:
        self._value = value

    def reveal(self) -> Plain:
        """The value itself, for judging and never for a message."""
        return self._value

    def __repr__(self) -> str:
        return "<secret>"


Leaf = str | int | float | bool | None
Plain = Leaf | Unknown | Secret | dict[str, "Plain"] | list["Plain"]


def decode(struct: Struct, only: Container[str] | None = None) -> dict[str, Plain]:
    """A Struct as plain values, or only some of its keys; numbers without a fraction become ints again.

    Keys are sorted: a protobuf map has another order in each process, and messages must not.
    """
    return {key: _value(wire) for key, wire in sorted(struct.fields.items()) if only is None or key in only}


def peek(struct: Struct, key: str) -> str | None:
    """One top-level string, without decoding the rest; None where it is absent or no plain string."""
    if key not in struct.fields:
        return None
    wire = struct.fields[key]
    if wire.WhichOneof("kind") == "struct_value":
        inner = _value(wire)
        text = inner.reveal() if isinstance(inner, Secret) else inner
        return text if isinstance(text, str) else None
    if wire.WhichOneof("kind") != "string_value" or wire.string_value in _UNKNOWNS:
        return None
    return wire.string_value


def revealed(value: Plain) -> Plain:
    """A value without its secrets' wrappers; what is unknown stays so."""
    if isinstance(value, Secret):
        return revealed(value.reveal())
    if isinstance(value, dict):
        return {key: revealed(child) for key, child in value.items()}
    return [revealed(child) for child in value] if isinstance(value, list) else value


def strings(value: Plain, *, secret: bool) -> Iterator[str]:
    """Every text under `value` that is inside a secret, or, with `secret=False`, every one that is not."""
    if isinstance(value, Secret):
        if secret:
            yield from _texts(value.reveal())
    elif isinstance(value, dict):
        for child in value.values():
            yield from strings(child, secret=secret)
    elif isinstance(value, list):
        for child in value:
            yield from strings(child, secret=secret)
    elif isinstance(value, str) and not secret:
        yield value


def _texts(value: Plain) -> Iterator[str]:
    if isinstance(value, Secret):
        yield from _texts(value.reveal())
    elif isinstance(value, dict):
        for child in value.values():
            yield from _texts(child)
    elif isinstance(value, list):
        for child in value:
            yield from _texts(child)
    elif isinstance(value, str):
        yield value


def _value(wire: WireValue) -> Plain:
    match wire.WhichOneof("kind"):
        case "string_value":
            return UNKNOWN if wire.string_value in _UNKNOWNS else wire.string_value
        case "number_value":
            number = wire.number_value
            return int(number) if number.is_integer() else number
        case "bool_value":
            return wire.bool_value
        case "list_value":
            return [_value(item) for item in wire.list_value.values]
        case "struct_value":
            return _object(decode(wire.struct_value))
        case _:
            return None


def _object(fields: dict[str, Plain]) -> Plain:
    signature = fields.get(SIGNATURE)
    if not isinstance(signature, str):
        return fields
    if signature == _SECRET:
        return Secret(fields.get("value"))
    if signature == _OUTPUT_VALUE:
        known = fields.get("value", UNKNOWN)
        return Secret(known) if fields.get("secret") is True else known
    if signature == _RESOURCE_REFERENCE:
        return fields.get("id") or fields.get("urn")
    if signature == _BYTE_STRING:
        return _bytes_as_text(fields.get("value"))
    # A rule that reads inside an asset finds the wrong shape, and says so.
    return f"<{_ASSETS[signature]}>" if signature in _ASSETS else fields


def _bytes_as_text(value: Plain) -> Plain:
    text = value if isinstance(value, str) else ""
    try:
        return base64.b64decode(text, validate=True).decode(errors="replace")
    except binascii.Error:
        return None
