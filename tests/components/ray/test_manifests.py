"""The RayCluster and its operator, held against KubeRay's own schema and constants."""

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from components.kube.logs import LogAgent
from components.kube.model import Compute, Resources
from components.kube.pods import Around
from components.kube.quantity import number
from components.kube.wires import Bucket, Endpoint, KeyValueStore, Login, LogStore, SecretRef
from components.ray import manifests
from components.ray.manifests import PORTS, Surroundings, live_scaling, ray_cluster
from components.ray.spec import Gpu, GpuImage, RayImages, RaySpec, Scaling, WorkerGroup
from sandbox.tools import Toolbox
from tests.support.manifests import environment, pod, restricted

IMAGES = RayImages(
    ray="rayproject/ray:2.60.0",
    ray_gpu=GpuImage(reference="ml-platform/ray-gpu:2.60.0", cuda="11.4"),
    kuberay_operator="quay.io/kuberay/operator:v1.6.2",
    store_client="ml-platform/store-client:1",
)
AROUND = Surroundings(
    namespace="data-platform",
    head_account="ray-head",
    worker_account="ray-worker",
    priority_classes={"control": "p-control", "batch": "p-batch"},
)
READY = Around("data-platform", manifests.READY, "p-control")
GPU_GROUP = WorkerGroup(name="gpu", max_replicas=2, gpu=Gpu(model="Tesla-K80", count=2, runtime_class="nvidia"))
LOGS = LogAgent(
    LogStore("http://loki:3100/otlp"),
    "otel/collector:0.160.0",
    Resources(requests=Compute(cpu="10m", memory="64Mi"), limits=Compute(cpu="100m", memory="128Mi")),
)
LOGGED = Surroundings(**{**vars(AROUND), "logs": LOGS})
REDIS = KeyValueStore(Endpoint("redis", 6379, "redis://redis:6379"), SecretRef("redis-password", "password"))


@pytest.fixture(scope="module")
def schema(toolbox: Toolbox) -> dict[str, Any]:
    """KubeRay's own schema of a RayCluster, with unknown keys refused as the API server's strict mode does."""
    crd = yaml.load((toolbox.crds / "ray.io_rayclusters.yaml").read_text(), yaml.CSafeLoader)
    version = next(version for version in crd["spec"]["versions"] if version["storage"])
    return dict(strict(version["schema"]["openAPIV3Schema"]))


def strict(node: Any) -> Any:
    if isinstance(node, list):
        return [strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    strictly = {key: strict(value) for key, value in node.items()}
    if isinstance(node.get("properties"), dict) and "additionalProperties" not in node:
        strictly["additionalProperties"] = bool(node.get("x-kubernetes-preserve-unknown-fields"))
    if node.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    return strictly


def check(manifest: dict[str, Any], schema: dict[str, Any]) -> None:
    body = {key: value for key, value in manifest.items() if key not in {"metadata"}}
    jsonschema.validate({**body, "metadata": {}}, {**schema, "properties": {**schema["properties"], "metadata": {}}})


@pytest.mark.parametrize(
    "around", [AROUND, Surroundings(**{**vars(AROUND), "redis": REDIS}), LOGGED], ids=["plain", "redis", "logged"]
)
@pytest.mark.parametrize("authentication", ["token", "disabled"])
def test_kuberays_schema_accepts_the_cluster(around: Surroundings, authentication: str, schema: dict[str, Any]) -> None:
    spec = RaySpec.model_validate({"authentication": authentication})
    spec = spec.model_copy(update={"worker_groups": (*spec.worker_groups, GPU_GROUP)})
    check(ray_cluster(spec, IMAGES, around), schema)


def test_the_schema_check_can_fail(schema: dict[str, Any]) -> None:
    manifest = ray_cluster(RaySpec(), IMAGES, AROUND)
    manifest["spec"]["workerGroupSpecs"][0]["maxReplica"] = 3
    with pytest.raises(jsonschema.ValidationError, match="maxReplica"):
        check(manifest, schema)


def test_the_head_runs_no_tasks_of_users_and_shows_every_port() -> None:
    head = ray_cluster(RaySpec(), IMAGES, AROUND)["spec"]["headGroupSpec"]
    container = head["template"]["spec"]["containers"][0]
    assert head["rayStartParams"]["num-cpus"] == "0"
    internal = {6380, 6381, 6382, 6383, 52365}
    assert {port["containerPort"] for port in container["ports"]} == {6379, 8265, 10001, 8000, 8080} | internal


def test_a_worker_that_runs_nothing_is_ended_within_a_minute_and_one_that_starts_has_time() -> None:
    spec = ray_cluster(RaySpec(), IMAGES, AROUND)["spec"]
    (group,) = spec["workerGroupSpecs"]
    worker = group["template"]["spec"]["containers"][0]
    patience = {
        name: worker[name]["periodSeconds"] * worker[name]["failureThreshold"]
        for name in ("startupProbe", "livenessProbe")
    }
    assert patience == {"startupProbe": 600, "livenessProbe": 60}
    for name in patience:
        assert worker[name]["httpGet"]["path"] == "/api/healthz"
        assert str(worker[name]["httpGet"]["port"]) == group["rayStartParams"]["dashboard-agent-listen-port"]
    # With the head goes all that the cluster remembers: KubeRay's own patience is right for it.
    assert "livenessProbe" not in spec["headGroupSpec"]["template"]["spec"]["containers"][0]


def test_sizes_and_bounds_default_to_those_of_the_reports() -> None:
    spec = ray_cluster(RaySpec(), IMAGES, AROUND)["spec"]
    head = spec["headGroupSpec"]["template"]["spec"]["containers"][0]["resources"]
    (group,) = spec["workerGroupSpecs"]
    worker = group["template"]["spec"]["containers"][0]["resources"]
    # Report 000, "Resource Allocation", and report 001, 3.1: 1-2 CPU and 4-8Gi for the head, 1 CPU and 4Gi a worker.
    assert (head["requests"]["cpu"], head["requests"]["memory"]) == ("1", "4Gi")
    assert (head["limits"]["cpu"], head["limits"]["memory"]) == ("2", "8Gi")
    assert (worker["requests"]["cpu"], worker["requests"]["memory"]) == ("1", "4Gi")
    assert (group["minReplicas"], group["replicas"], group["maxReplicas"]) == (1, 2, 5)


def test_authentication_is_on_by_default() -> None:
    assert ray_cluster(RaySpec(), IMAGES, AROUND)["spec"]["authOptions"] == {
        "mode": "token",
        "secretName": manifests.AUTH_SECRET,
    }


@pytest.mark.parametrize(("around", "expected"), [(AROUND, 5), (LOGGED, 7)], ids=["plain", "logged"])
def test_every_pod_satisfies_the_restricted_profile(around: Surroundings, expected: int) -> None:
    spec = RaySpec(worker_groups=(GPU_GROUP,))
    cluster = ray_cluster(spec, IMAGES, around)["spec"]
    templates = [cluster["headGroupSpec"]["template"], *[group["template"] for group in cluster["workerGroupSpecs"]]]
    templates.append(manifests.operator_deployment(spec, IMAGES, "n", "p")["spec"]["template"])
    templates += [daemon["spec"]["template"] for daemon in manifests.pre_pulls(spec, IMAGES, "n", "a").values()]
    containers = [c for t in templates for c in [*t["spec"]["containers"], *t["spec"].get("initContainers", [])]]
    assert len(containers) == expected
    for container in [*containers, cluster["autoscalerOptions"]]:
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["runAsNonRoot"] is True
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}


def test_a_log_agent_reads_rays_own_files_beside_every_ray_container() -> None:
    cluster = ray_cluster(RaySpec(worker_groups=(GPU_GROUP,)), IMAGES, LOGGED)["spec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        spec = group["template"]["spec"]
        (agent,), (ray,) = spec["initContainers"], spec["containers"]
        # Native: it starts before Ray and ends after it, and no pod waits for its end.
        assert (agent["name"], agent["restartPolicy"]) == ("log-agent", "Always")
        volumes = {each["name"]: each for each in spec["volumes"]}
        (files,) = [each for each in ray["volumeMounts"] if each["name"] == "ray-logs"]
        # KubeRay mounts a volume of this name there for its autoscaler, which writes too (common/pod.go).
        assert Path(files["mountPath"]) == Path("/tmp") / "ray"  # noqa: S108 Ray's own
        assert volumes["ray-logs"]["emptyDir"] == {"sizeLimit": ray["resources"]["limits"]["ephemeral-storage"]}
        assert agent["volumeMounts"] == [{**files, "readOnly": True}]
        told = {each["name"]: each.get("value") for each in agent["env"]}
        assert told["LOGS_URL"] == "http://loki:3100/otlp"
        config = json.loads(told["COLLECTOR_CONFIG"])
        assert {Path(each).parts[:3] for each in config["receivers"]["file_log"]["include"]} == {("/", "tmp", "ray")}
        known = {each["key"]: each["value"] for each in config["processors"]["resource"]["attributes"]}
        assert known["service.name"] == ray["name"]
        asked = set(re.findall(r"\$\{env:(\w+)\}", told["COLLECTOR_CONFIG"]))
        assert asked == set(told) - {"COLLECTOR_CONFIG"}


def test_a_gpu_group_is_placed_by_its_model_and_says_what_cuda_is_inside() -> None:
    (group,) = ray_cluster(RaySpec(worker_groups=(GPU_GROUP,)), IMAGES, AROUND)["spec"]["workerGroupSpecs"]
    template = group["template"]
    pod, container = template["spec"], template["spec"]["containers"][0]
    assert pod["nodeSelector"] == {"nvidia.com/gpu.product": "Tesla-K80"}
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert pod["runtimeClassName"] == "nvidia"
    assert (
        container["resources"]["requests"]["nvidia.com/gpu"]
        == container["resources"]["limits"]["nvidia.com/gpu"]
        == "2"
    )
    assert container["image"] == IMAGES.ray_gpu.reference
    assert group["rayStartParams"]["num-gpus"] == "2"
    assert template["metadata"]["annotations"] == {"ml-platform/cuda-version": "11.4"}


def test_a_cpu_group_has_nothing_of_a_gpu() -> None:
    assert "nvidia" not in str(ray_cluster(RaySpec(), IMAGES, AROUND))


def test_a_changed_secret_replaces_the_pods() -> None:
    hashed = Surroundings(**{**vars(AROUND), "template_annotations": {"ml-platform/auth-token-hash": "abc"}})
    spec = ray_cluster(RaySpec(), IMAGES, hashed)["spec"]
    for template in (spec["headGroupSpec"]["template"], spec["workerGroupSpecs"][0]["template"]):
        assert template["metadata"]["annotations"]["ml-platform/auth-token-hash"] == "abc"
    assert spec["upgradeStrategy"] == {"type": "Recreate"}


def test_the_object_store_is_as_large_as_its_volume() -> None:
    template = ray_cluster(RaySpec(), IMAGES, AROUND)["spec"]["workerGroupSpecs"][0]
    (volume,) = template["template"]["spec"]["volumes"]
    assert number(volume["emptyDir"]["sizeLimit"]) == Decimal(template["rayStartParams"]["object-store-memory"])
    assert volume["emptyDir"]["medium"] == "Memory"


def test_redis_is_used_by_reference() -> None:
    around = Surroundings(**{**vars(AROUND), "redis": REDIS})
    assert ray_cluster(RaySpec(), IMAGES, around)["spec"]["gcsFaultToleranceOptions"] == {
        "redisAddress": "redis://redis:6379",
        "redisPassword": {"valueFrom": {"secretKeyRef": {"name": "redis-password", "key": "password"}}},
    }


@given(
    minimum=st.integers(0, 20),
    width=st.integers(0, 20),
    live=st.integers(0, 100),
)
def test_an_update_hands_back_what_the_autoscaler_wrote_within_the_bounds(minimum: int, width: int, live: int) -> None:
    group = WorkerGroup(name="cpu", min_replicas=minimum, max_replicas=max(1, minimum + width), initial_replicas=None)
    around = Surroundings(**{**vars(AROUND), "scaling": {"cpu": Scaling(replicas=live)}})
    (written,) = ray_cluster(RaySpec(worker_groups=(group,)), IMAGES, around)["spec"]["workerGroupSpecs"]
    assert group.min_replicas <= written["replicas"] <= group.max_replicas
    if group.min_replicas <= live <= group.max_replicas:
        assert written["replicas"] == live


def test_scaling_follows_the_name_of_a_group_and_not_its_place() -> None:
    live = {
        "spec": {
            "workerGroupSpecs": [
                {"groupName": "cpu", "replicas": 4, "scaleStrategy": {"workersToDelete": ["cpu-gone", "cpu-x"]}},
                {"groupName": "gpu", "replicas": 2, "scaleStrategy": {"workersToDelete": ["gpu-gone"]}},
            ]
        }
    }
    groups = (WorkerGroup(name="big", min_replicas=0), GPU_GROUP, WorkerGroup(name="cpu"))
    around = Surroundings(**{**vars(AROUND), "scaling": live_scaling(live, {"cpu-x", "cpu-y"})})
    written = ray_cluster(RaySpec(worker_groups=groups), IMAGES, around)["spec"]["workerGroupSpecs"]
    assert [(group["groupName"], group["replicas"]) for group in written] == [("big", 0), ("gpu", 2), ("cpu", 4)]
    assert written[2]["scaleStrategy"] == {"workersToDelete": ["cpu-x"]}
    assert "scaleStrategy" not in written[0]
    assert "scaleStrategy" not in written[1]  # what is gone already would only show as a change


@pytest.mark.parametrize("live", [None, {}, {"spec": {}}])
def test_a_cluster_that_is_not_there_yet_has_decided_nothing(live: dict[str, Any] | None) -> None:
    assert live_scaling(live, ()) == {}


def test_the_operator_runs_its_own_image_and_its_own_entry_point() -> None:
    deployment = manifests.operator_deployment(RaySpec(), IMAGES, "data-platform", "p")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == IMAGES.kuberay_operator
    assert "command" not in container
    assert {"--enable-leader-election=true", "--watch-namespace=$(POD_NAMESPACE)"} <= set(container["args"])


def test_the_services_have_the_names_and_ports_of_the_reports() -> None:
    found = {
        name: {port["name"]: port["port"] for port in manifests.service(RaySpec(), "n", name)["spec"]["ports"]}
        for name in manifests.SERVICES
    }
    # Report 002, "Service endpoints": ray-serve:8000 and ray-head:8265.
    assert found["ray-serve"] == {"serve": 8000}
    assert found["ray-head"]["dashboard"] == 8265
    assert found["ray-head"]["client"] == PORTS["client"] == 10001


def test_every_node_pulls_the_image_it_will_need_and_no_other() -> None:
    daemons = manifests.pre_pulls(RaySpec(worker_groups=(WorkerGroup(name="cpu"), GPU_GROUP)), IMAGES, "n", "a")
    pods = {name: daemon["spec"]["template"]["spec"] for name, daemon in daemons.items()}
    cpu, gpu = pods["ray-image-pull"], pods["ray-gpu-image-pull"]
    assert [container["image"] for container in cpu["containers"]] == [IMAGES.ray]
    assert [container["image"] for container in gpu["containers"]] == [IMAGES.ray_gpu.reference]
    assert "tolerations" not in cpu
    assert gpu["tolerations"] == [manifests.GPU_TOLERATION]
    assert "Tesla-K80" in str(gpu["affinity"])
    assert list(manifests.pre_pulls(RaySpec(), IMAGES, "n", "a")) == ["ray-image-pull"]


def granted(rules: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_the_operator_may_do_what_upstream_says_and_no_more(toolbox: Toolbox) -> None:
    ours = granted(manifests.operator_role("n")["rules"])
    upstream = set()
    for file in ("role.yaml", "leader_election_role.yaml"):
        upstream |= granted(yaml.safe_load(toolbox.binary(file).read_text())["rules"])
    assert ours - upstream == set()
    assert {(group, resource) for group, resource, _ in upstream - ours} == {
        ("extensions", "ingresses"),
        ("gateway.networking.k8s.io", "gateways"),
        ("gateway.networking.k8s.io", "httproutes"),
        ("networking.k8s.io", "ingressclasses"),
        ("route.openshift.io", "routes"),
    }
    # The kinds whose rights were missing in the reports (report 000, section 1; report 001, 1.1 and 3.1).
    for resource in ("jobs", "ingresses", "serviceaccounts", "roles", "rolebindings"):
        assert any(found == resource and verb == "create" for _, found, verb in ours), resource


def test_code_on_ray_finds_mlflow_and_the_object_store_without_a_secret_in_plain_text() -> None:
    bucket = Bucket(
        url="http://s3:9000",
        region="us-east-1",
        name="b",
        access_key=SecretRef(name="s3", key="access"),
        secret_key=SecretRef(name="s3", key="secret"),
    )
    login = Login("platform", SecretRef(name="mlflow-auth", key="platform"))
    environment = manifests.client_environment(
        Endpoint("mlflow", 5000, "http://mlflow:5000"), login, Endpoint("feast", 6566, "http://feast:6566"), bucket
    )
    around = Surroundings(**{**vars(AROUND), "environment": environment})
    spec = ray_cluster(RaySpec(), IMAGES, around)["spec"]
    for template in (spec["headGroupSpec"]["template"], spec["workerGroupSpecs"][0]["template"]):
        found = {variable["name"]: variable for variable in template["spec"]["containers"][0]["env"]}
        assert found["MLFLOW_TRACKING_URI"]["value"] == "http://mlflow:5000"
        assert found["AWS_ENDPOINT_URL_S3"]["value"] == "http://s3:9000"
        assert found["FEAST_SERVER_URL"]["value"] == "http://feast:6566"
        assert found["MLFLOW_TRACKING_USERNAME"]["value"] == "platform"
        for name, secret, key in (
            ("AWS_ACCESS_KEY_ID", "s3", "access"),
            ("AWS_SECRET_ACCESS_KEY", "s3", "secret"),
            ("MLFLOW_TRACKING_PASSWORD", "mlflow-auth", "platform"),
        ):
            assert found[name]["valueFrom"]["secretKeyRef"] == {"name": secret, "key": key}
            assert "value" not in found[name]
    assert manifests.client_environment(None, None, None, None) == []


def test_the_job_that_waits_has_time_to_tell_what_is_missing() -> None:
    job = manifests.ready_job(RaySpec(ready_timeout_seconds=300), IMAGES.store_client, READY, "r1")
    restricted(job)
    env = environment(job)
    assert env == {"NAMESPACE": "data-platform", "CLUSTER": "ray-cluster", "SECONDS": "300"}
    assert job["spec"]["activeDeadlineSeconds"] > int(env["SECONDS"])
    assert job["spec"]["backoffLimit"] == 0
    assert pod(job)["automountServiceAccountToken"] is True
    assert job["spec"]["template"]["metadata"]["annotations"] == {"ml-platform/revision": "r1"}
