"""Rules applied to resources: what they find becomes diagnostics. Pure: no clock, no wire.

How a rule that could not read something is reported:

- malformed (another shape than Kubernetes gives the field): a violation, at the rule's level;
- undecided in a preview: a warning. A value that another resource produces is legitimately unknown then, and an
  error would refuse for ever what the update itself will know: the rule is judged again at `up`, with all values;
- undecided outside a preview: an error where the rule is mandatory and the stack strict, else a warning.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from policies.decode import strings
from policies.rule import Finding, Rule
from policies.view import Resource, Stack, Undecided, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

    from policies.configuration import Configuration, RuleException


class RuleError(Exception):
    """A rule failed. The message names rule, resource type and place, and never a value."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """What the engine is told; an empty `urn` means the stack."""

    rule: Rule
    message: str
    urn: str
    level: Literal["mandatory", "advisory"]
    exception: RuleException | None = None
    """The one that excuses it."""
    unreadable: bool = False
    """Whether it is no finding, but something that the rule could not read."""


@dataclass(frozen=True)
class Judge:
    """The rules of the pack under one stack's configuration; `today` decides which exceptions still hold."""

    rules: tuple[Rule, ...]
    configuration: Configuration
    preview: bool
    today: date

    def resource(self, resource: Resource) -> list[Diagnostic]:
        """Judge one resource by the rules that want its kind."""
        return _without_secrets(self._resource(resource, self.rules), [resource])

    def stack(self, stack: Stack) -> list[Diagnostic]:
        """Judge the whole stack, and the exceptions themselves."""
        found = list(self._stack(stack))
        return _without_secrets([*found, *self._stale_exceptions(stack, found)], stack.resources)

    def unreadable_kind(self, resource: Resource) -> list[Diagnostic]:
        """Something that looks like a Kubernetes object, but no rule can tell of which kind."""
        unreadable = Undecided("kind or apiVersion", "no plain value")
        found: list[Diagnostic] = []
        for rule in self.rules:
            if rule.scope == "resource":
                found += self._report(rule, unreadable, resource.identity, resource.urn)
        return found

    def _resource(self, resource: Resource, rules: Iterable[Rule]) -> Iterator[Diagnostic]:
        for rule in rules:
            if rule.scope != "resource" or not self._level(rule):
                continue
            try:
                if rule.wants(resource.group, resource.kind):
                    for result in rule.find(resource, self.configuration.of(rule)):
                        yield from self._report(rule, result, resource.identity, resource.urn)
            except Unreadable as unreadable:
                yield from self._report(rule, unreadable, resource.identity, resource.urn)
            except Exception as error:
                raise _crash(rule, resource.token, error) from None

    def _stack(self, stack: Stack) -> Iterator[Diagnostic]:
        for rule in self.rules:
            if rule.scope != "stack" or not self._level(rule):
                continue
            try:
                for result in rule.find(stack, self.configuration.of(rule)):
                    yield from self._report(rule, result, "", "")
            except Unreadable as unreadable:
                yield from self._report(rule, unreadable, "", "")
            except Exception as error:
                raise _crash(rule, "the stack", error) from None

    def _report(self, rule: Rule, result: Finding | Unreadable, identity: str, urn: str) -> Iterator[Diagnostic]:
        level = self._level(rule)
        if level is None:
            return
        if isinstance(result, Finding):
            exception = self._exception(rule, result)
            if exception:
                until = f"Excepted until {exception.expires} by {exception.owner}: {exception.reason}"
                yield Diagnostic(rule, f"{result.message} {until}", result.resource.urn, "advisory", exception)
            else:
                yield Diagnostic(rule, result.message, result.resource.urn, level)
            return
        where = f"{identity} {result.path}".strip()
        if isinstance(result, Undecided):
            again = "; it is judged again at `pulumi up`" if self.preview else ""
            level = level if self.configuration.strict and not self.preview else "advisory"
            message = f"undecided: {where}: {result.reason}{again}"
        else:
            message = f"malformed: {where}: {result.reason}"
        yield Diagnostic(rule, message, result.urn or urn, level, unreadable=True)

    def _level(self, rule: Rule) -> Literal["mandatory", "advisory"] | None:
        level = self.configuration.level(rule)
        return None if level == "disabled" else level

    def _exception(self, rule: Rule, finding: Finding) -> RuleException | None:
        for each in self.configuration.exceptions:
            same = (each.rule, each.resource) == (rule.name, finding.resource.identity)
            if same and each.path in ("", finding.path) and self.today <= each.expires:
                return each
        return None

    def _stale_exceptions(self, stack: Stack, found: list[Diagnostic]) -> Iterator[Diagnostic]:
        """Exceptions that are past their day, or that nothing in the stack needs any more."""
        by_name = {rule.name: rule for rule in self.rules}
        for exception in self.configuration.exceptions:
            rule = by_name.get(exception.rule)
            if rule is None:  # not one of those that judge here: its exceptions excuse nothing and are not stale
                continue
            place = f"{exception.resource} {exception.path}".strip()
            what = f"the exception for {place} (owner {exception.owner})"
            if exception.expires < self.today:
                message = f"{what} expired on {exception.expires}. Fix: repair the violation, or decide anew"
                yield Diagnostic(rule, message, "", "mandatory")
                continue
            excepted = [each for each in stack.resources if each.identity == exception.resource]
            again = [each for resource in excepted for each in self._resource(resource, [rule])]
            told = [each for each in [*again, *found] if each.rule is rule]
            # What could not be read may still need it.
            if not any(each.exception == exception or each.unreadable for each in told):
                yield Diagnostic(rule, f"{what} excuses nothing. Fix: remove it", "", "mandatory")


def _crash(rule: Rule, what: str, error: Exception) -> RuleError:
    """The place is told, the message of the error is not: it may quote a value."""
    place = error.__traceback__
    while place and place.tb_next:
        place = place.tb_next
    where = f"{Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}" if place else "?"
    return RuleError(f"rule {rule.name} failed on {what}: {type(error).__name__} at {where}")


def _without_secrets(found: Iterable[Diagnostic], resources: Iterable[Resource]) -> list[Diagnostic]:
    """A last net under `Node.shown`: no text that stands only inside secrets gets into a message."""
    diagnostics = list(found)
    if not diagnostics:
        return []
    bodies = [resource.body.raw for resource in resources]
    hidden = {text for body in bodies for text in strings(body, secret=True) if len(text) >= 4}
    if hidden:
        hidden -= {text for body in bodies for text in strings(body, secret=False)}
    longest_first = sorted(hidden, key=len, reverse=True)
    return [_redacted(each, longest_first) for each in diagnostics]


def _redacted(diagnostic: Diagnostic, hidden: list[str]) -> Diagnostic:
    message = diagnostic.message
    for text in hidden:
        message = message.replace(text, "[secret]")
    return replace(diagnostic, message=message)
