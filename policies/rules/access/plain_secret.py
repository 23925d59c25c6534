"""No credential stands in plain text where only configuration belongs.

Restricted fields: in every pod template, those of Ray's resources included, `env[*].value`, `command`, `args`, and the
commands and headers of probes and lifecycle hooks; `data` and `binaryData` of a ConfigMap; `rayStartParams`, the
password of Redis, `entrypoint`, `runtimeEnvYAML` and `serveConfigV2` of Ray's resources; `config` of Kong's plugins.

Allowed values: under a name such as `POSTGRES_PASSWORD`, `api-key` or `token`, only a reference (`valueFrom`,
`$(NAME)`, `${NAME}`), the path of a file, a flag or nothing; in a URL no password; nowhere a private key, a token of a
known form, or a value that the program marked as secret. A name that ends in what is no credential (`TOKEN_TTL`,
`KEY_PATH`) is free. Texts are read for what they assign: `password = ...`, `"token": "..."`, `--api-key ...`.

Why: whoever may read a pod or a ConfigMap reads it, as do logs, backups and everyone with the state; a Secret has
permissions of its own and encryption at rest. No message of this rule shows what it found.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from policies.credentials import by_form, in_text, is_count, is_file, is_literal, names_a_credential
from policies.pods import KINDS, templates
from policies.rule import Finding, Results, Rule, RuleSettings
from policies.view import Node, Resource, Unreadable

_RAY_TEXTS: Final = ("entrypoint", "runtimeEnvYAML", "serveConfigV2")
_KONG: Final = frozenset(("configuration.konghq.com", kind) for kind in ("KongPlugin", "KongClusterPlugin"))
_HOOKS: Final = (
    ("livenessProbe",), ("readinessProbe",), ("startupProbe",), ("lifecycle", "postStart"), ("lifecycle", "preStop"),
)  # fmt: skip


class Settings(RuleSettings):
    """Names of this stack that sound like credentials and are none."""

    allowed_names: tuple[str, ...] = ()
    """Variables, keys and options, exactly as they are written."""


class _Place(NamedTuple):
    """A text that may be wrong: `name` says what it is, `is_text` whether names inside it are read."""

    node: Node
    name: str = ""
    is_text: bool = False
    inside: bool = False
    """Whether the text stands in something that is secret as a whole."""


def find(resource: Resource, settings: Settings) -> Results:
    """Judge every text of the resource, and go on where one cannot be read."""
    for place in _places(resource):
        try:
            found = _found(place, settings)
        except Unreadable as unreadable:
            yield unreadable
            continue
        if found:
            yield Finding(
                resource,
                place.node.path,
                found,
                "a reference to a Secret",
                "keep the value in a Secret and name it in valueFrom.secretKeyRef, or mount it as a file; "
                "then change the value, since it has been seen",
            )


def _found(place: _Place, settings: Settings) -> str:
    text = place.node.text()
    if place.node.hidden and not place.inside and text:
        return "what the program marked as secret stands here in plain text"
    if place.name in settings.allowed_names:
        return ""
    named = names_a_credential(place.name) and not is_file(place.name)
    if named and is_literal(text) and not is_count(place.name, text):
        return "a credential, by its name, stands here in plain text"
    for literal in in_text(text, file=place.name) if place.is_text else by_form(text):
        return f"a credential stands here in plain text, {literal.where}"
    return ""


def _places(resource: Resource) -> Iterator[_Place]:
    if (resource.group, resource.kind) == ("", "ConfigMap"):
        yield from _config_map(resource.body)
    elif (resource.group, resource.kind) in _KONG:
        yield from _config(resource.body.get("config"), "")
    elif resource.group == "ray.io":
        yield from _ray(resource.body.get("spec"))
    for template in templates(resource):
        spec = template.spec
        for part in ("containers", "initContainers", "ephemeralContainers"):
            for container in spec.get(part).items():
                yield from _container(container)


def _container(container: Node) -> Iterator[_Place]:
    yield from _environment(container.get("env"))
    for part in ("command", "args"):
        yield from _arguments(container.get(part))
    for hook in _HOOKS:
        handler = container.get(*hook)
        yield from _arguments(handler.get("exec", "command"))
        for header in handler.get("httpGet", "httpHeaders").items():
            name = header.get("name").text()
            yield _Place(header.get("value"), "token" if name.lower() == "authorization" else name)


def _environment(env: Node) -> Iterator[_Place]:
    for variable in env.items():
        yield _Place(variable.get("value"), variable.get("name").text(), inside=variable.hidden)


def _arguments(arguments: Node) -> Iterator[_Place]:
    """Each argument, and by the name of the option before it where that one has no value: `--password`, `...`."""
    option = ""
    for argument in arguments.items():
        text = argument.text() if isinstance(argument.raw, str) else ""
        name = "" if text.startswith("-") else option
        yield _Place(argument, name, is_text=True, inside=arguments.hidden)
        option = text.lstrip("-") if text.startswith("-") and "=" not in text else ""


def _config_map(body: Node) -> Iterator[_Place]:
    for part in ("data", "binaryData"):
        values = body.get(part)
        for key, node in values.mapping().items():
            yield _Place(_decoded(node) if part == "binaryData" else node, key, is_text=True, inside=values.hidden)


def _decoded(node: Node) -> Node:
    if not isinstance(node.raw, str):
        return node
    return Node(node.decoded(), node.path)


def _ray(spec: Node) -> Iterator[_Place]:
    """What Ray's resources hold beside pod templates; a cron job holds a job, a job and a service hold a cluster."""
    for inner in ("jobTemplate", "rayClusterSpec", "rayClusterConfig"):
        if spec.get(inner).exists():
            yield from _ray(spec.get(inner))
    for name in _RAY_TEXTS:
        yield _Place(spec.get(name), is_text=True)
    redis = spec.get("gcsFaultToleranceOptions")
    yield _Place(redis.get("redisPassword", "value"), "password")
    yield _Place(redis.get("redisAddress"))
    yield from _environment(spec.get("autoscalerOptions", "env"))
    for group in (spec.get("headGroupSpec"), *spec.get("workerGroupSpecs").items()):
        for name, value in group.get("rayStartParams").mapping().items():
            yield _Place(value, name)


def _config(node: Node, name: str) -> Iterator[_Place]:
    """Every text under a plugin's configuration, with the nearest key as its name."""
    if isinstance(node.raw, bool | int | float | None):
        return
    if isinstance(node.raw, list):
        for item in node.items():
            yield from _config(item, name)
    elif isinstance(node.raw, dict):
        for key, child in node.mapping().items():
            yield from _config(child, key)
    else:
        yield _Place(node, name)


RULE = Rule(
    name="plain-secret",
    scope="resource",
    kinds=KINDS | _KONG | {("", "ConfigMap")},
    settings=Settings,
    find=find,
    doc=__doc__,
)
