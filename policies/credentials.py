"""Telling a credential from other text, by the name that it has and by its own form. Nothing here returns a value.

A name is read word by word, so that `PGPASSWORD`, `api-key` and `dbPassword` are credentials, while `TOKEN_TTL`,
`KEY_PATH` and `secretName` only speak of one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORDS: Final = frozenset({"credential", "credentials", "pass", "pwd", "secret", "secrets", "token", "tokens"})
_ENDINGS: Final = ("pass", "pwd", "token")
_NO_ENDINGS: Final = frozenset({"bypass", "compass", "encompass", "trespass"})
_INSIDE: Final = (
    "accesskey", "apikey", "authkey", "passphrase", "passwd", "password", "privatekey", "rediscliauth", "secretkey",
    "signingkey",
)  # fmt: skip
_NO_KEYS: Final = frozenset(
    {
        "cache", "config", "foreign", "group", "index", "kms", "label", "partition", "primary", "public", "routing",
        "row", "sort", "topology",
    }
)  # fmt: skip
# What a last word says instead: where a credential lies, how long it lives, of which kind it is.
_ABOUT: Final = frozenset(
    {
        "age", "algorithm", "algorithms", "audience", "auth", "class", "count", "days", "dir", "directory",
        "enabled", "endpoint", "expiration", "expires", "expiry", "field", "file", "filename", "format", "header",
        "host", "hours", "id", "interval", "issuer", "kind", "length", "lifetime", "limit", "location", "max",
        "method", "min", "minutes", "mode", "mount", "name", "names", "namespace", "path", "policy", "port",
        "prefix", "provider", "ref", "required", "rotation", "seconds", "size", "source", "store", "suffix",
        "timeout", "ttl", "type", "uri", "url", "version",
    }
)  # fmt: skip
_SPLIT: Final = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])")

_REFERENCE: Final = re.compile(
    r"(?<!\$)\$\([A-Za-z_][\w.-]*\)"  # Kubernetes; `$$(NAME)` is the text itself
    r"|\$\{[^}]*\}|\{\{.*?\}\}|%\([A-Za-z_]\w*\)s|<[A-Za-z_][\w -]*>"
)
_IN_SHELL: Final = re.compile(r"\$[A-Za-z_]\w*|\$[({].*|`.*", re.DOTALL)
_FILE: Final = re.compile(r"(file://)?/[a-z][\w.-]*(/[\w.-]+)+/?")
_PLACES: Final = re.compile(r"(?i)(bearer|basic|token)?[\s:,;*/@_.-]*")
_FLAGS: Final = frozenset({"true", "false", "null", "none", "~"})

_IN_URL: Final = re.compile(r"://[^\s/?#@:\"']{0,128}:([^\s/?#@\"']{1,512})@")
_HEADER: Final = re.compile(r"(?i)\bauthorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic|token)\s+([^\s\"']{4,512})")
_ISSUED: Final = re.compile(
    r"-----BEGIN (?:[A-Z]+ ){0,3}PRIVATE KEY-----"
    r"|(?<![A-Za-z0-9])(?:(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{22}|glpat-[\w-]{20}"
    r"|hf_[A-Za-z0-9]{30}|xox[abprs]-[\w-]{10}|sk-[A-Za-z0-9_-]{20}|eyJ[\w-]{10,500}\.eyJ[\w-]{10,2000}\.[\w-]{10})"
)
_ASSIGNMENT: Final = re.compile(
    r"(?<![\w.$-])(?P<name>[A-Za-z_-][\w.-]{0,79})[\"']?[ \t]{0,40}(?::=|[=:])[ \t]{0,40}"
    r"(?P<value>\"[^\"\n]{0,512}\"|'[^'\n]{0,512}'|[^\s,;&\"'({\[][^\s,;&\"']{0,511})"
)
_OPTION: Final = re.compile(r"(?<!\S)--?(?P<name>[A-Za-z][\w.-]{1,79})[ \t]{1,40}(?P<value>[^\s-]\S{0,511})")
# In a program or in prose, only what is quoted is a value.
_PROSE: Final = (".go", ".htm", ".html", ".js", ".lua", ".md", ".py", ".sql", ".ts")
_STRUCTURED: Final = (
    *_PROSE, ".cfg", ".cnf", ".conf", ".config", ".env", ".hcl", ".ini", ".json", ".properties", ".sh", ".toml", ".xml",
    ".yaml", ".yml",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Literal:
    """A credential that stands in a text: where, in words that quote nothing of it, and how to get at it."""

    where: str
    value: str

    def __repr__(self) -> str:
        return f"<literal {self.where}>"


def names_a_credential(name: str) -> bool:
    """Whether what has this name is a credential, such as `POSTGRES_PASSWORD`."""
    words = [word.lower() for word in _SPLIT.split(name) if word]
    if not words:
        return False
    glued = "".join(words)
    if glued.endswith(("accesskeyid", "rediscliauth")):
        return True
    match words[-1]:
        case "key" | "keys":
            return words[-2:-1] == [] or words[-2] not in _NO_KEYS
        case "pwd" if len(words) == 1:  # the working directory
            return False
        case last if last in _ABOUT:
            return False
    return any(map(_is_credential, words)) or any(inside in glued for inside in _INSIDE)


def _is_credential(word: str) -> bool:
    return word in _WORDS or (word.endswith(_ENDINGS) and word not in _NO_ENDINGS)


def is_literal(value: str) -> bool:
    """Whether a value is the credential itself: no reference, no path of a file, no flag, nothing."""
    text = value.strip().strip("\"'")
    if text.lower() in _FLAGS or _FILE.fullmatch(text):
        return False
    return not _PLACES.fullmatch(_REFERENCE.sub("", text))


def is_count(name: str, value: str) -> bool:
    """Whether a number of things is meant, as in `MAX_TOKENS=4096`."""
    return name.lower().endswith(("keys", "tokens")) and value.strip("\"' ").isdigit()


def is_file(name: str) -> bool:
    """Whether a name is that of a file with names inside, which are read instead of its own."""
    return name.lower().endswith(_STRUCTURED)


def by_form(text: str) -> Iterator[Literal]:
    """Credentials that are known by what they look like, whatever they are called."""
    for where, pattern in (("in a URL", _IN_URL), ("in a header", _HEADER)):
        for match in pattern.finditer(text):
            if is_literal(match[1]) and not _IN_SHELL.fullmatch(match[1]):
                yield Literal(where, match[1])
    for match in _ISSUED.finditer(text):
        yield Literal("of a form that only credentials have", match[0])


def in_text(text: str, *, file: str = "") -> Iterator[Literal]:
    """Credentials that a text assigns to names: `password = ...`, `"token": "..."`, `--api-key ...`.

    Args:
        text: a file, a command or an argument.
        file: its name, where it has one.
    """
    yield from by_form(text)
    only_quoted = file.lower().endswith(_PROSE)
    for pattern in (_ASSIGNMENT, _OPTION):
        line, counted = 1, 0
        for match in pattern.finditer(text):
            name, value = match["name"], match["value"]
            bare = value.strip("\"'")
            if only_quoted and bare == value:
                continue
            # `key` alone is in most texts the name of anything, such as a label or a field of a Secret.
            if name.lower() == "key" or not names_a_credential(name) or is_count(name, value):
                continue
            if is_literal(bare) and not _IN_SHELL.fullmatch(bare):
                line += text.count("\n", counted, match.start())
                counted = match.start()
                yield Literal(f"in line {line}", bare)
