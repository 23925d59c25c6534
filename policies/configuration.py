"""What a stack chose: the level and settings of each rule, and its exceptions, from `config/<stack>.json`.

The pack reads its own file: in `--policy-pack-config` the engine accepts a misspelt rule or key silently.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from policies.rule import Level, Rule, RuleSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path


class ConfigurationError(Exception):
    """The file is wrong; each line of the message names file, key and what is allowed."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RuleChoice(_Model):
    """How strictly one rule is held, and its settings, which the rule's own model validates."""

    level: Level = "mandatory"
    settings: dict[str, Any] = {}


class RuleException(_Model):
    """One tolerated violation: of which rule, on which object, why, who answers for it, until when."""

    rule: str
    resource: str = Field(min_length=1)
    """`Kind/namespace/name`, or `Kind/name` where the object has no namespace."""
    path: str = ""
    """The one place in it for which the exception holds, as the rule's message has it; all of it where empty."""
    reason: str = Field(min_length=10)
    owner: str = Field(min_length=1)
    expires: date
    """The last day on which the exception holds."""


class _File(_Model):
    strict: bool = True
    rules: dict[str, RuleChoice] = {}
    exceptions: tuple[RuleException, ...] = ()


@dataclass(frozen=True)
class Configuration:
    """A validated choice for every rule of the pack.

    `strict` makes an undecided mandatory rule an error; a preview only warns, as `policies.judge` says.
    """

    strict: bool = True
    levels: Mapping[str, Level] = field(default_factory=dict)
    settings: Mapping[str, RuleSettings] = field(default_factory=dict)
    exceptions: tuple[RuleException, ...] = ()

    def level(self, rule: Rule) -> Level:
        """How strictly the rule is held: mandatory where nothing is said."""
        return self.levels.get(rule.name, "mandatory")

    def of(self, rule: Rule) -> RuleSettings:
        """The rule's settings: its defaults where nothing is said."""
        return self.settings.get(rule.name) or rule.defaults


def load(folder: Path, stack: str, rules: Iterable[Rule]) -> Configuration:
    """The configuration of a stack; without a file, every rule is mandatory with its defaults, and strict.

    Raises ConfigurationError with every mistake in the file at once.
    """
    name = stack.rpartition("/")[2]
    path = folder / f"{name}.json"
    if not path.is_file():
        return Configuration()
    where = f"{folder.parent.name}/{folder.name}/{path.name}"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_without_duplicates)
    except ValueError as error:
        raise ConfigurationError(f"{where}: this is not JSON: {error}") from error
    try:
        file = _File.model_validate(raw)
    except ValidationError as error:
        raise ConfigurationError("\n".join(_explain(where, "", error, _File))) from None

    by_name, problems = {rule.name: rule for rule in rules}, []
    settings: dict[str, RuleSettings] = {}
    for rule_name, choice in file.rules.items():
        if rule_name not in by_name:
            problems.append(_unknown(where, f"rules.{rule_name}", rule_name, by_name))
            continue
        model = by_name[rule_name].settings
        try:
            settings[rule_name] = model.model_validate(choice.settings)
        except ValidationError as error:
            problems += _explain(where, f"rules.{rule_name}.settings", error, model)
    for index, exception in enumerate(file.exceptions):
        if exception.rule not in by_name:
            problems.append(_unknown(where, f"exceptions.{index}.rule", exception.rule, by_name))
    if problems:
        raise ConfigurationError("\n".join(problems))
    levels = {rule_name: choice.level for rule_name, choice in file.rules.items()}
    return Configuration(file.strict, levels, settings, file.exceptions)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice")
    return found


def _explain(where: str, prefix: str, error: ValidationError, model: type[BaseModel]) -> Iterable[str]:
    for problem in error.errors(include_url=False, include_input=False):
        key = ".".join(part for part in (prefix, *map(str, problem["loc"])) if part)
        if problem["type"] == "extra_forbidden":
            yield _unknown(where, key, str(problem["loc"][-1]), _allowed(problem["loc"], model))
        else:
            yield f"{where}: {key}: {problem['msg']}"


def _allowed(location: Iterable[int | str], model: type[BaseModel]) -> list[str]:
    """The keys that stand where the unknown one was found."""
    for part in list(location)[:-1]:
        for name, each in model.model_fields.items():
            if part in (name, each.alias):
                model = next(_models(each.annotation), model)
    return [each.alias or name for name, each in model.model_fields.items()]


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    """The models in an annotation: of `dict[str, RuleChoice]`, RuleChoice."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _unknown(where: str, key: str, name: str, allowed: Iterable[str]) -> str:
    names = sorted(allowed)
    near = get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{where}: {key}: unknown name {name!r}{hint} Allowed: {', '.join(names)}"
