"""DataStores: what holds the platform's data, in the namespace or beside it.

It promises that databases, roles and buckets are there before anything that uses them, whichever kind a store is.
It refuses a store that is both embedded and external (`spec.py`); passwords are generated, or referred to.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pulumi

from components.base import Component, GeneratedSecret, KubernetesObject, digest, endpoint
from components.kube.pods import Around, Manifest
from components.kube.wires import Bucket, Database, Endpoint, KeyValueStore, SecretRef
from components.stores import manifests
from components.stores.spec import StoresImages, StoresSpec


@dataclass(frozen=True)
class StoresEndpoints:
    """What others may know of the stores.

    Attributes:
        databases: by name, each with its owner.
        redis: the Redis-compatible store.
        buckets: by name.
    """

    databases: dict[str, Database]
    redis: KeyValueStore
    buckets: dict[str, Bucket]


class DataStores(Component[StoresEndpoints], token="mlplatform:stores:DataStores"):
    """PostgreSQL, a Redis-compatible store and an object store, with all that lies in them."""

    def __init__(
        self,
        name: str,
        spec: StoresSpec,
        images: StoresImages,
        *,
        namespace: pulumi.Output[str],
        priority_classes: dict[str, pulumi.Output[str]],
        generation: int,
        watched: bool,
        pod_annotations: Mapping[str, str],
        on_error: pulumi.ErrorHook | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(name, opts, pod_annotations=pod_annotations, on_error=on_error)
        self._images, self._generation, self._watched = images, generation, watched
        self._namespace, self._priority_class = namespace, priority_classes["control"]
        self.publish(
            StoresEndpoints(databases=self._databases(spec), redis=self._redis(spec), buckets=self._buckets(spec))
        )

    def _databases(self, spec: StoresSpec) -> dict[str, Database]:
        external = spec.postgres.external
        roles = dict.fromkeys(database.role for database in spec.databases)
        owners = {role: self._passwords(f"database-{role}", manifests.PASSWORD) for role in roles}
        passwords = {role: owner.ref(manifests.PASSWORD) for role, owner in owners.items()}
        if external:
            server = Database(
                endpoint=_address(None, external.host, external.port),
                name=manifests.ADMIN,
                owner=SecretRef(name=external.admin_secret, key=manifests.USERNAME),
                password=SecretRef(name=external.admin_secret, key=manifests.PASSWORD),
                tls=external.tls,
            )
        else:
            admin = self._passwords("postgres-admin", manifests.PASSWORD)
            password, beside, read = admin.ref(manifests.PASSWORD), [], admin.digest
            if self._watched:
                told = self._passwords("postgres-exporter", manifests.PASSWORD).ref(manifests.PASSWORD)
                beside = [manifests.postgres_exporter(self._images.postgres_exporter, told, spec.databases)]
                passwords[manifests.EXPORTER], read = told, digest(password, told)
            around = self._meets(manifests.POSTGRES)
            store = manifests.postgres(
                spec.postgres.embedded, self._images.postgres, around, password, *beside, digest=read
            )
            address, _ = self._embedded(manifests.POSTGRES, None, store, admin.secret)
            server = Database(
                endpoint=address, name=manifests.ADMIN, owner=manifests.ADMIN, password=password, tls="disable"
            )
        job = manifests.databases_job(
            spec.databases,
            passwords,
            self._images.store_client,
            self._meets(manifests.DATABASES),
            server=server,
            digest=digest(server.password, *passwords.values()),
        )
        made = self.child("databases", job, after=[owner.secret for owner in owners.values()])
        return {
            database.name: Database(
                endpoint=server.endpoint,
                name=database.name,
                owner=database.role,
                password=passwords[database.role],
                tls=server.tls,
                after=(made,),
            )
            for database in spec.databases
        }

    def _redis(self, spec: StoresSpec) -> KeyValueStore:
        external = spec.redis.external
        if external:
            reference = SecretRef(name=external.password_secret, key=external.password_key)
            address = _address("rediss" if external.tls else "redis", external.host, external.port)
            return KeyValueStore(endpoint=address, password=reference, tls=external.tls)
        password = self._passwords("redis-auth", manifests.PASSWORD)
        told = password.ref(manifests.PASSWORD)
        beside = [manifests.redis_exporter(self._images.redis_exporter, told)] if self._watched else []
        around = self._meets(manifests.REDIS)
        store = manifests.redis(spec.redis.embedded, self._images.redis, around, told, *beside)
        address, server = self._embedded(manifests.REDIS, "redis", store, password.secret)
        return KeyValueStore(endpoint=address, password=told, after=(server,))

    def _buckets(self, spec: StoresSpec) -> dict[str, Bucket]:
        external = spec.object_store.external
        if external:
            keys = [SecretRef(name=external.secret, key=key) for key in (external.access_key, external.secret_key)]
            store = Bucket(url=external.url, region=external.region, name="", access_key=keys[0], secret_key=keys[1])
        else:
            made = self._passwords("object-store", manifests.ACCESS_KEY, manifests.SECRET_KEY)
            access_key = made.ref(manifests.ACCESS_KEY)
            server = manifests.object_store(
                spec.object_store.embedded, self._images.object_store, self._meets(manifests.OBJECT_STORE), access_key
            )
            address, _ = self._embedded(manifests.OBJECT_STORE, "http", server, made.secret)
            secret_key = made.ref(manifests.SECRET_KEY)
            store = Bucket(
                url=address.url, region=manifests.REGION, name="", access_key=access_key, secret_key=secret_key
            )
        around = self._meets(manifests.BUCKETS)
        job = self.child("buckets", manifests.buckets_job(spec.buckets, self._images.store_client, around, store))
        return {bucket.name: replace(store, name=bucket.name, after=(job,)) for bucket in spec.buckets}

    def _embedded(
        self, name: str, scheme: str | None, store: Manifest, secret: KubernetesObject
    ) -> tuple[Endpoint, KubernetesObject]:
        """Declare an embedded store and its Service, which comes after it; returns the address and the store."""
        server = self.child(name, store, after=[secret])
        service = self.child(f"{name}-service", manifests.service(self._namespace, name), after=[server])
        return endpoint(scheme, service, self._namespace, manifests.PORTS[name][0]), server

    def _meets(self, workload: str) -> Around:
        return self.around(workload, self._namespace, self._priority_class)

    def _passwords(self, name: str, *keys: str) -> GeneratedSecret:
        roles = {key: f"{name}-{key}" for key in keys}
        return self.generate_secret(
            f"{name}-secret", self._namespace, name, roles, length=32, generation=self._generation
        )


def _address(scheme: str | None, host: str, port: int) -> Endpoint:
    return Endpoint(host=host, port=port, url=f"{scheme}://{host}:{port}" if scheme else f"{host}:{port}")
