"""Facts of Kubernetes, PostgreSQL, Redis and S3 servers about data stores.

Source of the environment of PostgreSQL: the official image, https://hub.docker.com/_/postgres; ours is started alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.kube import objects
from components.kube.pods import (
    RESTRICTED_POD,
    TELLS_WHY,
    Manifest,
    exec_probe,
    http_probe,
    resources,
    restricted_container,
    secret_env,
)
from components.kube.quantity import number
from components.kube.wires import SecretRef
from components.stores.spec import BucketSpec, EmbeddedObjectStore, EmbeddedPostgres, EmbeddedRedis

POSTGRES, REDIS, OBJECT_STORE = "postgres", "redis", "object-store"
"""Names of the embedded stores and of their Services."""

PORTS = {POSTGRES: (5432, "postgres"), REDIS: (6379, "redis"), OBJECT_STORE: (7070, "http")}
"""Port and application protocol of each."""

REGION = "us-east-1"
"""The region of the embedded object store, which is any client's default."""

PASSWORD, USERNAME = "password", "username"
ACCESS_KEY, SECRET_KEY = "access-key", "secret-key"
ADMIN = "postgres"

_USERS = {POSTGRES: 999, REDIS: 999, OBJECT_STORE: 65532, "client": 65532}
# 999 is the server's user in the official images of PostgreSQL and Redis; PostgreSQL must find it in /etc/passwd.


@dataclass(frozen=True)
class Around:
    """What an embedded store meets in its namespace.

    Attributes:
        namespace: where it lives.
        account: its identity, which talks to nobody.
        priority_class: of its pod.
    """

    namespace: Any
    account: Any
    priority_class: Any


def postgres(spec: EmbeddedPostgres, image: str, around: Around, admin: SecretRef) -> Manifest:
    """PostgreSQL; the password of its administrator is set when its disk is empty."""
    container: Manifest = {
        "name": POSTGRES,
        "image": image,
        "env": [
            secret_env("POSTGRES_PASSWORD", admin),
            {"name": "POSTGRES_HOST_AUTH_METHOD", "value": "scram-sha-256"},
            {"name": "POSTGRES_INITDB_ARGS", "value": "--auth-host=scram-sha-256 --data-checksums"},
            {"name": "PGDATA", "value": "/data/postgres"},
        ],
        **_probes(exec_probe("pg_isready", "--quiet", "--host=127.0.0.1", f"--username={ADMIN}")),
    }
    scratch = {"run": "/var/run/postgresql", "tmp": "/tmp"}  # noqa: S108 the container's own
    return _store(POSTGRES, spec, container, around, disk={"data": "/data"}, scratch=scratch)


def redis(spec: EmbeddedRedis, image: str, around: Around, password: SecretRef) -> Manifest:
    """Redis, which writes everything down and refuses what it has no room for."""
    # A rewrite of the append-only file and the buffers of clients need the rest.
    data = int(number(spec.resources.limits.memory) * 3 / 4)
    container: Manifest = {
        "name": REDIS,
        "image": image,
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
    return _store(REDIS, spec, container, around, disk={"data": "/data"})


def object_store(spec: EmbeddedObjectStore, image: str, around: Around, secret: Any) -> Manifest:
    """An S3 server over a directory (versitygw, https://github.com/versity/versitygw); old versions lie beside it."""
    port, _ = PORTS[OBJECT_STORE]
    container: Manifest = {
        "name": OBJECT_STORE,
        "image": image,
        "args": ["posix", "--versioning-dir=/versions", "/objects"],
        "env": [
            secret_env("ROOT_ACCESS_KEY", SecretRef(name=secret, key=ACCESS_KEY)),
            secret_env("ROOT_SECRET_KEY", SecretRef(name=secret, key=SECRET_KEY)),
            {"name": "VGW_PORT", "value": f":{port}"},
            {"name": "VGW_REGION", "value": REGION},
            {"name": "VGW_HEALTH", "value": "/health"},
        ],
        **_probes(http_probe("/health", OBJECT_STORE, initial=0)),
    }
    mounts = {"data/objects": "/objects", "data/versions": "/versions"}
    return _store(OBJECT_STORE, spec, container, around, disk=mounts)


def _store(
    name: str,
    spec: EmbeddedPostgres | EmbeddedRedis | EmbeddedObjectStore,
    container: Manifest,
    around: Around,
    *,
    disk: Mapping[str, str],
    scratch: Mapping[str, str] | None = None,
) -> Manifest:
    """The StatefulSet of an embedded store.

    Args:
        name: of the store.
        spec: its size and disk.
        container: what is its own.
        around: its namespace.
        disk: `data`, or a directory in it, to where the container sees it.
        scratch: empty directories by name, to where the container sees them.
    """
    mounts: list[Manifest] = []
    for source, target in disk.items():
        claim, _, folder = source.partition("/")
        mounts.append({"name": claim, "mountPath": target, **({"subPath": folder} if folder else {})})
    mounts += [{"name": claim, "mountPath": target} for claim, target in (scratch or {}).items()]
    pod = {
        **_pod(around, _USERS[name]),
        "terminationGracePeriodSeconds": 30,
        "containers": [
            {
                **container,
                "ports": [{"name": name, "containerPort": PORTS[name][0]}],
                "resources": resources(spec.resources),
                "securityContext": restricted_container(),
                **TELLS_WHY,
                "volumeMounts": mounts,
            }
        ],
        "volumes": [{"name": claim, "emptyDir": {"sizeLimit": "64Mi"}} for claim in scratch or {}],
    }
    return objects.stateful(
        "stores",
        around.namespace,
        name,
        pod=pod,
        size=spec.volume.size,
        storage_class=spec.volume.storage_class,
        retention=spec.volume.retention,
    )


def service(namespace: Any, name: str) -> Manifest:
    """The Service of an embedded store."""
    return objects.service("stores", namespace, name, {"app.kubernetes.io/name": name}, {name: PORTS[name]})


@dataclass(frozen=True)
class Server:
    """A PostgreSQL and who may make databases in it."""

    host: Any
    port: int
    tls: str
    user: SecretRef | str
    password: SecretRef


def databases_job(names: Mapping[str, SecretRef], image: str, around: Around, server: Server, digest: Any) -> Manifest:
    """Makes databases and their owners; running again, it sets the owners' passwords.

    Args:
        names: database to the password of its owner.
        image: with the clients of the stores.
        around: where it runs.
        server: where to.
        digest: changes when a password does, so that the Job runs again.
    """
    user = (
        secret_env("PGUSER", server.user)
        if isinstance(server.user, SecretRef)
        else {"name": "PGUSER", "value": server.user}
    )
    env = [
        {"name": "PGHOST", "value": server.host},
        {"name": "PGPORT", "value": str(server.port)},
        {"name": "PGSSLMODE", "value": server.tls},
        user,
        secret_env("PGPASSWORD", server.password),
        {"name": "DATABASES", "value": " ".join(names)},
        *(secret_env(f"PASSWORD_{name.upper().replace('-', '_')}", password) for name, password in names.items()),
    ]
    return _client_job("databases", image, around, env, {"ml-platform/passwords-hash": digest})


def buckets_job(
    buckets: tuple[BucketSpec, ...],
    image: str,
    around: Around,
    *,
    url: Any,
    region: str,
    access_key: SecretRef,
    secret_key: SecretRef,
) -> Manifest:
    """Makes buckets, and switches versioning on where it is wanted."""
    env = [
        {"name": "AWS_ENDPOINT_URL_S3", "value": url},
        {"name": "AWS_REGION", "value": region},
        secret_env("AWS_ACCESS_KEY_ID", access_key),
        secret_env("AWS_SECRET_ACCESS_KEY", secret_key),
        {"name": "BUCKETS", "value": " ".join(bucket.name for bucket in buckets)},
        {"name": "VERSIONED", "value": " ".join(bucket.name for bucket in buckets if bucket.versioning)},
    ]
    return _client_job("buckets", image, around, env)


def _client_job(
    what: str, image: str, around: Around, env: list[Manifest], annotations: Manifest | None = None
) -> Manifest:
    """A Job of one command of the image `store-client`."""
    small = {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"cpu": "200m", "memory": "128Mi"}}
    container: Manifest = {
        "name": what,
        "image": image,
        "command": [f"provision-{what}"],
        "env": env,
        "resources": small,
        "securityContext": restricted_container(),
        **TELLS_WHY,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 the container's own
    }
    scratch = {"volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "16Mi"}}]}
    return objects.job(
        "stores",
        around.namespace,
        what,
        pod={**_pod(around, _USERS["client"]), "containers": [container], **scratch},
        seconds=300,
        annotations=annotations,
    )


def _pod(around: Around, user: int) -> Manifest:
    return {
        "serviceAccountName": around.account,
        "automountServiceAccountToken": False,
        "priorityClassName": around.priority_class,
        "securityContext": {**RESTRICTED_POD, "runAsUser": user, "runAsGroup": user, "fsGroup": user},
    }


def _probes(probe: Manifest) -> Manifest:
    """Alive, ready, and two minutes to come up: a server that was killed repairs its files first."""
    return {
        "startupProbe": {**probe, "periodSeconds": 2, "failureThreshold": 60},
        "readinessProbe": probe,
        "livenessProbe": {**probe, "failureThreshold": 6},
    }
