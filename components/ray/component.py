"""RayCluster: the KubeRay operator and one autoscaled RayCluster.

It promises a cluster whose head and workers are all ready when an update ends, whose dashboard and job API ask for a
token, and whose scaling a later update never undoes. It refuses to exist beside CRDs of another release.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pulumi

from components.base import Component, KubernetesObject, digest, endpoint
from components.kube import rbac
from components.kube.labels import fingerprint
from components.kube.logs import LogAgent
from components.kube.pods import SECRETS_HASH
from components.kube.wires import Bucket, Endpoint, KeyValueStore, Login, SecretRef, TraceStore
from components.ray import manifests
from components.ray.spec import RayImages, RaySpec, Scaling


@dataclass(frozen=True)
class RayEndpoints:
    """What others may know of the cluster.

    Attributes:
        cluster: the name of the RayCluster, known once it is ready.
        dashboard: dashboard and job API (HTTP, port 8265).
        client: Ray client (gRPC, port 10001).
        gcs: the address that drivers inside the namespace join (port 6379).
        serve: Ray Serve's proxy (HTTP, port 8000).
        metrics: Prometheus metrics of the head (HTTP, port 8080).
        token: where the authentication token lies, or None where authentication is disabled.
    """

    cluster: pulumi.Output[str]
    dashboard: Endpoint
    client: Endpoint
    gcs: Endpoint
    serve: Endpoint
    metrics: Endpoint
    token: SecretRef | None


class RayCluster(Component[RayEndpoints], token="mlplatform:ray:RayCluster"):
    """The operator (unless it is already there), the token, the cluster and its Services."""

    def __init__(
        self,
        name: str,
        spec: RaySpec,
        images: RayImages,
        *,
        namespace: pulumi.Output[str],
        priority_classes: dict[str, pulumi.Output[str]],
        crds: pulumi.Input[str],
        scaling: Mapping[str, Scaling],
        generation: int,
        redis: KeyValueStore | None = None,
        tracking: Endpoint | None = None,
        login: Login | None = None,
        features: Endpoint | None = None,
        bucket: Bucket | None = None,
        logs: LogAgent | None = None,
        traces: TraceStore | None = None,
        pod_annotations: Mapping[str, str],
        on_error: pulumi.ErrorHook | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(name, opts, pod_annotations=pod_annotations, on_error=on_error)
        self._images = images
        head = self.around(manifests.HEAD_ACCOUNT, namespace, priority_classes["control"])
        worker = self.around(manifests.WORKER_ACCOUNT, namespace, priority_classes["batch"])
        operator = self._operator(spec, images, namespace, priority_classes) if spec.operator.mode == "managed" else []
        token = (
            self.generate_secret(
                "auth-secret",
                namespace,
                manifests.AUTH_SECRET,
                {manifests.AUTH_KEY: "auth-token"},
                length=48,
                generation=generation,
            )
            if spec.authentication == "token"
            else None
        )
        pre_pulls = manifests.pre_pulls(spec, images, namespace, worker.account) if spec.pre_pull_images else {}
        pulled = [
            # The update waits for these as for the cluster, and it is they that pull.
            self.child(daemon.removeprefix("ray-"), manifest, create_timeout=spec.ready_timeout_seconds)
            for daemon, manifest in pre_pulls.items()
        ]
        redis = redis if spec.gcs_fault_tolerance else None
        secrets = [
            *([token.ref(manifests.AUTH_KEY)] if token else []),
            *([redis.password] if redis else []),
            *([login.password] if login else []),
            *([bucket.secret_key] if bucket else []),
        ]
        around = manifests.Surroundings(
            namespace=namespace,
            head_account=head.account,
            worker_account=worker.account,
            priority_classes=priority_classes,
            annotations={"ml-platform/crds": crds},
            template_annotations={SECRETS_HASH: digest(*secrets)} if secrets else {},
            environment=[
                *manifests.client_environment(tracking, login, features, bucket),
                *manifests.traces_environment(traces),
            ],
            redis=redis,
            logs=logs,
            scaling=scaling,
        )
        nodes = self.child("nodes-service", manifests.nodes_service(spec, namespace))
        cluster = self.child(
            "cluster",
            manifests.ray_cluster(spec, images, around),
            after=[
                nodes,
                *operator,
                *pulled,
                *([token.secret] if token else []),
                *(redis.after if redis else ()),
                *(bucket.after if bucket else ()),
            ],
            # KubeRay 1.6 never lets a cluster go whose fault tolerance was switched off: its finalizer waits for a
            # cleanup of Redis that only a cluster with it starts ("RayCluster is being deleted, just ignore").
            replace_on_changes=["spec.gcsFaultToleranceOptions"],
            create_timeout=spec.ready_timeout_seconds,
        )
        self._wait_for_pods(spec, images.store_client, around, cluster)
        head_service, serve_service = (
            self.child(
                service.removeprefix("ray-") + "-service", manifests.service(spec, namespace, service), after=[cluster]
            )
            for service in manifests.SERVICES
        )
        ports = manifests.PORTS
        self.publish(
            RayEndpoints(
                cluster=cluster.named(),
                dashboard=endpoint("http", head_service, namespace, ports["dashboard"]),
                client=endpoint("ray", head_service, namespace, ports["client"]),
                gcs=endpoint(None, head_service, namespace, ports["gcs"]),
                serve=endpoint("http", serve_service, namespace, ports["serve"]),
                metrics=endpoint("http", head_service, namespace, ports["metrics"]),
                token=token.ref(manifests.AUTH_KEY) if token else None,
            )
        )

    def _wait_for_pods(
        self, spec: RaySpec, image: str, around: manifests.Surroundings, cluster: KubernetesObject
    ) -> None:
        waiting = self.around(manifests.READY, around.namespace, around.priority_classes["control"])
        role = self.child("ready-role", manifests.ready_role(around.namespace))
        binding = self.child("ready-binding", rbac.role_binding("ray", around.namespace, manifests.READY), after=[role])
        form = self.annotated(manifests.ray_cluster(spec, self._images, replace(around, scaling={})))["spec"]
        job = manifests.ready_job(
            spec,
            image,
            waiting,
            pulumi.Output.json_dumps(form).apply(fingerprint),
        )
        self.child("ready", job, after=[cluster, binding], create_timeout=spec.ready_timeout_seconds + 120)

    def _operator(
        self,
        spec: RaySpec,
        images: RayImages,
        namespace: pulumi.Output[str],
        priority_classes: dict[str, pulumi.Output[str]],
    ) -> list[KubernetesObject]:
        account = self.child("operator-account", rbac.service_account("ray", namespace, manifests.OPERATOR))
        role = self.child("operator-role", manifests.operator_role(namespace))
        binding = self.child(
            "operator-binding", rbac.role_binding("ray", namespace, manifests.OPERATOR), after=[account, role]
        )
        deployment = manifests.operator_deployment(spec, images, namespace, priority_classes["control"])
        return [self.child("operator", deployment, after=[binding])]
