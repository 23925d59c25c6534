"""Facts of Kubernetes and KubeRay about a RayCluster and its operator.

Source: github.com/ray-project/kuberay, ray-operator v1.6.2 (config/, apis/ray/v1, controllers/ray).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from components.kube import objects, rbac
from components.kube.access import Port, Workload, named
from components.kube.labels import labels
from components.kube.logs import LogAgent, agent
from components.kube.pods import (
    RESTRICTED_POD,
    TELLS_WHY,
    Around,
    Manifest,
    container,
    http_probe,
    of_pod,
    pod,
    resources,
    restricted_container,
    s3_env,
    scratch,
    secret_env,
    small,
)
from components.kube.quantity import number
from components.kube.traces import tracing
from components.kube.wires import Bucket, Endpoint, KeyValueStore, Login, TraceStore
from components.ray.spec import Gpu, Head, RayImages, RaySpec, Scaling, WorkerGroup

PORTS = {"gcs": 6379, "dashboard": 8265, "client": 10001, "serve": 8000, "metrics": 8080}
"""Ports of the head, as Ray and KubeRay name them."""

_APP_PROTOCOL = {"gcs": "grpc", "dashboard": "http", "client": "grpc", "serve": "http", "metrics": "http"}

_METRICS = {"metrics": "/metrics"}

INTERNAL_PORTS = {
    "node-manager": 6380,
    "object-manager": 6381,
    "runtime-env": 6382,
    "agent-grpc": 6383,
    "agent": 52365,
}
"""Ports of every Ray pod that other Ray pods use. Ray chooses them at random unless it is told (`ray start --help`)."""

_START_PARAMS = {
    "node-manager": "node-manager-port",
    "object-manager": "object-manager-port",
    "runtime-env": "runtime-env-agent-port",
    "agent-grpc": "dashboard-agent-grpc-port",
    "agent": "dashboard-agent-listen-port",
}

_FIRST_WORKER_PORT = 10002

NODES = "ray-nodes"
"""Headless Service over all pods of the cluster."""

SERVICES = {"ray-head": ("dashboard", "client", "gcs", "metrics"), "ray-serve": ("serve",)}
"""Services over the head and their ports. The names that the reports' users know (report 002, "Service endpoints")."""

AUTH_SECRET, AUTH_KEY = "ray-auth-token", "auth_token"
"""KubeRay reads this key: RAY_AUTH_TOKEN_SECRET_KEY in controllers/ray/utils/constant.go."""

OPERATOR = "kuberay-operator"
READY = "ray-ready"
CUDA_ANNOTATION = "ml-platform/cuda-version"
"""Read by the policy `gpu-runs-image-cuda` where an image's tag does not tell."""

GPU_TOLERATION: Manifest = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}

_LOG_FILES: Manifest = {"name": "ray-logs", "mountPath": "/tmp/ray"}  # noqa: S108 Ray's own
# KubeRay mounts a volume of this name there for the head and its autoscaler (RayLogVolumeName in common/pod.go), and
# takes the one that it finds.
_SESSION = "/tmp/ray/session_2*/logs/**"  # noqa: S108 Ray's own
# Not `session_latest`, which leads to the same files.

_NODE_HEALTH = {**http_probe("/api/healthz", INTERNAL_PORTS["agent"], initial=0, period=5), "timeoutSeconds": 5}
# The agent asks the GCS whether its raylet lives; a GCS that does not answer is no failure
# (dashboard/modules/reporter/healthz_agent.py of Ray 2.60).
_WORKER_PROBES: Manifest = {
    "startupProbe": {**_NODE_HEALTH, "failureThreshold": 120},
    "livenessProbe": {**_NODE_HEALTH, "failureThreshold": 12},
}
# KubeRay's own liveness probe waits ten minutes (DefaultLivenessProbeFailureThreshold in utils/constant.go). So long a
# worker whose raylet ended without an error, as a drained one's does, would be a pod that runs nothing, and count as
# room that the autoscaler has: it is removed by the autoscaler that drained it, which may be lost with its head.

_RAY_USER = 1000
# The user `ray` of the upstream images: docker/base-deps/Dockerfile of ray-project/ray.


HEAD_ACCOUNT, WORKER_ACCOUNT = "ray-head", "ray-worker"
"""ServiceAccounts: the autoscaler in the head's pod talks to the API server, workers to nobody."""


def workloads(spec: RaySpec) -> list[Workload]:
    """Head, workers, the Job that empties Redis after the cluster, and the operator.

    The Job runs when a cluster goes that had its state in Redis, so also where the new settings no longer want that.
    Source of the labels: RayNodeTypeLabelKey in KubeRay's controllers/ray/utils/constant.go, buildRedisCleanupJob in
    controllers/ray/raycluster_controller.go.
    """
    internal = {
        **{name: Port(port) for name, port in INTERNAL_PORTS.items()},
        "workers": Port(_FIRST_WORKER_PORT, last=_last_worker_port(spec)),
    }
    head = {name: Port(port, _APP_PROTOCOL[name]) for name, port in PORTS.items()}
    operator = replace(named(OPERATOR, metrics=Port(8080, "http")), metrics=_METRICS)
    return [
        Workload(
            "ray-head",
            _pods_of(spec, "head"),
            (HEAD_ACCOUNT,),
            {**head, **internal},
            # The last is KubeRay's, which workers use (GenerateHeadServiceName in utils/util.go).
            services=(*SERVICES, f"{spec.cluster_name}-head-svc"),
            peers=(NODES,),
            metrics=_METRICS,
        ),
        Workload(
            "ray-worker",
            _pods_of(spec, "worker"),
            (WORKER_ACCOUNT,),
            {"metrics": head["metrics"], **internal},
            peers=(NODES,),
            metrics=_METRICS,
        ),
        Workload("ray-cleanup", _pods_of(spec, "redis-cleanup"), (HEAD_ACCOUNT,)),
        *([operator] if spec.operator.mode == "managed" else []),
        named(READY),
    ]


def _pods_of(spec: RaySpec, kind: str) -> dict[str, str]:
    return {"ray.io/cluster": spec.cluster_name, "ray.io/node-type": kind}


def _last_worker_port(spec: RaySpec) -> int:
    return _FIRST_WORKER_PORT + spec.worker_ports - 1


def _internal_ports(spec: RaySpec) -> dict[str, str]:
    """The ports among `rayStartParams`."""
    return {
        **{_START_PARAMS[name]: str(port) for name, port in INTERNAL_PORTS.items()},
        "min-worker-port": str(_FIRST_WORKER_PORT),
        "max-worker-port": str(_last_worker_port(spec)),
    }


def operator_role(namespace: Any) -> Manifest:
    """What the operator may do, in its namespace only: the upstream roles of the pinned release, no wildcard.

    Source: config/rbac/role.yaml and leader_election_role.yaml. Left out because only optional features use them:
    OpenShift routes, Gateway API (RayService incremental upgrade), ingress classes (cluster scope), the removed API
    group `extensions`.
    """
    everything = ["create", "delete", "get", "list", "patch", "update", "watch"]
    kinds = ["rayclusters", "raycronjobs", "rayjobs", "rayservices"]
    rules = [
        ("", ["events", "services", "pods/status"], everything),
        ("", ["pods"], [*everything, "deletecollection"]),
        ("", ["pods/proxy", "services/status"], ["get", "patch", "update"]),
        ("", ["pods/resize"], ["patch"]),
        ("", ["services/proxy"], ["create", "get", "patch", "update"]),
        ("", ["secrets"], ["create", "get", "list", "watch"]),
        ("", ["serviceaccounts"], ["create", "delete", "get", "list", "watch"]),
        ("", ["configmaps"], everything),
        ("batch", ["jobs"], everything),
        ("coordination.k8s.io", ["leases"], ["create", "get", "list", "update"]),
        ("discovery.k8s.io", ["endpointslices"], ["get", "list", "watch"]),
        ("networking.k8s.io", ["ingresses"], everything),
        ("ray.io", kinds, everything),
        ("ray.io", [f"{kind}/finalizers" for kind in kinds], ["update"]),
        ("ray.io", [f"{kind}/status" for kind in kinds], ["get", "patch", "update"]),
        ("rbac.authorization.k8s.io", ["rolebindings"], ["create", "delete", "get", "list", "watch"]),
        ("rbac.authorization.k8s.io", ["roles"], ["create", "delete", "get", "list", "update", "watch"]),
    ]
    return rbac.role("ray", namespace, OPERATOR, rules)


def operator_deployment(spec: RaySpec, images: RayImages, namespace: Any, priority_class: Any) -> Manifest:
    """The operator: its own image and its own entry point, watching this namespace only.

    Source: config/manager/manager.yaml; flags and the probe address from main.go and apis/config/v1alpha1.
    """
    manager = container(
        OPERATOR,
        size=resources(spec.operator.resources),
        **_image(spec, images.kuberay_operator),
        args=[
            "--enable-leader-election=true",
            "--leader-election-namespace=$(POD_NAMESPACE)",
            "--watch-namespace=$(POD_NAMESPACE)",
            "--enable-metrics=true",
            "--metrics-addr=:8080",
            "--health-probe-bind-address=:8082",
        ],
        env=[of_pod("POD_NAMESPACE", "metadata.namespace")],
        ports=[{"name": "metrics", "containerPort": 8080}, {"name": "health", "containerPort": 8082}],
        livenessProbe=http_probe("/healthz", "health", initial=10, failures=5),
        readinessProbe=http_probe("/readyz", "health"),
    )
    pod: Manifest = {
        "serviceAccountName": OPERATOR,
        "automountServiceAccountToken": True,
        "priorityClassName": priority_class,
        "securityContext": RESTRICTED_POD,
        "terminationGracePeriodSeconds": 10,
        "containers": [manager],
    }
    return objects.workload(
        "Deployment", "ray", namespace, OPERATOR, pod=pod, replicas=1, strategy={"type": "Recreate"}
    )


@dataclass(frozen=True)
class Surroundings:
    """What a RayCluster meets in its namespace; every value may be known only after apply.

    Attributes:
        namespace: where the cluster lives.
        head_account: identity of the head, whose autoscaler talks to the API server.
        worker_account: identity of the workers, which talk to nobody.
        priority_classes: role to PriorityClass.
        annotations: of the RayCluster itself.
        template_annotations: of every pod; a change of one replaces the pods.
        environment: of every Ray container.
        redis: where the cluster's state outlives the head, or None.
        logs: what brings its log files to where they outlive their pods, or None.
        scaling: what the autoscaler has decided so far, by worker group.
    """

    namespace: Any
    head_account: Any
    worker_account: Any
    priority_classes: Mapping[str, Any]
    annotations: Manifest = field(default_factory=dict)
    template_annotations: Manifest = field(default_factory=dict)
    environment: Sequence[Manifest] = ()
    redis: KeyValueStore | None = None
    logs: LogAgent | None = None
    scaling: Mapping[str, Scaling] = field(default_factory=dict)


def ray_cluster(spec: RaySpec, images: RayImages, around: Surroundings) -> Manifest:
    """The RayCluster.

    `pulumi.com/waitFor` makes an update wait for the operator's own condition (apis/ray/v1/raycluster_types.go,
    RayClusterProvisioned). `pulumi.com/patchForce`: `workerGroupSpecs` is one atomic field, which the autoscaler owns
    as soon as it scales; what it wrote stands in `around.scaling` and is handed back.
    """
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": objects.metadata(
            "ray",
            around.namespace,
            spec.cluster_name,
            {
                "pulumi.com/waitFor": "condition=RayClusterProvisioned",
                "pulumi.com/patchForce": "true",
                **around.annotations,
            },
        ),
        "spec": _without_empty(
            {
                "rayVersion": spec.version,
                "enableInTreeAutoscaling": True,
                "autoscalerOptions": {
                    "version": "v2",
                    "idleTimeoutSeconds": spec.autoscaler.idle_timeout_seconds,
                    "upscalingMode": spec.autoscaler.upscaling_mode,
                    "imagePullPolicy": spec.image_pull_policy,
                    "resources": resources(spec.autoscaler.resources),
                    "securityContext": _ray_security(),
                },
                "upgradeStrategy": {"type": spec.upgrade_strategy},
                "authOptions": _authentication(spec),
                "headGroupSpec": _head_group(spec, images, around),
                "workerGroupSpecs": [_worker_group(spec, images, group, around) for group in spec.worker_groups],
            },
            gcsFaultToleranceOptions=_gcs_fault_tolerance(around.redis),
        ),
    }


def _gcs_fault_tolerance(redis: KeyValueStore | None) -> Manifest:
    if not redis:
        return {}
    password = {"name": redis.password.name, "key": redis.password.key}
    return {"redisAddress": redis.endpoint.url, "redisPassword": {"valueFrom": {"secretKeyRef": password}}}


def _head_group(spec: RaySpec, images: RayImages, around: Surroundings) -> Manifest:
    return {
        "rayStartParams": {
            "dashboard-host": "0.0.0.0",  # noqa: S104 the dashboard must answer on the pod's address
            "num-cpus": "0",
            "object-store-memory": _bytes(spec.head.shared_memory),
            **_internal_ports(spec),
        },
        "template": _pod_template(
            spec,
            spec.head,
            {
                "name": "ray-head",
                **_image(spec, images.ray),
                "ports": _ports({**PORTS, **INTERNAL_PORTS}),
            },
            around,
            pod={
                "serviceAccountName": around.head_account,
                "automountServiceAccountToken": True,
                "priorityClassName": around.priority_classes["control"],
                # `ray kuberay-autoscaler` is the first process of its container and ignores SIGTERM: a change of the
                # head would always have the pause of the default 30 s.
                "terminationGracePeriodSeconds": 10,
            },
        ),
    }


def _authentication(spec: RaySpec) -> Manifest:
    return {"mode": "token", "secretName": AUTH_SECRET} if spec.authentication == "token" else {"mode": "disabled"}


def _worker_group(spec: RaySpec, images: RayImages, group: WorkerGroup, around: Surroundings) -> Manifest:
    now = around.scaling.get(group.name)
    params = {"object-store-memory": _bytes(group.shared_memory), **_internal_ports(spec)}
    annotations: Manifest = {}
    if group.gpu:
        params["num-gpus"] = str(group.gpu.count)
        annotations = {CUDA_ANNOTATION: images.ray_gpu.cuda}
    return _without_empty(
        {
            "groupName": group.name,
            "replicas": group.replicas(now),
            "minReplicas": group.min_replicas,
            "maxReplicas": group.max_replicas,
            "numOfHosts": 1,
            "rayStartParams": params,
            "template": _pod_template(
                spec,
                group,
                {
                    "name": "ray-worker",
                    **_image(spec, images.ray_gpu.reference if group.gpu else images.ray),
                    "ports": _ports({"metrics": PORTS["metrics"], **INTERNAL_PORTS}),
                    **_WORKER_PROBES,
                },
                around,
                pod={
                    "serviceAccountName": around.worker_account,
                    "automountServiceAccountToken": False,
                    "priorityClassName": around.priority_classes["batch"],
                },
                annotations=annotations,
            ),
        },
        idleTimeoutSeconds=group.idle_timeout_seconds,
        scaleStrategy={"workersToDelete": list(now.workers_to_delete)} if now and now.workers_to_delete else None,
    )


def _pod_template(
    spec: RaySpec,
    shape: Head | WorkerGroup,
    container: Manifest,
    around: Surroundings,
    *,
    pod: Manifest,
    annotations: Manifest | None = None,
) -> Manifest:
    """A pod of Ray. Autoscaler v2 replaces pods itself, hence `restartPolicy: Never` (utils/validation.go)."""
    gpu = shape.gpu if isinstance(shape, WorkerGroup) else None
    counted = {"ephemeral-storage": shape.ephemeral_storage, **({"nvidia.com/gpu": str(gpu.count)} if gpu else {})}
    return {
        "metadata": _without_empty(
            {"labels": labels("ray", version=spec.version)},
            annotations={**around.template_annotations, **(annotations or {})},
        ),
        "spec": {
            **pod,
            **_placement(shape, gpu),
            "restartPolicy": "Never",
            "enableServiceLinks": False,  # MLFLOW_PORT of a Service `mlflow` would be read as an option of MLflow's
            "securityContext": {**RESTRICTED_POD, "fsGroup": _RAY_USER},
            "containers": [
                _without_empty(
                    {
                        **container,
                        "resources": resources(shape.resources, **counted),
                        "securityContext": _ray_security(),
                        **TELLS_WHY,
                        "volumeMounts": [
                            {"name": "shared-mem", "mountPath": "/dev/shm"},  # noqa: S108 object store
                            *([_LOG_FILES] if around.logs else []),
                        ],
                    },
                    env=list(around.environment),
                )
            ],
            "volumes": [
                {"name": "shared-mem", "emptyDir": {"medium": "Memory", "sizeLimit": shape.shared_memory}},
                # What Ray spills lies there too.
                *(scratch(**{_LOG_FILES["name"]: shape.ephemeral_storage}) if around.logs else []),
            ],
            **({"initContainers": [_log_agent(around.logs, container["name"])]} if around.logs else {}),
        },
    }


def _log_agent(by: LogAgent, node: str) -> Manifest:
    """Reads the log files of the pod's Ray container; native, so that it starts before Ray and ends after it.

    Source: docs.ray.io, "Persist KubeRay custom resource logs", sidecar containers.
    """
    return {
        **agent(
            by,
            files=[f"{_SESSION}/*.{ending}" for ending in ("log", "out", "err")],
            resource={
                "service.name": node,
                "k8s.namespace.name": "${env:NAMESPACE}",
                "k8s.pod.name": "${env:POD}",
                "ray.io/cluster": "${env:CLUSTER}",
                "ray.io/group": "${env:GROUP}",
            },
            env=[
                of_pod("NAMESPACE", "metadata.namespace"),
                of_pod("POD", "metadata.name"),
                of_pod("CLUSTER", "metadata.labels['ray.io/cluster']"),
                of_pod("GROUP", "metadata.labels['ray.io/group']"),
            ],
            volumeMounts=[{**_LOG_FILES, "readOnly": True}],
        ),
        "restartPolicy": "Always",
    }


def _ports(ports: Mapping[str, int]) -> list[Manifest]:
    return [{"name": name, "containerPort": port} for name, port in ports.items()]


def _placement(shape: Head | WorkerGroup, gpu: Gpu | None) -> Manifest:
    """Where a pod may run; label and taint are the GPU operator's (NVIDIA gpu-feature-discovery)."""
    selector = {**shape.node_selector, **({"nvidia.com/gpu.product": gpu.model} if gpu else {})}
    tolerations = [_without_empty({}, **toleration.model_dump()) for toleration in shape.tolerations]
    return _without_empty(
        {},
        nodeSelector=selector,
        tolerations=[*tolerations, GPU_TOLERATION] if gpu else tolerations,
        runtimeClassName=gpu.runtime_class if gpu else None,
    )


def _ray_security() -> Manifest:
    """Ray writes its session below /tmp and the user's home, so the root filesystem stays writable."""
    return {**restricted_container(read_only_root=False), "runAsUser": _RAY_USER}


def _bytes(quantity: str) -> str:
    return str(int(number(quantity)))


def _without_empty(manifest: Manifest, **parts: Any) -> Manifest:
    return {**manifest, **{key: value for key, value in parts.items() if value}}


def service(spec: RaySpec, namespace: Any, name: str) -> Manifest:
    """A Service over the head pod: its selector is the pair of labels that KubeRay gives the pod."""
    ports = {port: (PORTS[port], _APP_PROTOCOL[port]) for port in SERVICES[name]}
    return objects.service("ray", namespace, name, _pods_of(spec, "head"), ports)


def nodes_service(spec: RaySpec, namespace: Any) -> Manifest:
    """A headless Service of every port on which Ray's pods find each other by address.

    A sidecar encrypts what it knows: what is sent to an address that no Service has leaves it as it came, and a
    sidecar that takes mutual TLS only refuses it. Pods find each other before they are ready, and the Service is there
    before the first of them. Source: docs.ray.io, "mTLS and L7 observability with Istio"; istio.io, "Traffic Routing",
    headless services.
    """
    ports = {"gcs": PORTS["gcs"], **INTERNAL_PORTS}
    ports |= {f"worker-{port}": port for port in range(_FIRST_WORKER_PORT, _last_worker_port(spec) + 1)}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": objects.metadata("ray", namespace, NODES, {"pulumi.com/skipAwait": "true"}),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {"ray.io/cluster": spec.cluster_name},
            "ports": [{"name": name, "port": port, "appProtocol": "tcp"} for name, port in ports.items()],
        },
    }


def pre_pulls(spec: RaySpec, images: RayImages, namespace: Any, account: Any) -> dict[str, Manifest]:
    """DaemonSets that make every node pull the image it will need, and keep it; by name.

    CPU nodes get the one image, GPU nodes (by the models of the groups) the other: each is gigabytes.
    """
    wanted: dict[str, tuple[str, Manifest]] = {"ray-image-pull": (images.ray, {})}
    if models := sorted({group.gpu.model for group in spec.worker_groups if group.gpu}):
        is_model = {"key": "nvidia.com/gpu.product", "operator": "In", "values": models}
        terms = {"nodeSelectorTerms": [{"matchExpressions": [is_model]}]}
        affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
        on_gpu_nodes = {"tolerations": [GPU_TOLERATION], "affinity": affinity}
        wanted["ray-gpu-image-pull"] = (images.ray_gpu.reference, on_gpu_nodes)
    identity = {"serviceAccountName": account, "automountServiceAccountToken": False}
    return {
        name: objects.image_pull("ray", namespace, name, _image(spec, image), {**identity, **placement})
        for name, (image, placement) in wanted.items()
    }


def ready_role(namespace: Any) -> Manifest:
    """What `ready_job` has to see."""
    return rbac.role("ray", namespace, READY, [("ray.io", ["rayclusters"], ["get"]), ("", ["pods"], ["list"])])


def ready_job(spec: RaySpec, image: str, around: Around, revision: Any) -> Manifest:
    """Succeeds when every pod that the cluster wants is ready, and runs again for each new form of the cluster.

    Args:
        spec: decisions.
        image: with the command `await-raycluster`.
        around: where it runs, with an account that has `ready_role`.
        revision: changes with the cluster's form, and not with what its autoscaler decides.
    """
    env = [
        {"name": "NAMESPACE", "value": around.namespace},
        {"name": "CLUSTER", "value": spec.cluster_name},
        {"name": "SECONDS", "value": str(spec.ready_timeout_seconds)},
    ]
    step = container("await", image, small("20m", "64Mi"), command=["await-raycluster"], env=env)
    return objects.job(
        "ray",
        around.namespace,
        READY,
        pod=pod(around, 65532, step, automountServiceAccountToken=True),
        # What it tells at its end is told by then.
        seconds=spec.ready_timeout_seconds + 60,
        annotations={"ml-platform/revision": revision},
        retries=0,
    )


def _image(spec: RaySpec, image: str) -> Manifest:
    return {"image": image, "imagePullPolicy": spec.image_pull_policy}


def client_environment(
    tracking: Endpoint | None, login: Login | None, features: Endpoint | None, bucket: Bucket | None
) -> list[Manifest]:
    """What code on Ray finds in its environment: the MLflow server, the feature server and a bucket of its own."""
    found: list[Manifest] = []
    if tracking:
        found += [
            {"name": "MLFLOW_TRACKING_URI", "value": tracking.url},
            {"name": "MLFLOW_DISABLE_TELEMETRY", "value": "true"},
        ]
    if login:
        found += [
            {"name": "MLFLOW_TRACKING_USERNAME", "value": login.user},
            secret_env("MLFLOW_TRACKING_PASSWORD", login.password),
        ]
    if features:
        found.append({"name": "FEAST_SERVER_URL", "value": features.url})
    if bucket:
        found += [*s3_env(bucket), {"name": "RAY_BUCKET", "value": f"s3://{bucket.name}"}]
    return found


def traces_environment(to: TraceStore | None) -> list[Manifest]:
    """What makes Ray Serve tell of the requests that it serves, where someone keeps traces.

    Source: ray 2.60, serve/_private/tracing_utils.py; MLflow's `MLFLOW_ENABLE_OTLP_EXPORTER`.
    """
    if not to:
        return []
    told = {
        # Of images/ray: it hands on by what OTEL_* say.
        "RAY_SERVE_TRACING_EXPORTER_IMPORT_PATH": "serve_tracing:span_processors",
        "RAY_SERVE_TRACING_SAMPLING_RATIO": str(to.sampling_percent / 100),
        # The same variables would lead the traces of MLflow's clients past the tracking server.
        "MLFLOW_ENABLE_OTLP_EXPORTER": "false",
    }
    return [*tracing(to, "ray-serve"), *({"name": name, "value": value} for name, value in told.items())]


def live_scaling(cluster: Mapping[str, Any] | None, pods: Collection[str]) -> dict[str, Scaling]:
    """What the autoscaler has decided, by group.

    It leaves the names of workers that are gone in `workersToDelete` until it scales again; handed back, each would
    show as a change for good, because the provider does not refresh a key that no update has written.

    Args:
        cluster: the RayCluster as the API server returns it, None where there is none.
        pods: the names of its pods that exist.
    """
    found: dict[str, Scaling] = {}
    for group in (cluster or {}).get("spec", {}).get("workerGroupSpecs", []):
        going = [pod for pod in group.get("scaleStrategy", {}).get("workersToDelete", []) if pod in pods]
        found[group["groupName"]] = Scaling(replicas=group.get("replicas", 0), workers_to_delete=tuple(going))
    return found
