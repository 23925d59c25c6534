"""Facts of Kubernetes, PostgreSQL, Redis and S3 servers about data stores.

Source of the environment of PostgreSQL: the official image, https://hub.docker.com/_/postgres; ours is started alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from components.kube import objects
from components.kube.access import Neighbour, Port, Workload, named, served, service_of
from components.kube.pods import (
    SECRETS_HASH,
    TMP,
    Around,
    Manifest,
    container,
    exec_probe,
    http_probe,
    pod,
    postgres_env,
    resources,
    s3_env,
    scratch,
    secret_env,
    small,
)
from components.kube.quantity import number
from components.kube.wires import Bucket, Database, SecretRef
from components.stores.spec import (
    BucketSpec,
    DatabaseSpec,
    EmbeddedObjectStore,
    EmbeddedPostgres,
    EmbeddedRedis,
    ExternalObjectStore,
    ExternalPostgres,
    ExternalRedis,
    StoresSpec,
)

POSTGRES, REDIS, OBJECT_STORE = "postgres", "redis", "object-store"
"""Names of the embedded stores and of their Services."""

PORTS = {POSTGRES: (5432, "tcp"), REDIS: (6379, "redis"), OBJECT_STORE: (7070, "http")}
"""Port and application protocol of each."""

DATABASES, BUCKETS = "databases", "buckets"
"""Jobs that make what lies in the stores."""

REGION = "us-east-1"
"""The region of the embedded object store, which is any client's default."""

PASSWORD, USERNAME = "password", "username"
ACCESS_KEY, SECRET_KEY = "access-key", "secret-key"
ADMIN = "postgres"

EXPORTER = "postgres_exporter"
"""The role by which PostgreSQL is watched: it may read statistics, in each of the platform's databases, and no table.
No owner has a name like that."""

_METRICS = "metrics"
_EXPORTERS = {POSTGRES: Port(9187, "http"), REDIS: Port(9121, "http")}
# https://github.com/prometheus/prometheus/wiki/Default-port-allocations.

_USERS = {POSTGRES: 999, REDIS: 999, OBJECT_STORE: 65532, "client": 65532}
# 999 is the server's user in the official images of PostgreSQL and Redis; PostgreSQL must find it in /etc/passwd.


def workloads(spec: StoresSpec, *, watched: bool) -> list[Workload]:
    """The stores in the namespace, and the Jobs that make what lies in them; `watched`: whether someone scrapes."""
    found = [named(job) for job in (DATABASES, BUCKETS)]
    for name, store in external_stores(spec).items():
        if not store:
            own = served(name, **{name: Port(*PORTS[name])})
            found.append(_with_exporter(own) if watched and name in _EXPORTERS else own)
        elif store.pods:
            host, port = store.address
            found.append(Workload(name, store.pods, (), {name: Port(port)}, services=(host.partition(".")[0],)))
    return found


def _with_exporter(store: Workload) -> Workload:
    ports = {**store.ports, _METRICS: _EXPORTERS[store.name]}
    return replace(store, ports=ports, metrics={_METRICS: "/metrics"})


def neighbours(spec: StoresSpec) -> list[Neighbour]:
    """The stores elsewhere: anywhere, because a policy cannot tell a name."""
    return [
        Neighbour(name, ports={name: Port(store.address[1])}, services=_of_the_cluster(store.address[0]))
        for name, store in external_stores(spec).items()
        if store and not store.pods
    ]


def _of_the_cluster(host: str) -> tuple[str, ...]:
    """The full name that a host has if it is a Service: `name.namespace`, with or without what may follow it."""
    name, namespace = service_of(host, "") or ("", "")
    return (f"{name}.{namespace}.svc.cluster.local",) if namespace else ()


def external_stores(
    spec: StoresSpec,
) -> dict[str, ExternalPostgres | ExternalRedis | ExternalObjectStore | None]:
    """Each store by name; None where it is embedded."""
    return {POSTGRES: spec.postgres.external, REDIS: spec.redis.external, OBJECT_STORE: spec.object_store.external}


def postgres(
    spec: EmbeddedPostgres, image: str, around: Around, admin: SecretRef, *beside: Manifest, digest: Any
) -> Manifest:
    """PostgreSQL; it takes the password of its administrator whenever it starts.

    Args:
        spec: decisions.
        image: of the server.
        around: its namespace.
        admin: the administrator's password.
        *beside: further containers.
        digest: of all passwords in its pod.
    """
    own: Manifest = {
        "env": [
            secret_env("POSTGRES_PASSWORD", admin),
            {"name": "POSTGRES_HOST_AUTH_METHOD", "value": "scram-sha-256"},
            {"name": "POSTGRES_INITDB_ARGS", "value": "--auth-host=scram-sha-256 --data-checksums"},
            {"name": "PGDATA", "value": "/data/postgres"},
        ],
        **_probes(exec_probe("pg_isready", "--quiet", "--host=127.0.0.1", f"--username={ADMIN}")),
    }
    empty = {"run": "/var/run/postgresql", "tmp": "/tmp"}  # noqa: S108 the container's own
    return _store(POSTGRES, spec, image, own, around, *beside, digest=digest, disk={"data": "/data"}, empty=empty)


def postgres_exporter(image: str, password: SecretRef, databases: Sequence[DatabaseSpec]) -> Manifest:
    """What tells of the PostgreSQL of its pod, and of the tables of the first of the databases.

    Source: README.md of postgres_exporter 0.19, "Environment Variables".
    """
    first = databases[0].name if databases else ADMIN
    env = [
        {"name": "DATA_SOURCE_URI", "value": f"localhost:{PORTS[POSTGRES][0]}/{first}?sslmode=disable"},
        {"name": "DATA_SOURCE_USER", "value": EXPORTER},
        secret_env("DATA_SOURCE_PASS", password),
    ]
    return _exporter(POSTGRES, image, env)


def redis_exporter(image: str, password: SecretRef) -> Manifest:
    """What tells of the Redis of its pod.

    Source: README.md of redis_exporter 1.82, "Command line flags".
    """
    address = {"name": "REDIS_ADDR", "value": f"redis://localhost:{PORTS[REDIS][0]}"}
    return _exporter(REDIS, image, [address, secret_env("REDIS_PASSWORD", password)])


def _exporter(store: str, image: str, env: list[Manifest]) -> Manifest:
    """It answers also when its store does not, which it then tells."""
    probe = http_probe("/", _METRICS, initial=0)
    return container(
        _METRICS,
        image,
        small("10m", "64Mi"),
        env=env,
        ports=[{"name": _METRICS, "containerPort": _EXPORTERS[store].number}],
        readinessProbe=probe,
        livenessProbe={**probe, "failureThreshold": 6},
    )


def redis(spec: EmbeddedRedis, image: str, around: Around, password: SecretRef, *beside: Manifest) -> Manifest:
    """Redis, which writes everything down and refuses what it has no room for; `beside`: further containers."""
    # A rewrite of the append-only file and the buffers of clients need the rest.
    data = int(number(spec.resources.limits.memory) * 3 / 4)
    own: Manifest = {
        "args": [
            "--requirepass",
            "$(REDIS_PASSWORD)",
            "--maxmemory",
            str(data),
            "--maxmemory-policy",
            "noeviction",
            "--appendonly",
            "yes",
            "--dir",
            "/data",
        ],
        "env": [secret_env("REDIS_PASSWORD", password)],
        **_probes(exec_probe("sh", "-c", 'REDISCLI_AUTH="$REDIS_PASSWORD" redis-cli ping | grep -q PONG')),
    }
    return _store(REDIS, spec, image, own, around, *beside, digest=password.digest, disk={"data": "/data"})


def object_store(spec: EmbeddedObjectStore, image: str, around: Around, keys: SecretRef) -> Manifest:
    """An S3 server over a directory (versitygw, https://github.com/versity/versitygw); old versions lie beside it."""
    port, _ = PORTS[OBJECT_STORE]
    own: Manifest = {
        "args": ["posix", "--versioning-dir=/versions", "/objects"],
        "env": [
            secret_env("ROOT_ACCESS_KEY", keys),
            secret_env("ROOT_SECRET_KEY", SecretRef(name=keys.name, key=SECRET_KEY)),
            {"name": "VGW_PORT", "value": f":{port}"},
            {"name": "VGW_REGION", "value": REGION},
            {"name": "VGW_HEALTH", "value": "/health"},
        ],
        **_probes(http_probe("/health", OBJECT_STORE, initial=0)),
    }
    mounts = {"data/objects": "/objects", "data/versions": "/versions"}
    return _store(OBJECT_STORE, spec, image, own, around, digest=keys.digest, disk=mounts)


def _store(
    name: str,
    spec: EmbeddedPostgres | EmbeddedRedis | EmbeddedObjectStore,
    image: str,
    own: Manifest,
    around: Around,
    *beside: Manifest,
    digest: Any,
    disk: Mapping[str, str],
    empty: Mapping[str, str] | None = None,
) -> Manifest:
    """The StatefulSet of an embedded store.

    Args:
        name: of the store.
        spec: its size and disk.
        image: of the server.
        own: what its container has that others have not.
        around: its namespace.
        *beside: further containers.
        digest: of its passwords: it starts again with new ones.
        disk: `data`, or a directory in it, to where the container sees it.
        empty: empty directories by name, to where the container sees them.
    """
    mounts: list[Manifest] = []
    for source, target in disk.items():
        claim, _, folder = source.partition("/")
        mounts.append({"name": claim, "mountPath": target, **({"subPath": folder} if folder else {})})
    mounts += [{"name": claim, "mountPath": target} for claim, target in (empty or {}).items()]
    ports = [{"name": name, "containerPort": PORTS[name][0]}]
    server = container(name, image, resources(spec.resources), ports=ports, volumeMounts=mounts, **own)
    volumes = scratch(**dict.fromkeys(empty or {}, "64Mi"))
    return objects.stateful(
        "stores",
        around.namespace,
        name,
        pod=pod(around, _USERS[name], server, *beside, terminationGracePeriodSeconds=30, volumes=volumes),
        size=spec.volume.size,
        storage_class=spec.volume.storage_class,
        retention=spec.volume.retention,
        annotations={SECRETS_HASH: digest},
    )


def service(namespace: Any, name: str) -> Manifest:
    """The Service of an embedded store."""
    return objects.service("stores", namespace, name, {"app.kubernetes.io/name": name}, {name: PORTS[name]})


def databases_job(
    databases: Sequence[DatabaseSpec],
    passwords: Mapping[str, SecretRef],
    image: str,
    around: Around,
    *,
    server: Database,
    digest: Any,
) -> Manifest:
    """Makes databases and their owners; running again, it sets the owners' passwords.

    Args:
        databases: what to make.
        passwords: of the owners, by role, and of `EXPORTER`, which is then made too.
        image: with the clients of the stores.
        around: where it runs.
        server: where to, with its administrator.
        digest: changes when a password does, so that the Job runs again.
    """
    env = [
        *postgres_env(server),
        {"name": "DATABASES", "value": " ".join(f"{database.name}:{database.role}" for database in databases)},
        *([{"name": "EXPORTER", "value": EXPORTER}] if EXPORTER in passwords else []),
        *(secret_env(f"PASSWORD_{role.upper().replace('-', '_')}", password) for role, password in passwords.items()),
    ]
    return _client_job(DATABASES, image, around, env, {SECRETS_HASH: digest})


def buckets_job(buckets: Sequence[BucketSpec], image: str, around: Around, store: Bucket) -> Manifest:
    """Makes buckets, and switches versioning on where it is wanted; `store` is any bucket of theirs."""
    env = [
        *s3_env(store),
        {"name": "BUCKETS", "value": " ".join(bucket.name for bucket in buckets)},
        {"name": "VERSIONED", "value": " ".join(bucket.name for bucket in buckets if bucket.versioning)},
    ]
    return _client_job(BUCKETS, image, around, env)


def _client_job(
    what: str, image: str, around: Around, env: list[Manifest], annotations: Manifest | None = None
) -> Manifest:
    """A Job of one command of the image `store-client`."""
    client = container(what, image, small("20m", "128Mi"), command=[f"provision-{what}"], env=env, volumeMounts=[TMP])
    run = pod(around, _USERS["client"], client, volumes=scratch(tmp="16Mi"))
    return objects.job("stores", around.namespace, what, pod=run, seconds=300, annotations=annotations)


def _probes(probe: Manifest) -> Manifest:
    """Alive, ready, and two minutes to come up: a server that was killed repairs its files first."""
    return {
        "startupProbe": {**probe, "periodSeconds": 2, "failureThreshold": 60},
        "readinessProbe": probe,
        "livenessProbe": {**probe, "failureThreshold": 6},
    }
