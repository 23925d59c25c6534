"""An update waits for every object that it makes, for something that can fail, and for an hour at most.

Restricted fields: the annotations `pulumi.com/skipAwait`, `pulumi.com/waitFor`, `pulumi.com/timeoutSeconds` and
`pulumi.com/deletionPropagationPolicy` of every object, and the option `customTimeouts` of its resource.

Allowed values: nothing is skipped but a headless Service that publishes addresses before they are ready, which has
nothing to wait for. `waitFor` looks at a condition or at a field of the status; anything else is true from the start.
No bound is longer than the settings say. Deletion is not `orphan`, which leaves pods behind that no stack knows.

Why: the reports called systems functional that were crash-looping, because nobody had waited for them. A pull of
4 to 5 GB took ninety minutes: a bound that hides such a wait is as bad as none.
"""

from collections.abc import Iterator
from typing import Final

from pydantic import Field

from policies import awaits
from policies.rule import ANY, Finding, Results, Rule, RuleSettings
from policies.view import Malformed, Resource

_HONEST: Final = ("condition=", "jsonpath={.status.")


class Settings(RuleSettings):
    """How patient an update may be."""

    longest_minutes: int = Field(default=60, ge=1)
    """For how many minutes an update may wait for one object."""


def find(resource: Resource, settings: Settings) -> Results:
    """Judge how an update waits for one object, and what it leaves behind."""
    if awaits.is_skipped(resource) and not _is_early(resource):
        yield Finding(
            resource,
            awaits.annotation(resource, awaits.SKIP).path,
            "an update does not wait for it",
            "no pulumi.com/skipAwait, but on a headless Service with publishNotReadyAddresses",
            "remove the annotation; where the built-in await is wrong, say what to wait for in pulumi.com/waitFor",
        )
    for expression in awaits.waited_for(resource):
        if not expression.startswith(_HONEST):
            yield Finding(
                resource,
                awaits.annotation(resource, awaits.WAIT_FOR).path,
                "an update waits for something that is no state of it",
                'a condition ("condition=Ready") or a field of the status ("jsonpath={.status.phase}=Running")',
                "name the condition with which its controller says that it is ready",
            )
    deletion = awaits.annotation(resource, awaits.DELETION)
    if deletion.text().lower() == "orphan":
        yield Finding(
            resource,
            deletion.path,
            "what belongs to it stays when it is deleted, and no stack knows of it",
            "foreground or background",
            "remove the annotation; for data, use the retention policy of its claims",
        )
    yield from _too_long(resource, settings)


def _too_long(resource: Resource, settings: Settings) -> Iterator[Finding]:
    options = resource.options
    bounds = {
        "(customTimeouts.create)": options.create_timeout_seconds,
        "(customTimeouts.update)": options.update_timeout_seconds,
        "(customTimeouts.delete)": options.delete_timeout_seconds,
        awaits.annotation(resource, awaits.TIMEOUT).path: _stated_seconds(resource),
    }
    for path, seconds in bounds.items():
        if seconds > settings.longest_minutes * 60:
            yield Finding(
                resource,
                path,
                f"an update waits for it for up to {seconds / 60:g} minutes",
                f"at most {settings.longest_minutes} minutes",
                "make what it waits for faster: a smaller image, or one that is pulled beforehand (ray.prePullImages)",
            )


def _stated_seconds(resource: Resource) -> int:
    stated = awaits.annotation(resource, awaits.TIMEOUT)
    text = stated.text("0")
    if not (text.isascii() and text.isdigit()):
        raise Malformed(stated.path, "expected a whole number of seconds, in quotes")
    return int(text)


def _is_early(resource: Resource) -> bool:
    """Whether it is a Service that is complete before any pod is: its pods find each other by it to become ready."""
    spec = resource.body.get("spec")
    is_service = (resource.group, resource.kind) == ("", "Service")
    return is_service and spec.get("clusterIP").text() == "None" and spec.get("publishNotReadyAddresses").flag()


RULE = Rule(
    name="await-honest",
    scope="resource",
    kinds=frozenset({ANY, ("", "Service")}),
    settings=Settings,
    find=find,
    doc=__doc__,
)
