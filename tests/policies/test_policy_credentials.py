"""What is taken for a credential, by name and by form, and that no rule shows one."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.credentials import in_text, is_literal, names_a_credential
from policies.pack import RULES
from policies.rule import Finding, RuleSettings
from policies.view import Resource
from tests.policies.support import Manifest, judge, rule_named

# Environment variables of programs in use: PostgreSQL, Redis, MySQL, boto3, MLflow, Ray, Hugging Face, Airflow, Kong.
CREDENTIALS = [
    "PGPASSWORD", "POSTGRES_PASSWORD", "REDIS_PASSWORD", "REDISCLI_AUTH", "MYSQL_PWD", "AWS_SECRET_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "MLFLOW_TRACKING_TOKEN", "MLFLOW_FLASK_SERVER_SECRET_KEY", "HF_TOKEN",
    "RAY_AUTH_TOKEN", "WANDB_API_KEY", "AIRFLOW__CORE__FERNET_KEY", "KONG_PG_PASSWORD", "SLACK_API_TOKENS", "api-key",
    "clientSecret", "dbPassword", "db_pass", "passwd", "requirepass", "redis-password", "private_key", "session-key",
    "credentials", "API_KEYS", "OPENAI_APIKEY",
]  # fmt: skip
OTHERS = [
    "TOKEN_TTL", "KEY_PATH", "PWD", "TOKENIZERS_PARALLELISM", "SECRET_NAME", "secretName", "PASSWORD_FILE",
    "PUBLIC_KEY", "POSTGRES_HOST_AUTH_METHOD", "AWS_KMS_KEY_ID", "TOKEN_URL", "TOKEN_EXPIRES", "PRIMARY_KEY", "BYPASS",
    "COMPASS", "MLFLOW_AUTH_CONFIG_PATH", "PASSWORD_MIN_LENGTH", "key_names", "JWT_ISSUER", "USER", "HOST", "monkey",
    "", "-",
]  # fmt: skip


@pytest.mark.parametrize("name", CREDENTIALS)
def test_a_name_of_a_credential(name: str) -> None:
    assert names_a_credential(name)


@pytest.mark.parametrize("name", OTHERS)
def test_a_name_of_something_else(name: str) -> None:
    assert not names_a_credential(name)


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        ("correct-horse", True), ("$$(NAME)", True), ("a$(NAME)", True), ("/9j4AAQSkZJRg", True), ("0", True),
        ("$(NAME)", False), ("$(A):$(B)", False), ("${NAME}", False),
        ("{{ .Values.it }}", False), ("<password>", False),
        ("Bearer $(NAME)", False), ("/var/run/secrets/token", False), ("file:///etc/key", False), ("true", False),
        ("", False), ("****", False), ("%(ENV_NAME)s", False),
    ],
)  # fmt: skip
def test_what_is_the_credential_itself(value: str, literal: bool) -> None:
    assert is_literal(value) is literal


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("password: horse", 1), ('{"token": "horse", "user": "me"}', 1), ("a=1&password=horse&b=2", 1),
        ("jdbc:postgresql://db/x?user=me&password=horse", 1), ("https://me:horse@host/x", 1), ("amqp://:horse@host", 1),
        ("x --password horse", 1), ("x --password=horse", 1), ("x -token horse", 1), ("password: |\n  horse", 1),
        ("glpat-abcdefghij0123456789", 1), ("AKIAIOSFODNN7EXAMPLE", 1), ("http://$(U):$(P)@host", 0),
        ("http://host:8080/x?mail=a@b", 0), ("password:\n  key: x", 0), ("secretKeyRef: {name: a, key: password}", 0),
        ("password=$PASSWORD", 0), ("password=$(cat x)", 0), ("max_tokens: 512", 0), ("key: app", 0),
        ("secrets: []", 0), ("token: {from: file}", 0), ("basic authentication is off", 0),
    ],
)  # fmt: skip
def test_what_a_text_assigns(text: str, found: int) -> None:
    assert len(list(in_text(text))) == found


@pytest.mark.parametrize("text", ["password = read()", "token: str", "api_key=key"])
def test_in_a_program_only_quoted_text_is_a_value(text: str) -> None:
    assert not list(in_text(text, file="train.py"))
    assert list(in_text('password = "horse"', file="train.py"))


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "://",
        "://a:",
        "password",
        "password ",
        "a=",
        "-",
        "eyJ",
        "eyJa.",
        "$(",
        '"',
        " ",
        "token=a ",
        "password=x\n",
    ],
)
def test_a_large_text_is_read_in_a_bounded_time(piece: str) -> None:
    began = time.process_time()
    list(in_text(piece * (1_000_000 // len(piece))))
    assert time.process_time() - began < 5


MARKER = "Zq7marker9Xw"
NAMES = st.sampled_from(
    ["PASSWORD", "JOB_IMAGE", "GREETING", "API_TOKEN", "config.yaml", "views.py", "url", "data", "auth"]
)
VALUES = st.sampled_from(
    [
        MARKER, f"x://me:{MARKER}@host/a", f"password={MARKER}", f"{MARKER}password=x", f"--token {MARKER}",
        f"Authorization: Bearer {MARKER}", f"a: b\n{MARKER}_secret: c", f"AKIA{MARKER}", f'token = "{MARKER}"',
    ]
)  # fmt: skip


def metadata() -> dict[str, Any]:
    return {"name": "it", "namespace": "data-platform"}


def template(container: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {"labels": {"app": "it"}},
        "spec": {"containers": [{"name": "it", "image": "it:1", **container}]},
    }


@st.composite
def holders_of_secrets(draw: Any) -> Manifest:
    """An object with the marker in a place where nothing may be shown of it."""
    name, value = draw(NAMES), draw(VALUES)
    environment = {"env": [{"name": name, "value": value}], "args": [f"--{name}", value], "command": [value]}
    cluster = {
        "rayVersion": "2.9.0",
        "gcsFaultToleranceOptions": {"redisAddress": value, "redisPassword": {"value": value}},
        "headGroupSpec": {"rayStartParams": {name: value}, "template": template(environment)},
    }
    found: Manifest = draw(
        st.sampled_from(
            [
                {"apiVersion": "v1", "kind": "Secret", "metadata": metadata(), "stringData": {name: value}},
                {"apiVersion": "v1", "kind": "Secret", "metadata": metadata(), "data": {name: value}},
                {"apiVersion": "v1", "kind": "Secret", "metadata": metadata(), "stringData": value},
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(), "data": {name: value}},
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(), "binaryData": {name: value}},
                {"apiVersion": "v1", "kind": "Pod", "metadata": metadata(), "spec": template(environment)["spec"]},
                {
                    "apiVersion": "apps/v1",
                    "kind": "Deployment",
                    "metadata": {**metadata(), "name": "kuberay-operator"},
                    "spec": {"template": template({**environment, "env": value})},
                },
                {"apiVersion": "ray.io/v1", "kind": "RayCluster", "metadata": metadata(), "spec": cluster},
                {
                    "apiVersion": "ray.io/v1",
                    "kind": "RayJob",
                    "metadata": metadata(),
                    "spec": {"entrypoint": value, "runtimeEnvYAML": value, "rayClusterSpec": cluster},
                },
                {
                    "apiVersion": "configuration.konghq.com/v1",
                    "kind": "KongPlugin",
                    "metadata": metadata(),
                    "plugin": "jwt",
                    "config": {name: [{"inner": value}]},
                },
            ]
        )
    )
    return found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@settings(max_examples=150)
@given(st.lists(holders_of_secrets(), min_size=1, max_size=3))
def test_no_rule_shows_what_stands_where_secrets_do(rule: Any, found: list[Manifest]) -> None:
    told = " ".join(each.message for each in judge(rule, found))
    assert MARKER not in told
    assert MARKER[1:-1] not in told


def test_a_rule_that_shows_what_it_judges_would_be_noticed() -> None:
    """The twin of the case above."""
    rule = rule_named("plain-secret")

    def talkative(resource: Resource, _: RuleSettings) -> Iterator[Finding]:
        yield Finding(resource, "data", str(resource.body.raw), "", "")

    holder = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(), "data": {"url": MARKER}}
    assert MARKER in judge(replace(rule, find=talkative), [holder])[0].message
