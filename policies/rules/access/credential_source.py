"""What is not known yet in a Secret comes from something that generates credentials.

Restricted fields: `data` and `stringData` of a Secret, while a preview does not know a value in them, and what the
program makes the Secret after.

Allowed values: a Secret with such a value depends on a resource of a type in the settings, as
`random:index/randomPassword:RandomPassword`. A value that is known is for the rule `default-credential` to judge, which
does so again at `pulumi up`, before the Secret is written.

Why: in the first preview no generated password is known, and "not known" must not mean "not looked at": a Secret that
takes its value from a ConfigMap or from another stack's output would be approved unseen.
"""

from collections.abc import Iterator

from policies.rule import Finding, Results, Rule, RuleSettings
from policies.view import Node, Resource, Stack, Undecided, Unreadable


class Settings(RuleSettings):
    """What generates credentials."""

    sources: tuple[str, ...] = (
        "random:index/randomPassword:RandomPassword",
        "random:index/randomBytes:RandomBytes",
        "tls:index/privateKey:PrivateKey",
    )
    """Type tokens of resources."""


def find(stack: Stack, settings: Settings) -> Results:
    """Judge each Secret of the stack."""
    for resource in stack.resources:
        try:
            if (resource.group, resource.kind) == ("", "Secret"):
                yield from _judge(resource, settings)
        except Unreadable as unreadable:
            yield unreadable.at(resource)


def _judge(secret: Resource, settings: Settings) -> Iterator[Finding]:
    if any(_type_of(urn) in settings.sources for urn in secret.dependencies):
        return
    for path in _unknown(secret.body):
        yield Finding(
            secret,
            path,
            "this value is not known yet, and nothing that the Secret depends on generates credentials",
            f"a value from {' or '.join(settings.sources)}",
            "generate the credential in the program, or name what generates it in the rule's setting `sources`",
        )


def _unknown(body: Node) -> Iterator[str]:
    for part in ("data", "stringData"):
        for node in body.get(part).mapping().values():
            try:
                node.text()
            except Undecided as undecided:
                yield undecided.path


def _type_of(urn: str) -> str:
    """`urn:pulumi:<stack>::<project>::<types of the parents>$<type>::<name>`."""
    parts = urn.split("::")
    return parts[2].rpartition("$")[2] if len(parts) > 3 else ""


RULE = Rule(
    name="credential-source",
    scope="stack",
    kinds=frozenset({("", "Secret")}),
    settings=Settings,
    find=find,
    doc=__doc__,
)
