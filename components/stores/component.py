"""DataStores: what holds the platform's data, in the namespace or beside it.

It promises that databases, roles and buckets are there before anything that uses them, whichever kind a store is.
It refuses a store that is both embedded and external (`spec.py`); passwords are generated, or referred to.
"""

from dataclasses import dataclass

import pulumi

from components.base import Component, GeneratedSecret, KubernetesObject, endpoint
from components.kube import objects
from components.kube.pods import Manifest
from components.kube.wires import Bucket, Database, Endpoint, KeyValueStore, SecretRef
from components.stores import manifests
from components.stores.manifests import Around, Server
from components.stores.spec import StoresImages, StoresSpec


@dataclass(frozen=True)
class StoresEndpoints:
    """What others may know of the stores.

    Attributes:
        databases: by name; known once database and owner are there.
        redis: the Redis-compatible store.
        buckets: by name; known once they are there.
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
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(name, opts)
        self._images = images
        account = self.child("account", objects.service_account("stores", namespace, "stores"))
        self._around = Around(namespace, account.named(), priority_classes["control"])
        self.publish(
            StoresEndpoints(databases=self._databases(spec), redis=self._redis(spec), buckets=self._buckets(spec))
        )

    def _databases(self, spec: StoresSpec) -> dict[str, Database]:
        external = spec.postgres.external
        if external:
            address = _address(None, external.host, external.port)
            user = SecretRef(name=external.admin_secret, key=manifests.USERNAME)
            password = SecretRef(name=external.admin_secret, key=manifests.PASSWORD)
            server = Server(external.host, external.port, external.tls, user, password)
        else:
            admin = self._passwords("postgres-admin", manifests.PASSWORD)
            store = manifests.postgres(
                spec.postgres.embedded, self._images.postgres, self._around, admin.ref(manifests.PASSWORD)
            )
            address = self._embedded(manifests.POSTGRES, None, store, admin.secret)
            server = Server(address.host, address.port, "disable", manifests.ADMIN, admin.ref(manifests.PASSWORD))
        owners = {name: self._passwords(f"database-{name}", manifests.PASSWORD) for name in spec.databases}
        job = manifests.databases_job(
            {name: owner.ref(manifests.PASSWORD) for name, owner in owners.items()},
            self._images.store_client,
            self._around,
            server,
            pulumi.Output.all(*(owner.digest for owner in owners.values())).apply("-".join),
        )
        made = self.child("databases", job, after=[owner.secret for owner in owners.values()])
        host = _after(made, address.host)
        return {
            name: Database(
                endpoint=Endpoint(host=host, port=address.port, url=_after(made, address.url)),
                name=name,
                password=owner.ref(manifests.PASSWORD),
                tls=server.tls,
            )
            for name, owner in owners.items()
        }

    def _redis(self, spec: StoresSpec) -> KeyValueStore:
        external = spec.redis.external
        if external:
            reference = SecretRef(name=external.password_secret, key=external.password_key)
            return KeyValueStore(endpoint=_address("redis", external.host, external.port), password=reference)
        password = self._passwords("redis-auth", manifests.PASSWORD)
        store = manifests.redis(spec.redis.embedded, self._images.redis, self._around, password.ref(manifests.PASSWORD))
        address = self._embedded(manifests.REDIS, "redis", store, password.secret)
        return KeyValueStore(endpoint=address, password=password.ref(manifests.PASSWORD))

    def _buckets(self, spec: StoresSpec) -> dict[str, Bucket]:
        external = spec.object_store.external
        url: pulumi.Input[str]
        if external:
            url, region = external.url, external.region
            access_key, secret_key = (
                SecretRef(name=external.secret, key=key) for key in (external.access_key, external.secret_key)
            )
        else:
            keys = self._passwords("object-store", manifests.ACCESS_KEY, manifests.SECRET_KEY)
            access_key, secret_key = keys.ref(manifests.ACCESS_KEY), keys.ref(manifests.SECRET_KEY)
            store = manifests.object_store(
                spec.object_store.embedded, self._images.object_store, self._around, keys.secret.named()
            )
            url = self._embedded(manifests.OBJECT_STORE, "http", store, keys.secret).url
            region = manifests.REGION
        job = manifests.buckets_job(
            spec.buckets,
            self._images.store_client,
            self._around,
            url=url,
            region=region,
            access_key=access_key,
            secret_key=secret_key,
        )
        made = self.child("buckets", job)
        return {
            bucket.name: Bucket(
                url=_after(made, url),
                region=region,
                name=bucket.name,
                access_key=access_key,
                secret_key=secret_key,
            )
            for bucket in spec.buckets
        }

    def _embedded(self, name: str, scheme: str | None, store: Manifest, secret: KubernetesObject) -> Endpoint:
        """Declare an embedded store and its Service; its address is known once it is ready."""
        server = self.child(name, store, after=[secret])
        service = self.child(f"{name}-service", manifests.service(self._around.namespace, name), after=[server])
        return endpoint(scheme, service, self._around.namespace, manifests.PORTS[name][0])

    def _passwords(self, name: str, *keys: str) -> GeneratedSecret:
        roles = {key: f"{name}-{key}" for key in keys}
        return self.generate_secret(f"{name}-secret", self._around.namespace, name, roles, length=32)


def _address(scheme: str | None, host: str, port: int) -> Endpoint:
    return Endpoint(host=host, port=port, url=f"{scheme}://{host}:{port}" if scheme else f"{host}:{port}")


def _after(made: KubernetesObject, value: pulumi.Input[str]) -> pulumi.Output[str]:
    """A value that whoever reads it has only once an object is there."""
    return pulumi.Output.all(made.named(), value).apply(lambda known: str(known[1]))
