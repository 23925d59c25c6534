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
    StoresSpec,
)
from tests.support.manifests import container, environment, pod, restricted

AROUND = Around("data-platform", "stores", "control")
SECRET = SecretRef(name="secret", key="password")

STORES: dict[str, dict[str, Any]] = {
    "postgres": manifests.postgres(EmbeddedPostgres(), "postgres:15", AROUND, SECRET, digest="digest"),
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
TOLD = SecretRef(name="postgres-exporter", key="password")
WATCHED: dict[str, dict[str, Any]] = {
    "watched postgres": manifests.postgres(
        *(
            EmbeddedPostgres(),
            "postgres:15",
            AROUND,
            SECRET,
            manifests.postgres_exporter("exporter:1", TOLD, StoresSpec().databases),
        ),
        digest="digest",
    ),
    "watched redis": manifests.redis(
        EmbeddedRedis(), "redis:7.0", AROUND, SECRET, manifests.redis_exporter("exporter:1", SECRET)
    ),
}
ALL = {**STORES, **JOBS, **WATCHED}


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
    spec = manifests.postgres(EmbeddedPostgres(volume=volume), "postgres:15", AROUND, SECRET, digest="")["spec"]
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


def test_an_exporter_asks_the_store_of_its_own_pod() -> None:
    postgres, redis = (pod(each)["containers"] for each in WATCHED.values())
    assert [[each["name"] for each in containers] for containers in (postgres, redis)] == [
        ["postgres", "metrics"],
        ["redis", "metrics"],
    ]
    told = {each["name"]: each.get("value", each.get("valueFrom")) for each in postgres[1]["env"]}
    assert told == {
        "DATA_SOURCE_URI": "localhost:5432/mlflow?sslmode=disable",
        "DATA_SOURCE_USER": "postgres_exporter",
        "DATA_SOURCE_PASS": {"secretKeyRef": {"name": "postgres-exporter", "key": "password"}},
    }
    told = {each["name"]: each.get("value", each.get("valueFrom")) for each in redis[1]["env"]}
    assert told == {
        "REDIS_ADDR": "redis://localhost:6379",
        "REDIS_PASSWORD": {"secretKeyRef": {"name": "secret", "key": "password"}},
    }


@pytest.mark.parametrize("watched", [False, True])
def test_a_store_of_the_platform_is_scraped_where_its_exporter_listens(watched: bool) -> None:
    there = {each.name: each for each in manifests.workloads(StoresSpec(), watched=watched)}
    for name, manifest in zip(("postgres", "redis"), WATCHED.values(), strict=True):
        (exporter,) = [each for each in pod(manifest)["containers"] if each["name"] == "metrics"]
        (listens,) = exporter["ports"]
        assert there[name].metrics == ({listens["name"]: "/metrics"} if watched else {})
        port = there[name].ports.get(listens["name"])
        assert (port and port.number) == (listens["containerPort"] if watched else None)
    assert there["object-store"].metrics == {}


def test_the_databases_job_makes_the_exporters_role_where_it_has_a_password_for_it() -> None:
    job = manifests.databases_job(
        *((DatabaseSpec(name="mlflow"),), {"mlflow": SECRET, manifests.EXPORTER: TOLD}, "client:1", AROUND),
        server=Database(Endpoint("db", 5432, "db:5432"), "postgres", "postgres", SECRET, "disable"),
        digest="digest",
    )
    found = environment(job)
    assert found["EXPORTER"] == "postgres_exporter"
    assert found["PASSWORD_POSTGRES_EXPORTER"] == {"name": "postgres-exporter", "key": "password"}
    assert "EXPORTER" not in environment(JOBS["databases"])


def test_what_lies_on_a_disk_keeps_its_permissions_when_a_pod_starts_again() -> None:
    for name, manifest in WATCHED.items():
        assert pod(manifest)["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch", name
