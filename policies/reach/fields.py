"""Reads manifests strictly: every surprise is a problem in words, and none is read as "nothing is restricted".

Unknown fields are problems where a rule restricts something: the API server drops them, and the rule without its
misspelt `from` would admit everyone. So are nulls and the empty lists that mean "any". A value that is not known yet
is a problem of its own kind, and only where something depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from policies.decode import UNKNOWN

Network = IPv4Network | IPv6Network
PORTS: Final = range(1, 65536)
_KINDS: Final[tuple[tuple[type | tuple[type, ...], str], ...]] = (
    (bool, "true or false"),
    (int, "a number"),
    (float, "a fraction"),
    (str, "text"),
    ((list, tuple), "a list"),
    (Mapping, "an object"),
)


@dataclass(frozen=True)
class Problem:
    """What is wrong with a field of an object; `unknown` says that its value is not known yet."""

    owner: str
    path: str
    what: str
    unknown: bool

    def __str__(self) -> str:
        return f"{self.owner}: {self.path or 'it'} {self.what}"


@dataclass(frozen=True)
class Field:
    """A value, the object it stands in, its place there, and where problems are collected."""

    raw: object
    owner: str
    path: str
    problems: list[Problem]

    def wrong(self, what: str) -> None:
        """Note a problem of this field."""
        unknown = self.raw is UNKNOWN
        self.problems.append(Problem(self.owner, self.path, "is not known yet" if unknown else what, unknown))

    def mapping(self) -> Mapping[object, object]:
        """The value as an object; empty where it is none."""
        if isinstance(self.raw, Mapping):
            return self.raw
        self.wrong(f"must be an object, but is {_kind(self.raw)}")
        return {}

    def only(self, *known: str) -> Field:
        """Note every field that is not one of these."""
        for key in self.mapping():
            if key not in known:
                self.wrong(f"has no field {key!r}: the API server drops it. Fix: remove it, or correct its name")
        return self

    def has(self, key: str) -> bool:
        """Whether the field is written, with whatever value."""
        return key in self.mapping()

    def get(self, key: str) -> Field | None:
        """A child; None where it is not written, or null, which is a problem."""
        if not self.has(key):
            return None
        child = self.part(self.mapping()[key], key)
        if child.raw is None:
            child.wrong("is null. Fix: leave it out, or give it a value")
            return None
        return child

    def child(self, key: str) -> Field:
        """A child that is an object; an empty one where it is not written."""
        return self.get(key) or self.part({}, key)

    def part(self, raw: object, key: str) -> Field:
        """Something within this value, told of by its path."""
        return Field(raw, self.owner, f"{self.path}.{key}" if self.path else key, self.problems)

    def items(self, key: str) -> tuple[Field, ...]:
        """The elements of a list; none where it is not written."""
        found = self.get(key)
        if found is None:
            return ()
        if not isinstance(found.raw, list | tuple):
            found.wrong(f"must be a list, but is {_kind(found.raw)}")
            return ()
        return tuple(
            Field(raw, self.owner, f"{found.path}[{index}]", self.problems) for index, raw in enumerate(found.raw)
        )

    def some(self, key: str) -> tuple[Field, ...]:
        """The elements of a list that, if written, must not be empty: empty it restricts nothing."""
        found = self.items(key)
        if self.has(key) and not found:
            self.wrong(f"has an empty {key!r}, which restricts nothing. Fix: leave it out, or fill it")
        return found

    def text(self, default: str = "") -> str:
        """The value as text that is not empty."""
        if isinstance(self.raw, str) and self.raw:
            return self.raw
        self.wrong(f"must be text, but is {_kind(self.raw)}")
        return default

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts that, if written, must not be empty."""
        return tuple(item.text() for item in self.some(key))

    def optional(self, key: str, default: str = "") -> str:
        """A text; the default where it is not written."""
        found = self.get(key)
        return found.text(default) if found else default

    def choice(self, key: str, allowed: tuple[str, ...], default: str) -> str:
        """A text out of a few; the default where it is not written."""
        found = self.optional(key, default)
        if found not in allowed:
            self.child(key).wrong(f"must be one of {', '.join(allowed)}, but is {found!r}")
            return default
        return found

    def labels(self, key: str) -> dict[str, str]:
        """A map from text to text; empty where it is not written."""
        found = self.child(key)
        for name, value in found.mapping().items():
            if value is UNKNOWN:
                found.part(value, str(name)).wrong("is not known yet")
            elif not (isinstance(name, str) and name and isinstance(value, str)):
                found.wrong(f"must map text to text, but {name!r} maps to {_kind(value)}")
        return {str(name): str(value) for name, value in found.mapping().items()}

    def number(self, allowed: range = PORTS) -> int:
        """The value as a whole number within bounds; Pulumi's wire has floats only."""
        raw = int(self.raw) if isinstance(self.raw, float) and self.raw.is_integer() else self.raw
        if isinstance(raw, int) and not isinstance(raw, bool) and raw in allowed:
            return raw
        self.wrong(f"must be a whole number from {allowed[0]} to {allowed[-1]}, but is {_kind(self.raw)}")
        return allowed[0]

    def port(self) -> int | str:
        """The value as the number or the name of a port."""
        return self.raw if isinstance(self.raw, str) and self.raw else self.number()

    def block(self, *, bare: bool) -> Network:
        """The value as an IP block; `bare` says that an address without a prefix length is one too."""
        text = self.text("0.0.0.0/32")
        _, slash, length = text.partition("/")
        try:
            if (slash and not is_number(length)) or not (slash or bare):
                raise ValueError
            return ip_network(text, strict=False)
        except ValueError:
            self.wrong(f"must be an IP block such as 10.0.0.0/8, but is {text!r}")
            return ip_network("0.0.0.0/32")


def is_number(text: str) -> bool:
    """Whether it is a number as ports and prefix lengths are: up to five ASCII digits."""
    return text.isascii() and text.isdecimal() and len(text) <= 5


def _kind(raw: object) -> str:
    """What a value is, without telling it."""
    if raw is None or raw == "":
        return "null" if raw is None else "empty text"
    return next((name for kind, name in _KINDS if isinstance(raw, kind)), f"a {type(raw).__name__}")
