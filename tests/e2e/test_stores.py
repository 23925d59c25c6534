"""Embedded stores as real pods: who gets in, what is kept, and Jobs that may run again."""

from functools import partial

import pytest

from tests.support.clients import ask, s3, sql
from tests.support.engine import Stack, eventually


def test_each_role_owns_its_database_and_sees_no_other(dev: Stack) -> None:
    assert sql(dev, "SELECT current_user, current_database()", "mlflow", "mlflow") == "mlflow|mlflow"
    made = sql(dev, "CREATE TABLE kept (value text); INSERT INTO kept VALUES ('before')", "feast", "feast")
    assert made.endswith("INSERT 0 1")
    assert "permission denied for database" in sql(dev, "SELECT 1", "mlflow", "feast")
    assert int(sql(dev, "SHOW server_version_num", "mlflow", "mlflow")) >= 150000


def test_nobody_gets_in_without_a_password(dev: Stack) -> None:
    script = "psql --host=postgres --username=postgres --no-password --command='SELECT 1'"
    assert "no password supplied" in ask(dev, script, like="databases")
    assert "password authentication failed" in ask(dev, script, like="databases", PGPASSWORD="postgres")
    assert "NOAUTH" in dev.kubectl("exec", "redis-0", "--", "redis-cli", "ping")
    fetch = "wget --server-response --output-document=- http://object-store:7070/backups"
    assert "403" in ask(dev, fetch, like="buckets")


def test_redis_keeps_what_it_has_and_refuses_what_it_has_no_room_for(dev: Stack) -> None:
    told = dev.kubectl(
        "exec", "redis-0", "--", "sh", "-c", 'REDISCLI_AUTH="$REDIS_PASSWORD" redis-cli config get maxmemory-policy'
    )
    assert told.split() == ["maxmemory-policy", "noeviction"]


def test_the_artifacts_bucket_keeps_what_is_overwritten(dev: Stack) -> None:
    for text in ("one", "two"):
        s3(dev, f"s3.put_object(Bucket='mlflow-artifacts', Key='model.txt', Body=b'{text}')")
    assert s3(dev, "s3.get_object(Bucket='mlflow-artifacts', Key='model.txt')['Body'].read().decode()") == "two"
    assert s3(dev, "len(s3.list_object_versions(Bucket='mlflow-artifacts', Prefix='model.txt')['Versions'])") == "2"
    assert s3(dev, "s3.get_bucket_versioning(Bucket='backups').get('Status')") == "None"


def uid(stack: Stack, pod: str) -> str:
    return stack.kubectl("get", "pod", pod, "--output=jsonpath={.metadata.uid}", check=False)


def replaced(stack: Stack, pod: str, before: str) -> bool:
    return uid(stack, pod) not in {"", before}


def test_a_store_that_was_stopped_starts_on_the_disk_that_it_left(dev: Stack) -> None:
    for store in ("postgres", "object-store", "redis"):
        dev.kubectl("scale", f"statefulset/{store}", "--replicas=0")
        dev.kubectl("wait", "--for=delete", f"pod/{store}-0", "--timeout=90s")
        dev.kubectl("scale", f"statefulset/{store}", "--replicas=1")
        dev.kubectl("rollout", "status", f"statefulset/{store}", "--timeout=90s")
    assert sql(dev, "SELECT current_user", "mlflow", "mlflow") == "mlflow"


@pytest.mark.timeout(600)
def test_a_store_that_is_killed_comes_back_with_its_data_and_the_jobs_may_run_again(dev: Stack) -> None:
    if "kept" not in sql(dev, "SELECT tablename FROM pg_tables WHERE tablename = 'kept'", "feast", "feast"):
        sql(dev, "CREATE TABLE kept (value text); INSERT INTO kept VALUES ('before')", "feast", "feast")
    for pod in ("postgres-0", "object-store-0", "redis-0"):
        before = uid(dev, pod)
        dev.kubectl("delete", "pod", pod, "--grace-period=0", "--force")
        assert eventually(partial(replaced, dev, pod, before), seconds=60)
        dev.kubectl("wait", "--for=condition=Ready", f"pod/{pod}", "--timeout=120s")
    assert sql(dev, "SELECT value FROM kept", "feast", "feast") == "before"
    dev.kubectl("delete", "job", "databases", "buckets")
    again = dev.up()
    assert again.code == 0, again.text
    assert again.changes.get("created") == 2
    assert sql(dev, "SELECT value FROM kept", "feast", "feast") == "before"
