"""Every credential in a Secret is long and is no password that everyone knows.

Restricted fields: `data` (decoded) and `stringData` of a Secret, the values in files and URLs under them included.

Allowed values: 16 characters or more, of at least 6 different ones, and none of the passwords that software is
delivered with (`minioadmin`, `prom-operator`, `changeme`, ...). Users, hosts, addresses and certificates under their
own names (`username`, `host`, `tls.crt`) are no credentials, nor is what Kubernetes itself or a tool keeps in a Secret
(`helm.sh/release.v1`, tokens of ServiceAccounts). Everything else in a Secret is, whatever its key is called.

Why: scanners try the delivered passwords first; the buckets of the platform that this one replaces were open to
`minioadmin` (`docs/requirements.md` M4). No message of this rule shows what it found, nor how long it is.
"""

import re
from collections.abc import Iterator
from typing import Final

from pydantic import Field

from policies.credentials import in_text, is_file, is_literal, names_a_credential
from policies.rule import Finding, Results, Rule, RuleSettings
from policies.view import Node, Resource, Unreadable

_DIFFERENT: Final = 6
# As delivered: MinIO, kube-prometheus-stack, PostgreSQL, Superset, Airflow, Grafana, RabbitMQ, Neo4j, Kong, MLflow.
_DELIVERED: Final = frozenset(
    {
        "123456", "12345678", "admin", "admin123", "airflow", "changeit", "changeme", "default", "elastic", "feast",
        "grafana", "guest", "keycloak", "kong", "letmein", "minio", "minio123", "minioadmin", "mlflow", "mysql",
        "neo4j", "pass", "password", "password1", "password123", "password1234", "postgres", "postgresql",
        "prom-operator", "qwerty", "rabbitmq", "ray", "redis", "root", "secret", "superset", "test", "toor", "user",
        "welcome",
        "akiaiosfodnn7example", "wjalrxutnfemi/k7mdeng/bpxrficyexamplekey",
    }
)  # fmt: skip
# Values that are meant to be replaced, as in examples: Superset's own starts with CHANGE_ME_TO.
_PLACEHOLDER: Final = re.compile(
    r"change[-_ ]?(me|it|this)|replace[-_ ]?(me|this)|place-?holder|your[-_ ](password|secret|token|key)"
)
_NO_CREDENTIAL: Final = frozenset(
    {
        "address", "ca", "ca.crt", "ca.pem", "cert", "certificate", "client_id", "clientid", "database", "dbname", "db",
        "email", "endpoint", "host", "hostname", "issuer", "login", "name", "namespace", "port", "region", "server",
        "sslmode", "tls.crt", "type", "user", "username",
    }
)  # fmt: skip
_KEPT_BY_OTHERS: Final = frozenset(
    {
        "bootstrap.kubernetes.io/token", "helm.sh/release.v1", "kubernetes.io/service-account-token",
        "kubernetes.io/dockercfg", "kubernetes.io/dockerconfigjson",
    }
)  # fmt: skip


class Settings(RuleSettings):
    """How long a credential is at least, and what is none in this stack."""

    least_length: int = Field(default=16, ge=8)
    """Characters."""
    delivered: tuple[str, ...] = ()
    """Further passwords that everyone knows, in lower case."""
    plain_keys: tuple[str, ...] = ()
    """Keys of Secrets that hold no credential, in lower case."""


def find(resource: Resource, settings: Settings) -> Results:
    """Judge every value of the Secret, and go on where one is not known."""
    if resource.body.get("type").text() in _KEPT_BY_OTHERS:
        return
    for part in ("data", "stringData"):
        for key, node in resource.body.get(part).mapping().items():
            try:
                for value in _credentials(key, node.decoded() if part == "data" else node.text(), settings):
                    if found := _flaw(value, settings):
                        yield _finding(resource, node, found, settings)
                        break
            except Unreadable as unreadable:
                yield unreadable


def _credentials(key: str, text: str, settings: Settings) -> Iterator[str]:
    """What has to be hard to guess: the value itself, or what a file or URL assigns."""
    name = key.lower()
    if is_file(name) or "\n" in text.strip() or "://" in text:
        yield from (literal.value for literal in in_text(text, file=key))
    elif name not in _NO_CREDENTIAL and name not in settings.plain_keys and _names_a_value(key, text):
        yield text.strip()


def _names_a_value(key: str, text: str) -> bool:
    """A key may be the name of a user, as in `admin: <password>`; one that only speaks of a credential is none."""
    return is_literal(text) or (not text.strip() and names_a_credential(key))


def _flaw(value: str, settings: Settings) -> str:
    plain = value.lower()
    if plain in _DELIVERED or plain in settings.delivered or _PLACEHOLDER.search(plain):
        return "this is a password that everyone knows"
    if not value:
        return "this credential is empty"
    if len(value) < settings.least_length:
        return f"this credential has fewer than {settings.least_length} characters"
    return "this credential repeats few characters" if len(set(value)) < _DIFFERENT else ""


def _finding(resource: Resource, node: Node, found: str, settings: Settings) -> Finding:
    return Finding(
        resource,
        node.path,
        found,
        f"{settings.least_length} characters or more that nobody can guess",
        "generate it (random:index/randomPassword:RandomPassword), and change it where it is in use; "
        "a value that is no credential goes into a ConfigMap, or its key into plainKeys of the rule",
    )


RULE = Rule(
    name="default-credential",
    scope="resource",
    kinds=frozenset({("", "Secret")}),
    settings=Settings,
    find=find,
    doc=__doc__,
)
