"""What a preview says, read from the engine's stream of events: objects as they would be, violations, errors.

Source of the events: pulumi v3.259.0 sdk/go/common/apitype/events.go; `pulumi preview --json` prints one in each line
where PULUMI_ENABLE_STREAMING_JSON_PREVIEW is set.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from policies import wire_view
from policies.decode import UNKNOWN, Plain, Secret
from policies.view import Resource

STREAMING = {"PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true"}
"""What makes the engine print events."""


@dataclass(frozen=True)
class Violation:
    """What a policy found: its name, `mandatory` or `advisory`, and the sentence."""

    policy: str
    level: str
    message: str

    @property
    def undecided(self) -> bool:
        """Whether a value was not known yet."""
        return self.message.startswith("undecided: ")


@dataclass(frozen=True)
class Preview:
    """One preview.

    Attributes:
        objects: the Kubernetes objects of the program as they would be, as the policies see them, in the order of the
            program, by what people call them: `Kind/namespace/name`.
        violations: of the policies, in the engine's order.
        errors: what else went wrong, in plain words.
    """

    objects: Mapping[str, Resource]
    violations: tuple[Violation, ...]
    errors: tuple[str, ...]

    @property
    def refused(self) -> bool:
        """Whether it must not be deployed."""
        return bool(self.errors) or any(each.level == "mandatory" for each in self.violations)


def read(events: Iterable[str]) -> Preview:
    """Read the lines of a stream; a line that is no event is left out."""
    objects: dict[str, Resource] = {}
    violations: list[Violation] = []
    errors: list[str] = []
    for event in _events(events):
        if found := event.get("policyEvent"):
            violations.append(Violation(found["policyName"], found["enforcementLevel"], found["message"].strip()))
        elif found := event.get("resourcePreEvent"):
            inputs = ((found["metadata"].get("new") or {}).get("inputs")) or {}
            if isinstance(inputs.get("kind"), str) and isinstance(inputs.get("apiVersion"), str):
                resource = wire_view.whole(wire_view.asked(inputs))
                objects[resource.identity] = resource
        elif (found := event.get("diagnosticEvent")) and found["severity"] == "error":
            errors.append(found["message"].strip())
    # The engine's own last words stand behind a violation, and behind an error of the program.
    told = [text for text in errors if text != "preview failed" and not text.startswith("an unhandled error occurred")]
    return Preview(objects, tuple(violations), tuple(told or ([] if violations else errors)))


def leaves(value: Plain, path: str = "") -> Iterator[tuple[str, str]]:
    """Every value in an object with its path; secrets and what is not known yet in words."""
    if isinstance(value, dict):
        for key, child in value.items():
            yield from leaves(child, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from leaves(child, f"{path}[{index}]")
    elif isinstance(value, Secret):
        yield path, "a secret"
    else:
        yield path, "not known yet" if value is UNKNOWN else json.dumps(value)


def _events(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event
