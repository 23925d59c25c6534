"""What a rule sees: a Kubernetes object as plain values, and a cursor that reads them without surprises."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar

from policies.decode import UNKNOWN, Plain, Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping

T = TypeVar("T")

EXTENSIONS: Final = "extensions"
"""The API group of the first years, which all of its kinds have left."""
_MOVED: Final = {
    "DaemonSet": "apps",
    "Deployment": "apps",
    "Ingress": "networking.k8s.io",
    "NetworkPolicy": "networking.k8s.io",
    "ReplicaSet": "apps",
}
"""Source: https://kubernetes.io/docs/reference/using-api/deprecation-guide/, v1.16 and v1.22."""


class Unreadable(Exception):  # noqa: N818 - it is a result of a rule as much as an error
    """A rule could not read what it must judge; `urn` is the resource where several are judged together."""

    def __init__(self, path: str, reason: str, urn: str = "") -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason
        self.urn = urn

    def at(self, resource: Resource) -> Unreadable:
        """The same, told of a resource by name: a stack rule reads many."""
        return type(self)(f"{resource.identity} {self.path}", self.reason, resource.urn)


class Undecided(Unreadable):
    """The value is not known yet."""

    def __init__(self, path: str, reason: str = "not known yet", urn: str = "") -> None:
        super().__init__(path, reason, urn)


class Malformed(Unreadable):
    """The value has another shape than Kubernetes gives the field; `reason` says which was expected."""


@dataclass(frozen=True, slots=True)
class Node:
    """A value and its path. Reading an unknown raises `Undecided`, reading a wrong shape `Malformed`."""

    raw: Plain
    path: str = ""
    secret: bool = False

    def get(self, *keys: str) -> Node:
        """The value under the keys; an absent one is a node that holds None."""
        raw, path, secret = self.raw, self.path, self.secret
        for key in keys:
            fields, secret = _fields(raw, path, secret)
            raw, path = fields.get(key), _child_path(path, key)
        return Node(raw, path, secret)

    def mapping(self) -> dict[str, Node]:
        """The children of an object by key; nothing where it is absent."""
        raw, secret = _fields(self.raw, self.path, self.secret)
        return {key: Node(value, _child_path(self.path, key), secret) for key, value in raw.items()}

    def items(self) -> list[Node]:
        """The elements of a list; nothing where it is absent."""
        raw, secret = self._known()
        if raw is None:
            return []
        if not isinstance(raw, list):
            raise Malformed(self.path, "expected a list")
        return [Node(value, f"{self.path}[{index}]", secret) for index, value in enumerate(raw)]

    def text(self, default: str = "") -> str:
        """A string; `default` where it is absent."""
        raw, _ = self._known()
        if raw is None:
            return default
        if not isinstance(raw, str):
            raise Malformed(self.path, "expected a string")
        return raw

    def decoded(self) -> str:
        """The text that a field holds in base64; nothing where it is absent."""
        try:
            return base64.b64decode(self.text(), validate=True).decode(errors="replace")
        except (binascii.Error, ValueError):
            raise Malformed(self.path, "expected base64") from None

    def integer(self, default: int) -> int:
        """A whole number of zero or more; `default` where it is absent."""
        raw, _ = self._known()
        if raw is None:
            return default
        if isinstance(raw, bool) or not isinstance(raw, int) or raw < 0:
            raise Malformed(self.path, "expected a whole number of zero or more")
        return raw

    def flag(self) -> bool:
        """A boolean; false where it is absent."""
        raw, _ = self._known()
        if raw is None:
            return False
        if not isinstance(raw, bool):
            raise Malformed(self.path, "expected true or false")
        return raw

    def scalar(self) -> str | int | float | None:
        """A string or a number, for fields that Kubernetes reads from either."""
        raw, _ = self._known()
        if isinstance(raw, bool) or not isinstance(raw, str | int | float | None):
            raise Malformed(self.path, "expected a string or a number")
        return raw

    def exists(self) -> bool:
        """Whether the field is there at all."""
        return self._known()[0] is not None

    @property
    def hidden(self) -> bool:
        """Whether the value stands inside a secret."""
        return self._known()[1]

    def shown(self) -> str:
        """The value for a message; a secret is never shown."""
        raw, secret = self._known()
        return "[secret]" if secret else str(raw)

    def _known(self) -> tuple[Plain, bool]:
        return _known(self.raw, self.path, self.secret)

    def child_path(self, key: str) -> str:
        """The path of a child, quoted where the key itself has dots or slashes."""
        return _child_path(self.path, key)


def _known(raw: Plain, path: str, secret: bool) -> tuple[Plain, bool]:
    """The value inside of what marks it as secret, and whether anything does."""
    while isinstance(raw, Secret):
        raw, secret = raw.reveal(), True
    if raw is UNKNOWN:
        raise Undecided(path)
    return raw, secret


def _fields(raw: Plain, path: str, secret: bool) -> tuple[dict[str, Plain], bool]:
    if type(raw) is dict:  # most are, and every read of a field comes by here
        return raw, secret
    raw, secret = _known(raw, path, secret)
    if raw is None:
        return {}, secret
    if not isinstance(raw, dict):
        raise Malformed(path, "expected an object")
    return raw, secret


def _child_path(path: str, key: str) -> str:
    if "." in key or "/" in key:
        return f'{path}["{key}"]'
    return f"{path}.{key}" if path else key


@dataclass(frozen=True, slots=True)
class Options:
    """What the program asked of the engine for this resource."""

    protect: bool = False
    ignore_changes: tuple[str, ...] = ()
    create_timeout_seconds: float = 0
    update_timeout_seconds: float = 0
    delete_timeout_seconds: float = 0


@dataclass(frozen=True)
class Resource:
    """One Kubernetes object; an element of a `...List` is one of its own and shares the list's URN.

    What has no apiVersion and kind in its body, a provider or a Helm release, has those of its type token.
    """

    urn: str
    token: str
    body: Node
    logical_name: str = ""
    parent: str = ""
    dependencies: tuple[str, ...] = ()
    options: Options = field(default_factory=Options)

    @cached_property
    def group(self) -> str:
        """The API group, of an old version the one of today; empty for the core group."""
        version = self.body.get("apiVersion")
        group = group_of(version.text()) if version.exists() else kind_of_token(self.token)[0]
        return group_today(group, self.kind) if group == EXTENSIONS else group

    @cached_property
    def kind(self) -> str:
        """The kind that the body states; the type token is another for patches and custom resources."""
        return self.body.get("kind").text(kind_of_token(self.token)[1])

    @cached_property
    def namespace(self) -> str:
        """The namespace; `default` where the object does not say, as the API server reads it."""
        return self.body.get("metadata", "namespace").text("default")

    @cached_property
    def name(self) -> str:
        """The object's name, or the one in the program while the engine has not chosen one."""
        return self._told("metadata", "name") or self.logical_name

    @cached_property
    def identity(self) -> str:
        """How people and exceptions name it: `Kind/namespace/name`, without a namespace where it has none."""
        namespace = self._told("metadata", "namespace")
        return "/".join(part for part in (self._told_kind() or "?", namespace, self.name) if part)

    def _told_kind(self) -> str:
        return self._told("kind") if "kind" in self.body.mapping() else kind_of_token(self.token)[1]

    def _told(self, *keys: str) -> str:
        """A text of the body that may be quoted; empty where it is absent, unknown, secret or malformed."""
        try:
            node = self.body.get(*keys)
            return "" if node.hidden else node.text()
        except Unreadable:
            return ""


@dataclass(frozen=True)
class Stack:
    """All objects that any rule reads, as they are at the end of a preview or an update."""

    resources: tuple[Resource, ...]
    earlier: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of every resource of the stack, whatever it is: its URN to those of what it depends on and of its parent."""
    _made: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)

    def of(self, group: str, *kinds: str) -> Iterator[Resource]:
        """Those of one API group and of these kinds, in the engine's order."""
        return (each for each in self.resources if each.kind in kinds and each.group == group)

    def comes_after(self, later: Resource, earlier: Resource) -> bool:
        """Whether the engine makes `later` only when `earlier` is there.

        A child waits for its parent, and so for what its parent depends on.
        """
        seen, open_urns = {later.urn}, [later.urn]
        while open_urns:
            new = set(self.earlier.get(open_urns.pop(), ())) - seen
            if earlier.urn in new:
                return True
            seen |= new
            open_urns += new
        return False

    def shared(self, key: Hashable, make: Callable[[], T]) -> T:
        """What several rules work out of the same stack: made for the first that asks."""
        if key not in self._made:
            self._made[key] = make()
        found: T = self._made[key]
        return found


def group_of(api_version: str) -> str:
    """The group in an `apiVersion`: `apps` of `apps/v1`, nothing of `v1`."""
    return api_version.rpartition("/")[0]


def group_today(group: str, kind: str) -> str:
    """The API group that a kind has moved to, so that an old version is judged as what it became."""
    return _MOVED.get(kind, group) if group == EXTENSIONS else group


def kind_of_token(token: str) -> tuple[str, str]:
    """API group and kind in a type token, for what does not state them.

    `apps` and `Deployment` of `kubernetes:apps/v1:Deployment` and of `kubernetes:apps/v1:DeploymentPatch`, `helm.sh`
    and `Release` of `kubernetes:helm.sh/v3:Release`, `pulumi:providers` and `kubernetes` of
    `pulumi:providers:kubernetes`.
    """
    module, _, name = token.rpartition(":")
    package, _, rest = module.partition(":")
    if package != "kubernetes":
        return module, name
    group = group_of(rest)
    return "" if group == "core" else group, name.removesuffix("Patch")
