"""What a rule is made of: its settings, what it finds, and how it is entered in the pack."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from policies.view import Resource, Unreadable

T = TypeVar("T")

Level = Literal["mandatory", "advisory", "disabled"]

ANY: Final = ("*", "*")
"""Among the kinds of a rule: every Kubernetes object, of which it reads `apiVersion`, `kind` and `metadata` only."""


class RuleSettings(BaseModel):
    """What a stack's configuration may change about a rule; unknown keys are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, use_attribute_docstrings=True
    )


@dataclass(frozen=True, slots=True)
class Finding:
    """A violation, as people need it: which object, where in it, what was found, what is allowed, how to fix it."""

    resource: Resource
    path: str
    found: str
    allowed: str
    fix: str

    @property
    def message(self) -> str:
        """One sentence per part."""
        where = f"{self.resource.identity} {self.path}".strip()
        return f"{where}: {self.found}. Allowed: {self.allowed}. Fix: {self.fix}."


Results = Iterator[Finding | Unreadable]
"""What `find` yields. A stack rule yields, not raises, what it could not read, so that it goes on with the rest."""


def as_far_as_readable(checks: Iterable[Iterator[T | Unreadable]]) -> Iterator[T | Unreadable]:
    """What each check finds until it meets something that it cannot read, which is told; the next one goes on."""
    for check in checks:
        try:
            yield from check
        except Unreadable as unreadable:
            yield unreadable


@dataclass(frozen=True)
class Rule:
    """One rule. `kinds` are (API group, kind) pairs: of nothing else is a body decoded for it.

    What is no Kubernetes object has the pair of `policies.view.kind_of_token`; `ANY` stands for all that are.
    `find` is a pure function of a `Resource` (scope "resource") or a `Stack` (scope "stack") and its settings.
    """

    name: str
    scope: Literal["resource", "stack"]
    kinds: frozenset[tuple[str, str]]
    settings: type[RuleSettings]
    find: Callable[[Any, Any], Results]
    doc: str | None
    """The docstring of the rule's file."""
    asks_program: bool = False
    """Whether it reads what a program says to the engine, options and order: plain manifests say nothing of that."""

    def wants(self, group: str, kind: str) -> bool:
        """Whether the rule judges objects of a kind."""
        return (group, kind) in self.kinds or ANY in self.kinds

    @cached_property
    def defaults(self) -> RuleSettings:
        """The settings where a stack says nothing."""
        return self.settings()

    @property
    def description(self) -> str:
        """The first sentence of the docstring: what holds where the rule is kept."""
        return (self.doc or "").strip().split("\n\n")[0].replace("\n", " ")
