"""FeastStore: online features, their registry, and what keeps both true to the feature repository.

It promises that the repository has been applied before anything serves it, and is applied again when it changes.
It refuses a registry in a file, and a gRPC server where tokens are asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

import pulumi

from components.base import Component, digest, endpoint
from components.feast import manifests
from components.feast.spec import FeastImages, FeastSpec
from components.kube import objects, rbac
from components.kube.traces import tracing
from components.kube.wires import Database, Endpoint, KeyValueStore, SecretRef, TraceStore


@dataclass(frozen=True)
class FeastEndpoints:
    """What others may know of the feature store.

    Attributes:
        project: that its objects belong to.
        online: feature server (HTTP, port 6566).
        online_grpc: the same over gRPC (port 6567), or None.
        registry: registry server (gRPC, port 6570).
        client: name of the ConfigMap with a client's `feature_store.yaml`.
    """

    project: str
    online: Endpoint
    online_grpc: Endpoint | None
    registry: Endpoint
    client: pulumi.Output[str]


class FeastStore(Component[FeastEndpoints], token="mlplatform:feast:FeastStore"):
    """Configuration, repository, servers; their Services and bounds."""

    def __init__(
        self,
        name: str,
        spec: FeastSpec,
        images: FeastImages,
        *,
        namespace: pulumi.Output[str],
        priority_classes: dict[str, pulumi.Output[str]],
        database: Database,
        redis: KeyValueStore,
        repository: Mapping[str, str],
        traces: TraceStore | None = None,
        pod_annotations: Mapping[str, str],
        on_error: pulumi.ErrorHook | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(name, opts, pod_annotations=pod_annotations, on_error=on_error)
        if spec.authorization == "kubernetes":
            self._token_review(namespace)
        serving, looking_up = (
            self.around(workload, namespace, priority_classes["serving"])
            for workload in (manifests.SERVER, manifests.REGISTRY)
        )
        applying = self.around(manifests.APPLY, namespace, priority_classes["batch"])
        text = manifests.server_config(spec, database, redis)
        config = self.child("config", objects.secret("feast", namespace, manifests.CONFIG, {manifests.FILE: text}))
        written = SecretRef(name=config.named(), key=manifests.FILE, digest=sha256(text.encode()).hexdigest())
        secrets = digest(database.password, redis.password, written)
        env = manifests.environment(database, redis)
        files = manifests.repository(namespace, repository)
        applied = self.child(
            "apply",
            manifests.apply_job(spec, images.feast, applying, env=env, files=files, digest=secrets),
            after=[*database.after, *redis.after, config, self.child("repository", files)],
            create_timeout=spec.ready_timeout_seconds,
        )
        told = [*env, *tracing(traces, manifests.SERVER)]
        servers = {
            manifests.SERVER: (spec.online, manifests.server(spec, images.feast, serving, told, secrets)),
            manifests.REGISTRY: (spec.registry, manifests.registry(spec, images.feast, looking_up, env, secrets)),
        }
        services = {
            manifests.SERVER: manifests.server_service(spec, namespace),
            manifests.REGISTRY: manifests.registry_service(namespace),
        }
        made = {}
        for server, (scale, manifest) in servers.items():
            role = server.removeprefix("feast-")
            self.child(role, manifest, after=[applied], create_timeout=spec.ready_timeout_seconds)
            self.bound(namespace, server, scale, role=role)
            made[server] = self.child(f"{role}-service", services[server])
        if spec.materialization:
            batch = self.around(manifests.MATERIALIZE, namespace, priority_classes["batch"])
            cron = manifests.materialization(spec.materialization, images.feast, batch, env)
            self.child("materialization", cron, after=[applied])
        online = endpoint("http", made[manifests.SERVER], namespace, manifests.PORTS["http"][0])
        registry = endpoint(None, made[manifests.REGISTRY], namespace, manifests.REGISTRY_PORT)
        grpc = endpoint(None, made[manifests.SERVER], namespace, manifests.PORTS["grpc"][0])
        client = pulumi.Output.all(registry.url, online.url).apply(
            lambda known: manifests.client_config(spec, registry=known[0], online=known[1])
        )
        self.publish(
            FeastEndpoints(
                project=spec.project,
                online=online,
                online_grpc=grpc if spec.online.grpc else None,
                registry=registry,
                client=self.tell_clients(namespace, spec.client_namespaces, manifests.CLIENT, {manifests.FILE: client}),
            )
        )

    def _token_review(self, namespace: pulumi.Output[str]) -> None:
        role = self.child("role", manifests.role(namespace))
        self.child(
            "role-binding",
            rbac.role_binding("feast", namespace, "feast", manifests.SERVER, manifests.REGISTRY),
            after=[role],
        )
        review, binding = manifests.token_review(namespace, pulumi.Output.format("{0}-feast", namespace))
        reviews = self.child("token-review", review)
        self.child("token-review-binding", binding, after=[reviews])
