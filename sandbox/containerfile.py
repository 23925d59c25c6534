"""The part of a Containerfile's language that the images of this project are written in, read strictly.

Every builder understands it the same way; what only some understand, or what would need more than one stage, is an
error with its line.
"""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

WORDS = {
    "ARG": r"\w+=.*",
    "COPY": r"(--from=tools )?[^- ]\S* [/$]\S*",
    "ENTRYPOINT": r"\[.*\]",
    "ENV": r"\w+=.*",
    "FROM": r"\S+",
    "RUN": r"[^\[<-].*",
    "USER": r"\d+:\d+",
    "WORKDIR": r"[/$]\S*",
}
"""Each instruction and what may follow it."""


class ContainerfileError(Exception):
    """A Containerfile cannot be followed; the text names file, line and reason."""


@dataclass(frozen=True)
class Step:
    """One instruction, and the line where it begins."""

    place: str
    word: str
    text: str

    def wrong(self, why: str) -> ContainerfileError:
        """An error of this step, to be raised."""
        return ContainerfileError(f"{self.place}: {self.word} {self.text}: {why}")

    def expanded(self, known: Mapping[str, str]) -> str:
        """The text with every `$NAME` and `${NAME}` replaced; an unknown name is an error, not an empty text."""

        def value(found: re.Match[str]) -> str:
            name = found[1] or found[2]
            if name not in known:
                raise self.wrong(f"{name} is not set by an ARG or ENV above")
            return known[name]

        return re.sub(r"\$(?:\{(\w+)\}|(\w+))", value, self.text)

    def pairs(self, known: Mapping[str, str]) -> dict[str, str]:
        """The names and values of ARG and ENV."""
        try:
            return {name: value for name, _, value in (p.partition("=") for p in shlex.split(self.expanded(known)))}
        except ValueError as error:
            raise self.wrong(str(error)) from error


@dataclass(frozen=True)
class Containerfile:
    """What an image starts from, and the steps after that."""

    base: str
    steps: Sequence[Step]

    @property
    def tools(self) -> list[str]:
        """What it copies from the build context `tools`."""
        return [step.text.split()[1] for step in self.steps if step.text.startswith("--from=tools ")]


def read(path: Path) -> Containerfile:
    """Read a Containerfile; ContainerfileError where it uses more than `WORDS`."""
    before: dict[str, str] = {}
    base = ""
    steps: list[Step] = []
    for step in _steps(path):
        if not re.fullmatch(WORDS.get(step.word, "(?!)"), step.text):
            raise step.wrong(f"not among the instructions that are supported ({', '.join(WORDS)}) in their plain form")
        if step.word == "FROM" and not base:
            base = step.expanded(before)
        elif step.word == "FROM":
            raise step.wrong("there is only one stage")
        elif base:
            if step.word == "RUN" and any(earlier.word == "USER" and earlier.text != "0:0" for earlier in steps):
                raise step.wrong("must stand before USER: it is root's")
            if step.word == "ENTRYPOINT":
                _check_list(step)
            steps.append(step)
        elif step.word == "ARG":
            before |= step.pairs(before)
        else:
            raise step.wrong("only ARG may stand before FROM")
    if not base:
        raise ContainerfileError(f"{path}: there is no FROM")
    return Containerfile(base, steps)


def _steps(path: Path) -> list[Step]:
    """The instructions, each joined to one line; comments and empty lines do not count, as in any builder."""
    found: list[Step] = []
    joined = ""
    begin = 0
    for number, line in enumerate(path.read_text().splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        begin = begin if joined else number
        joined += text.removesuffix("\\")
        if not text.endswith("\\"):
            word, _, rest = joined.partition(" ")
            found.append(Step(f"{path}:{begin}", word, rest.strip()))
            joined = ""
    if joined:
        raise ContainerfileError(f"{path}:{begin}: the last line ends with a backslash")
    return found


def _check_list(step: Step) -> None:
    try:
        words = json.loads(step.text)
    except ValueError as error:
        raise step.wrong(f"is no list in JSON ({error})") from error
    if not all(isinstance(word, str) for word in words):
        raise step.wrong("is no list of texts")
