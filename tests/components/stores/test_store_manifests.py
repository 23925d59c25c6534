"""Embedded stores and the Jobs that fill them, held against what PostgreSQL, Redis and Kubernetes ask for."""

from decimal import Decimal
from typing import Any

import pytest

from components.kube.model import Compute, Resources, Volume
from components.kube.pods import Around
from components.kube.quantity import number
from components.kube.wires import Bucket, Database, Endpoint, SecretRef
from components.stores import manifests
from components.stores.spec import (
    BucketSpec,
    DatabaseSpec,
    EmbeddedObjectStore,
    EmbeddedPostgres,
    EmbeddedRedis,
)
from tests.support.manifests import container, environment, pod, restricted

AROUND = Around("data-platform", "stores", "control")
SECRET = SecretRef(name="secret", key="password")

STORES: dict[str, dict[str, Any]] = {
    "postgres": manifests.postgres(EmbeddedPostgres(), "postgres:15", AROUND, SECRET),
    "redis": manifests.redis(EmbeddedRedis(), "redis:7.0", AROUND, SECRET),
    "object-store": manifests.object_store(
        EmbeddedObjectStore(), "s3:1", AROUND, SecretRef(name="keys", key="access-key")
    ),
}
JOBS: dict[str, dict[str, Any]] = {
    "databases": manifests.databases_job(
        (DatabaseSpec(name="mlflow"), DatabaseSpec(name="users", owner="mlflow"), DatabaseSpec(name="feature-store")),
        {"mlflow": SecretRef(name="m", key="password"), "feature-store": SecretRef(name="f", key="password")},
        "client:1",
        AROUND,
        server=Database(
            Endpoint("db", 5433, "db:5433"), "postgres", SecretRef("admin", "username"), SECRET, "verify-full"
        ),
        digest="digest",
    ),
    "buckets": manifests.buckets_job(
        (BucketSpec(name="mlflow-artifacts", versioning=True), BucketSpec(name="backups")),
        "client:1",
        AROUND,
        Bucket("http://s3:9000", "eu-central-1", "", SecretRef(name="s3", key="id"), SecretRef(name="s3", key="key")),
    ),
}
ALL = {**STORES, **JOBS}


@pytest.mark.parametrize("name", ALL)
def test_every_pod_is_restricted_and_bounded_and_has_no_secret_in_plain_text(name: str) -> None:
    restricted(ALL[name])


@pytest.mark.parametrize("name", STORES)
def test_a_store_has_a_disk_that_is_kept_and_three_probes(name: str) -> None:
    spec = STORES[name]["spec"]
    assert spec["replicas"] == 1
    assert spec["serviceName"] == STORES[name]["metadata"]["name"]
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    (claim,) = spec["volumeClaimTemplates"]
    mounted = {mount["name"] for mount in container(STORES[name])["volumeMounts"]}
    assert claim["metadata"]["name"] in mounted
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container(STORES[name]))
    (port,) = manifests.service("data-platform", name)["spec"]["ports"]
    assert port["targetPort"] == container(STORES[name])["ports"][0]["name"]


def test_disk_class_and_retention_are_choices() -> None:
    volume = Volume(size="7Gi", storage_class="fast", retention="Delete")
    spec = manifests.postgres(EmbeddedPostgres(volume=volume), "postgres:15", AROUND, SECRET)["spec"]
    assert spec["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Delete"
    claim = spec["volumeClaimTemplates"][0]["spec"]
    assert (claim["storageClassName"], claim["resources"]["requests"]["storage"]) == ("fast", "7Gi")


@pytest.mark.parametrize("memory", ["256Mi", "1Gi", "10G"])
def test_redis_never_evicts_and_leaves_room_below_its_limit(memory: str) -> None:
    size = Compute(cpu="1", memory=memory)
    spec = EmbeddedRedis(resources=Resources(requests=size, limits=size))
    args = container(manifests.redis(spec, "redis:7.0", AROUND, SECRET))["args"]
    told = dict(zip(args[::2], args[1::2], strict=True))
    assert told["--maxmemory-policy"] == "noeviction"
    assert Decimal("0.5") * number(memory) < Decimal(told["--maxmemory"]) < Decimal("0.8") * number(memory)
    assert told["--appendonly"] == "yes"
    assert told["--requirepass"] == "$(REDIS_PASSWORD)"


@pytest.mark.parametrize("name", JOBS)
def test_a_job_ends_by_itself_and_stays(name: str) -> None:
    spec = JOBS[name]["spec"]
    assert spec["activeDeadlineSeconds"] <= 300
    assert "ttlSecondsAfterFinished" not in spec
    assert pod(JOBS[name])["restartPolicy"] == "Never"  # a pod that failed is kept: it tells why
    assert JOBS[name]["metadata"]["annotations"] == {"pulumi.com/replaceUnready": "true"}


def test_the_databases_job_reaches_any_server_and_runs_again_with_new_passwords() -> None:
    found = environment(JOBS["databases"])
    assert (found["PGHOST"], found["PGPORT"], found["PGSSLMODE"]) == ("db", "5433", "verify-full")
    assert found["PGUSER"] == {"name": "admin", "key": "username"}
    assert found["DATABASES"].split() == ["mlflow:mlflow", "users:mlflow", "feature-store:feature-store"]
    assert found["PASSWORD_FEATURE_STORE"] == {"name": "f", "key": "password"}
    annotations = JOBS["databases"]["spec"]["template"]["metadata"]["annotations"]
    assert annotations == {"ml-platform/secrets-hash": "digest"}


def test_the_buckets_job_makes_all_and_versions_those_that_ask_for_it() -> None:
    found = environment(JOBS["buckets"])
    assert (found["AWS_ENDPOINT_URL_S3"], found["AWS_REGION"]) == ("http://s3:9000", "eu-central-1")
    assert found["BUCKETS"].split() == ["mlflow-artifacts", "backups"]
    assert found["VERSIONED"].split() == ["mlflow-artifacts"]
