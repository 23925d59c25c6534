"""What a fault in the program is: which object it changes and how, or which it adds, and the rule that catches it."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

Manifest = dict[str, Any]
Change = Callable[[Manifest], None]


@dataclass(frozen=True)
class Violation:
    """One fault.

    Attributes:
        rule: the rule that has to catch it, and no other.
        what: in a few words.
        of: the object that it changes, `Kind/name`; empty where it adds one.
        change: does it to the object's manifest.
        added: the object that it adds, in the platform's namespace.
        stacks: of whose programs.
        also: rules that cannot but see it too.
    """

    rule: str
    what: str
    of: str = ""
    change: Change | None = None
    added: Manifest | None = None
    stacks: tuple[str, ...] = ("dev", "prod")
    also: tuple[str, ...] = ()

    def done_to(self, manifests: list[Manifest]) -> list[Manifest]:
        """The manifests of a program with this fault in them.

        Raises:
            LookupError: there is not one object of that kind and name.
        """
        if self.added:
            return [*manifests, deepcopy(self.added)]
        found = deepcopy(manifests)
        targets = [each for each in found if f"{each['kind']}/{each['metadata']['name']}" == self.of]
        if len(targets) != 1 or not self.change:
            raise LookupError(f"{self.what}: {len(targets)} objects are {self.of}")
        self.change(targets[0])
        return found


def put(value: Any, *path: str | int) -> Change:
    """Sets a value; what leads there is made where it is missing."""

    def change(manifest: Manifest) -> None:
        node: Any = manifest
        for key in path[:-1]:
            node = node[key] if isinstance(key, int) else node.setdefault(key, {})
        node[path[-1]] = value

    return change


def drop(*path: str | int) -> Change:
    """Removes a value that is there."""

    def change(manifest: Manifest) -> None:
        node: Any = manifest
        for key in path[:-1]:
            node = node[key]
        del node[path[-1]]

    return change
