"""Bad input for stores, MLflow, Feast and images: each a sentence with file, key, value and what is allowed."""

from pathlib import Path
from typing import Any

import pytest

from components import settings
from components.target import feature_repository
from tests.support.configuration import refused


def stores(**values: Any) -> dict[str, Any]:
    return {"ml-platform:stores": values}


def postgres(**external: Any) -> dict[str, Any]:
    return stores(postgres={"external": {"host": "db.example.com", "adminSecret": "db-admin", **external}})


def redis(**external: Any) -> dict[str, Any]:
    return stores(redis={"external": {"host": "redis.example.com", "passwordSecret": "redis", **external}})


def s3(**external: Any) -> dict[str, Any]:
    return stores(objectStore={"external": {"url": "http://s3.example.com:9000", "secret": "s3", **external}})


def disk(**volume: Any) -> dict[str, Any]:
    return stores(postgres={"embedded": {"volume": {"size": "1Gi", **volume}}})


def mlflow(**values: Any) -> dict[str, Any]:
    return {"ml-platform:mlflow": values}


def feast(**values: Any) -> dict[str, Any]:
    return {"ml-platform:feast": values}


def oidc(**values: Any) -> dict[str, Any]:
    whole = {
        "discoveryUrl": "https://id.example/.well-known/openid-configuration",
        "clientId": "feast",
        "audience": "feast",
    }
    return feast(authorization="oidc", oidc={**whole, **values})


def images(**values: Any) -> dict[str, Any]:
    return {"ml-platform:images": values}


DIGEST = "@sha256:" + "a" * 64

BAD: dict[str, tuple[dict[str, Any], list[str]]] = {
    # Data stores
    "store of no kind": (stores(postgres="embedded"), ["stores.postgres: must be a map of keys", "'embedded'"]),
    "unknown kind of store": (stores(postgres={"managed": {}}), ["stores.postgres.managed: is not a known key"]),
    "store of both kinds": (
        stores(redis={"embedded": {}, "external": {"host": "r", "passwordSecret": "r"}}),
        ["stores.redis: has both embedded and external: keep the one you mean"],
    ),
    "external database without host": (
        stores(postgres={"external": {"adminSecret": "a"}}),
        ["stores.postgres.external.host: is missing"],
    ),
    "external database without secret": (
        stores(postgres={"external": {"host": "db"}}),
        ["stores.postgres.external.adminSecret: is missing"],
    ),
    "password in place of a reference": (
        postgres(password="x"),
        ["stores.postgres.external.password: is not a known key"],
    ),
    "host with a scheme": (
        postgres(host="postgres://db"),
        ["stores.postgres.external.host: must be a DNS name or an IPv4"],
    ),
    "host with a port": (redis(host="redis:6379"), ["stores.redis.external.host: must be a DNS name", "'redis:6379'"]),
    "empty host": (redis(host=""), ["stores.redis.external.host: must be a DNS name"]),
    "port of nothing": (postgres(port=0), ["stores.postgres.external.port: must be greater than or equal to 1"]),
    "port as text": (postgres(port="5432"), ["stores.postgres.external.port: must be a valid integer", "'5432'"]),
    "unknown tls": (
        postgres(tls="yes"),
        ["stores.postgres.external.tls: must be 'disable', 'require' or 'verify-full'"],
    ),
    "bad name of a secret": (
        redis(passwordSecret="Redis_1"),
        ["stores.redis.external.passwordSecret: must be 1 to 63"],
    ),
    "address without a scheme": (s3(url="minio:9000"), ["stores.objectStore.external.url: ", "'minio:9000'"]),
    "address with a path": (s3(url="http://minio:9000/bucket"), ["stores.objectStore.external.url: "]),
    "object store without secret": (
        stores(objectStore={"external": {"url": "http://s3"}}),
        ["stores.objectStore.external.secret: is missing"],
    ),
    "disk of no size": (disk(size="0"), ["stores.postgres.embedded.volume: size must be more than 0"]),
    "disk of a bad size": (disk(size="large"), ["stores.postgres.embedded.volume.size: must be a quantity", "'large'"]),
    "unknown retention": (disk(retention="Keep"), ["volume.retention: must be 'Retain' or 'Delete'", "'Keep'"]),
    "bad storage class": (disk(storageClass="fast disk"), ["volume.storageClass: must be 1 to 63"]),
    "store with requests above limits": (
        stores(
            redis={
                "embedded": {
                    "resources": {"requests": {"cpu": 2, "memory": "1Gi"}, "limits": {"cpu": 1, "memory": "1Gi"}}
                }
            }
        ),
        ["stores.redis.embedded.resources: requests.cpu (2) must not be more than limits.cpu (1)"],
    ),
    "two databases of one name": (
        stores(databases=[{"name": "a"}, {"name": "a"}]),
        ["stores: databases has 2 named 'a': names must be unique"],
    ),
    "bad name of a database": (stores(databases=[{"name": "My DB"}]), ["stores.databases[0].name: must be 1 to 63"]),
    "two buckets of one name": (
        stores(buckets=[{"name": "abc"}, {"name": "abc"}]),
        ["stores: buckets has 2 named 'abc': names must be unique"],
    ),
    "bucket with a short name": (
        stores(buckets=[{"name": "ab"}]),
        ["stores.buckets[0].name: must have 3 to 63 characters"],
    ),
    "bucket with a dot": (stores(buckets=[{"name": "a.b.c"}]), ["stores.buckets[0].name: must be 1 to 63 lowercase"]),
    "bucket without a name": (stores(buckets=[{"versioning": True}]), ["stores.buckets[0].name: is missing"]),
    "versioning as text": (
        stores(buckets=[{"name": "abc", "versioning": "on please"}]),
        ["buckets[0].versioning: must be"],
    ),
    "port too high": (redis(port=70000), ["stores.redis.external.port: must be less than or equal to 65535"]),
    "tls as a word": (redis(tls="require"), ["stores.redis.external.tls: must be a valid boolean", "'require'"]),
    "database as a name alone": (
        stores(databases=["mlflow"]),
        ["stores.databases[0]: must be a map of keys", "name, owner"],
    ),
    "bad owner of a database": (
        stores(databases=[{"name": "a", "owner": "A B"}]),
        ["stores.databases[0].owner: must be 1 to 63 lowercase letters"],
    ),
    # MLflow
    "no replica of mlflow": (mlflow(replicas=0), ["mlflow.replicas: must be greater than or equal to 1"]),
    "replicas and an autoscaler": (
        mlflow(replicas=3, autoscaling={"maxReplicas": 5}),
        ["ml-platform:mlflow: has both replicas and autoscaling: keep the one you mean"],
    ),
    "autoscaler with inverted bounds": (
        mlflow(autoscaling={"minReplicas": 4, "maxReplicas": 3}),
        ["mlflow.autoscaling: minReplicas (4) must not be more than maxReplicas (3)"],
    ),
    "autoscaler without a maximum": (mlflow(autoscaling={}), ["mlflow.autoscaling.maxReplicas: is missing"]),
    "autoscaler that aims above all": (
        mlflow(autoscaling={"maxReplicas": 3, "targetCpuPercent": 150}),
        ["mlflow.autoscaling.targetCpuPercent: must be less than or equal to 100"],
    ),
    "no worker": (mlflow(workers=0), ["mlflow.workers: must be greater than or equal to 1"]),
    "workers as text": (mlflow(workers="two"), ["mlflow.workers: must be a valid integer", "'two'"]),
    "unknown authentication": (
        mlflow(authentication="oauth"),
        ["mlflow.authentication: must be 'basic' or 'none'", "'oauth'"],
    ),
    "unknown permission": (mlflow(defaultPermission="WRITE"), ["mlflow.defaultPermission: must be 'READ'", "'WRITE'"]),
    "password of the admin": (mlflow(adminPassword="x"), ["mlflow.adminPassword: is not a known key"]),
    "host with a scheme for mlflow": (
        mlflow(hosts=["https://mlflow.example"]),
        ["mlflow.hosts[0]: must be a DNS name", "'https://mlflow.example'"],
    ),
    "every host": (mlflow(hosts=["*"]), ["mlflow.hosts[0]: must be a DNS name"]),
    "host with capitals": (mlflow(hosts=["MLflow.example"]), ["mlflow.hosts[0]: must be a DNS name"]),
    "database that is not made": (
        mlflow(database="tracking"),
        ["mlflow.database: is 'tracking', but stores.databases has none of that name: there are feast, mlflow"],
    ),
    "users in a database of another role": (
        mlflow(usersDatabase="feast"),
        ["mlflow.usersDatabase: is 'feast', whose owner is 'feast': it must be that of mlflow.database, 'mlflow'"],
    ),
    "bucket that is not made": (
        mlflow(bucket="models"),
        ["mlflow.bucket: is 'models', but stores.buckets has none of that name: there are backups, mlflow-artifacts"],
    ),
    "backups to a bucket that is not made": (
        mlflow(backupBucket="dumps"),
        ["ml-platform:mlflow.backupBucket: is 'dumps'"],
    ),
    "collection at no time": (
        mlflow(garbageCollection={"cron": "sometimes"}),
        ["mlflow.garbageCollection.cron:", "'sometimes'"],
    ),
    "collection with six fields": (
        mlflow(garbageCollection={"cron": "0 0 3 * * 0"}),
        ["mlflow.garbageCollection.cron:"],
    ),
    "collection of what is not yet deleted": (
        mlflow(garbageCollection={"olderThanDays": 0}),
        ["mlflow.garbageCollection.olderThanDays: must be greater than or equal to 1"],
    ),
    "mlflow that must be ready at once": (
        mlflow(readyTimeoutSeconds=5),
        ["mlflow.readyTimeoutSeconds: must be greater than or equal to 30"],
    ),
    "migration in no time": (
        mlflow(migrationTimeoutSeconds=0),
        ["mlflow.migrationTimeoutSeconds: must be greater than or equal to 1"],
    ),
    "bad namespace of a client": (mlflow(clientNamespaces=["Team A"]), ["mlflow.clientNamespaces[0]: must be 1 to 63"]),
    "half of mlflow's resources": (
        mlflow(resources={"limits": {"cpu": 1, "memory": "1Gi"}}),
        ["mlflow.resources.requests: is missing"],
    ),
    # Feast
    "nobody asked for a token beside others": (
        {"ml-platform:cluster": {"kind": "existing"}, "kubernetes:context": "prod", **feast(authorization="none")},
        ["ml-platform:feast.authorization: is none, but cluster.kind is existing", "set it to kubernetes or oidc"],
    ),
    "unknown authorization": (
        feast(authorization="basic"),
        ["feast.authorization: must be 'kubernetes', 'oidc' or 'none'", "'basic'"],
    ),
    "oidc without a provider": (
        feast(authorization="oidc"),
        ["ml-platform:feast: needs oidc with authorization: oidc, and only with it"],
    ),
    "a provider that nobody asks": (
        {"ml-platform:feast": {**oidc()["ml-platform:feast"], "authorization": "kubernetes"}},
        ["ml-platform:feast: needs oidc with authorization: oidc, and only with it"],
    ),
    "provider without tls": (
        oidc(discoveryUrl="http://id.example/.well-known/openid-configuration"),
        ["feast.oidc.discoveryUrl:"],
    ),
    "provider without an audience": (oidc(audience=""), ["feast.oidc.audience:"]),
    "grpc past the tokens": (
        feast(authorization="kubernetes", online={"grpc": True}),
        ["online.grpc cannot be true with authorization: kubernetes", "checks no token", "set online.grpc to false"],
    ),
    "registry in a file": (feast(registry={"path": "/data/registry.db"}), ["feast.registry.path: is not a known key"]),
    "project with a dash": (feast(project="energy-prices"), ["feast.project:", "'energy-prices'"]),
    "project of nothing": (feast(project=""), ["feast.project:"]),
    "repository that is not there": (
        feast(repository="workloads/none"),
        ["feast.repository: there is no Python file in 'workloads/none': name the folder of a feature repository"],
    ),
    "repository outside": (feast(repository="/etc"), ["feast.repository:", "'/etc'"]),
    "no feature server": (feast(online={"replicas": 0}), ["feast.online.replicas: must be greater than or equal to 1"]),
    "feature servers and an autoscaler": (
        feast(online={"replicas": 2, "autoscaling": {"maxReplicas": 4}}),
        ["feast.online: has both replicas and autoscaling"],
    ),
    "registry with inverted bounds": (
        feast(registry={"autoscaling": {"minReplicas": 9, "maxReplicas": 2}}),
        ["feast.registry.autoscaling: minReplicas (9) must not be more than maxReplicas (2)"],
    ),
    "materialisation at no time": (feast(materialization="often"), ["feast.materialization:", "'often'"]),
    "feast without its database": (
        feast(database="offline"),
        ["ml-platform:feast.database: is 'offline', but stores.databases has none of that name"],
    ),
    "registry that never looks": (
        feast(online={"registryTtlSeconds": 0}),
        ["feast.online.registryTtlSeconds: must be greater than or equal to 1"],
    ),
    # Ray, images, secrets
    "bucket of ray that is not made": ({"ml-platform:ray": {"bucket": "jobs"}}, ["ml-platform:ray.bucket: is 'jobs'"]),
    "tag where a digest is asked for": (
        images(requireDigests=True, mlflow="a/mlflow:1" + DIGEST),
        ["ml-platform:images: requireDigests is true, but these have none: ", "ray (rayproject/ray:2.60.0)", "rayGpu"],
    ),
    "mlflow without a tag": (images(mlflow="ml-platform/mlflow"), ["images.mlflow: must be an image reference"]),
    "feast that moves": (images(feast="feastdev/feature-server:latest"), ["images.feast: must name a version"]),
    "generation of nothing": (
        {"ml-platform:secrets": {"generation": 0}},
        ["secrets.generation: must be greater than or equal to 1"],
    ),
    "generation as a date": (
        {"ml-platform:secrets": {"generation": "2026-11"}},
        ["secrets.generation: must be a valid integer", "'2026-11'"],
    ),
    "a password in the settings": (
        {"ml-platform:secrets": {"postgres": "x"}},
        ["secrets.postgres: is not a known key"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_a_sentence_with_file_key_and_what_is_allowed(case: str) -> None:
    refused(*BAD[case])


def test_the_table_is_long_enough() -> None:
    assert len(BAD) >= 28 + 40


def test_digests_satisfy_who_asks_for_them() -> None:
    fields = {name: field.default for name, field in settings.Images.model_fields.items()}
    pinned = {name: image + DIGEST for name, image in fields.items() if isinstance(image, str) and ":" in image}
    gpu = {"reference": "a/ray-gpu:1" + DIGEST, "cuda": "11.4"}
    settings.Images.model_validate({**pinned, "ray_gpu": gpu, "require_digests": True})


def test_a_repository_that_no_config_map_holds_is_refused(tmp_path: Path) -> None:
    (tmp_path / "views.py").write_text("#" * 1_100_000)
    with pytest.raises(ValueError, match="have 1100000 bytes, and a ConfigMap holds"):
        feature_repository(".", tmp_path)


def test_a_repository_is_its_python_and_its_sql(tmp_path: Path) -> None:
    for name in ("views.py", "tables.sql", "README.md"):
        (tmp_path / name).write_text(name)
    assert feature_repository(".", tmp_path) == {"views.py": "views.py", "tables.sql": "tables.sql"}
