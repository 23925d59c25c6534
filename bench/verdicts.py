"""What two packs find in the same files has to be the same, or a comparison of their times means nothing."""

from collections.abc import Collection, Iterator
from typing import NamedTuple


class Verdict(NamedTuple):
    """A rule is broken in a file, at a path of its object."""

    file: str
    rule: str
    path: str


def differences(ours: Collection[Verdict], theirs: Collection[Verdict]) -> Iterator[str]:
    """Each verdict that only one side has, as a line."""
    for who, found in (("the pack", set(ours) - set(theirs)), ("conftest", set(theirs) - set(ours))):
        for verdict in sorted(found):
            yield f"only {who}: {verdict.file} {verdict.rule} {verdict.path}"
