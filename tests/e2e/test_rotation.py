"""One key of the settings makes every password another: what held the old one is refused, and everything works on."""

import pytest

from tests.support.clients import ask as in_pod
from tests.support.clients import s3
from tests.support.engine import Stack, eventually
from tests.support.mlflow import Server, logged, tracking, under_load
from tests.support.ray import Dashboard, dashboard, head, replaced

SECRETS = {
    "database-mlflow": "password",
    "database-feast": "password",
    "postgres-admin": "password",
    "redis-auth": "password",
    "object-store": "secret-key",
    "mlflow-auth": "platform",
    "ray-auth-token": "auth_token",
}


def passwords(stack: Stack) -> dict[str, str]:
    """What each Secret holds, read as someone does who may."""
    return {name: stack.secret(name, key) for name, key in SECRETS.items()}


def login(stack: Stack, role: str, password: str) -> str:
    return in_pod(
        stack,
        "psql --host=postgres --no-psqlrc --tuples-only --no-align --dbname=postgres --command='SELECT 1'",
        like="databases",
        PGUSER=role,
        PGPASSWORD=password,
    )


def redis(stack: Stack, password: str) -> str:
    return stack.kubectl(
        "exec", "redis-0", "--", "env", f"REDISCLI_AUTH={password}", "redis-cli", "ping", check=False
    ).strip()


@pytest.mark.timeout(900)
def test_a_rotation_reaches_everything_and_the_old_passwords_are_refused(dev: Stack) -> None:
    before = passwords(dev)
    kept, ray = logged(dev), head(dev)
    rotated = dev.with_config(secrets={"generation": 2})
    with under_load(dev) as load:
        done = rotated.up()
        assert done.code == 0, done.text
        after = passwords(rotated)
        replaced(rotated, ray)
        assert {name for name in SECRETS if before[name] == after[name]} == set()

        roles = {"mlflow": "database-mlflow", "feast": "database-feast", "postgres": "postgres-admin"}
        for role, secret in roles.items():
            assert "password authentication failed" in login(rotated, role, before[secret]), role
            assert "password authentication failed" not in login(rotated, role, after[secret]), role
        assert redis(rotated, before["redis-auth"]) != "PONG"
        assert redis(rotated, after["redis-auth"]) == "PONG"
        with tracking(rotated) as server:
            path = "/api/2.0/mlflow/experiments/get?experiment_id=0"
            assert Server(server.url, "platform", before["mlflow-auth"]).ask(path)[0] == 401
            assert Server(server.url, "platform", after["mlflow-auth"]).ask(path)[0] == 200
        with dashboard(rotated) as owner:
            assert Dashboard(owner.url, before["ray-auth-token"]).ask("/api/jobs/")[0] in {401, 403}
            assert owner.ask("/api/jobs/")[0] == 200
        assert s3(rotated, "len(s3.list_buckets()['Buckets'])") == "3"

        # A job reaches MLflow, which reaches database and artifacts, all with what is new.
        assert logged(rotated) != kept
        with tracking(rotated) as server:
            assert server.run(kept)["data"]["metrics"][0]["value"] == 0.25
        assert eventually(lambda: "True" in ready(rotated, "feast-server"), seconds=60)
    # The client went on with the password that it had started with.
    assert load.answered > 50
    assert "401" in load.failed[-1]


def ready(stack: Stack, deployment: str) -> str:
    path = "jsonpath={.status.conditions[?(@.type=='Available')].status}"
    return stack.kubectl("get", "deployment", deployment, f"--output={path}")
