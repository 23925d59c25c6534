"""MLflowServer: the tracking server, and the way from one release of it to the next.

It promises that the databases are dumped and migrated before a new release serves, and that the old one goes on
serving where that fails. It refuses a Host header that is not one of its names.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.base import Component, digest, endpoint
from components.kube.wires import Bucket, Database, Endpoint, Login, SecretRef, TraceStore
from components.mlflow import manifests
from components.mlflow.spec import MLflowImages, MLflowSpec


@dataclass(frozen=True)
class MLflowEndpoints:
    """What others may know of the server.

    Attributes:
        tracking: tracking API, model registry, artifacts and UI (HTTP, port 5000).
        client: name of the ConfigMap with the settings of clients.
        login: whom the platform's own workloads log as; None without authentication.
        admin: who may do everything; None without authentication.
    """

    tracking: Endpoint
    client: pulumi.Output[str]
    login: Login | None
    admin: Login | None


class MLflowServer(Component[MLflowEndpoints], token="mlplatform:mlflow:MLflowServer"):
    """Backup, migration, server; its Service, bounds and garbage collection."""

    def __init__(
        self,
        name: str,
        spec: MLflowSpec,
        images: MLflowImages,
        *,
        namespace: pulumi.Output[str],
        priority_classes: dict[str, pulumi.Output[str]],
        database: Database,
        bucket: Bucket,
        backups: Bucket,
        generation: int,
        watched: bool,
        traces: TraceStore | None = None,
        pod_annotations: Mapping[str, str],
        on_error: pulumi.ErrorHook | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(name, opts, pod_annotations=pod_annotations, on_error=on_error)
        serving = self.around(manifests.NAME, namespace, priority_classes["serving"])
        backing_up, migrating = (
            self.around(job, namespace, priority_classes["batch"]) for job in (manifests.BACKUP, manifests.MIGRATE)
        )
        session_key: SecretRef | None = None
        users: dict[str, SecretRef] = {}
        settings = None
        after = []
        if spec.authentication == "basic":
            keys = (manifests.SESSION_KEY, manifests.ADMIN, manifests.PLATFORM)
            passwords = {key: f"password-{key}" for key in keys}
            made = self.generate_secret(
                "auth-secret", namespace, manifests.SECRET, passwords, length=32, generation=generation
            )
            session_key = made.ref(manifests.SESSION_KEY)
            users = {user: made.ref(user) for user in (manifests.ADMIN, manifests.PLATFORM)}
            settings = manifests.config(spec, namespace)
            after = [made.secret, self.child("config", settings)]
        secrets = digest(database.password, bucket.secret_key, *users.values())
        backup = self.child(
            "backup",
            manifests.backup_job(
                spec, images.store_client, backing_up, release=images.mlflow, database=database, backups=backups
            ),
            after=[*database.after, *backups.after],
            create_timeout=spec.migration_timeout_seconds,
        )
        migration = self.child(
            "migration",
            manifests.migration_job(spec, images.mlflow, migrating, database=database, users=users, digest=secrets),
            after=[backup, *after],
            create_timeout=spec.migration_timeout_seconds,
        )
        self.child(
            "server",
            manifests.deployment(
                spec,
                images.mlflow,
                serving,
                hosts=namespace.apply(lambda known: manifests.allowed_hosts(known, spec.hosts)),
                database=database,
                bucket=bucket,
                session_key=session_key,
                settings=settings,
                digest=secrets,
                watched=watched,
                traces=traces,
            ),
            after=[migration, *bucket.after],
            create_timeout=spec.ready_timeout_seconds,
        )
        self.bound(namespace, manifests.NAME, spec)
        service = self.child("service", manifests.service(namespace))
        tracking = endpoint("http", service, namespace, manifests.PORT)
        client = self.tell_clients(
            namespace, spec.client_namespaces, manifests.CLIENT, manifests.client_settings(tracking.url)
        )
        if spec.garbage_collection:
            collection = manifests.garbage_collection(
                spec,
                spec.garbage_collection,
                images.mlflow,
                self.around(manifests.COLLECT, namespace, priority_classes["batch"]),
                database=database,
                bucket=bucket,
                admin=users.get(manifests.ADMIN),
            )
            self.child("gc", collection, after=[migration])
        self.publish(
            MLflowEndpoints(
                tracking=tracking,
                client=client,
                login=Login(manifests.PLATFORM, users[manifests.PLATFORM]) if users else None,
                admin=Login(manifests.ADMIN, users[manifests.ADMIN]) if users else None,
            )
        )
