"""The prod stack on an existing cluster, reached by its context, beside stores that are there already."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from components.gateway import manifests
from components.gateway.spec import GatewaySpec
from sandbox import addons
from sandbox.cluster import ClusterError
from tests.support.engine import Outcome, Stack, eventually
from tests.support.mesh import analysed, misread

WAY_IN = "gateways.gateway.networking.k8s.io,httproutes.gateway.networking.k8s.io,kongplugins.configuration.konghq.com"

NEIGHBOURS = {"postgres-shared": 5432, "redis-shared": 6379, "minio": 9000}
"""Hosts and ports of Pulumi.prod.yaml's external stores."""

SECRETS = {
    "postgres-admin": ("username", "password"),
    "redis-password": ("password",),
    "minio-credentials": ("access-key", "secret-key"),
}
"""Secrets that it refers to, and their keys."""


def neighbour(name: str, port: int) -> list[dict[str, Any]]:
    """A store that someone else runs: a pod and its Service."""
    labels = {"app": name}
    container = {"name": name, "image": f"{name}:1", "ports": [{"containerPort": port}]}
    return [
        {"kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": {"containers": [container]}},
        {
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": labels, "ports": [{"name": "tcp", "port": port}]},
        },
    ]


@pytest.fixture(scope="module")
def prod(new_stack: Callable[[str, str], Stack]) -> Stack:
    stack = new_stack("prod", "prod-platform")
    secrets = [
        {"kind": "Secret", "metadata": {"name": name}, "stringData": dict.fromkeys(keys, "theirs")}
        for name, keys in SECRETS.items()
    ]
    objects = [*secrets, *(each for name, port in NEIGHBOURS.items() for each in neighbour(name, port))]
    addons.install(stack.workspace.cluster, addons.TOOLS)
    stack.workspace.cluster.kubectl("create", "namespace", stack.namespace)
    stack.workspace.cluster.kubectl("label", "namespace", stack.namespace, "istio-injection=enabled")
    stack.create(*objects)
    return stack


@pytest.fixture(scope="module")
def first(prod: Stack) -> Outcome:
    return prod.up()


@pytest.fixture(autouse=True)
def deployed(first: Outcome) -> None:
    assert first.code == 0, first.text


def test_the_cluster_is_ready_with_its_larger_groups(prod: Stack) -> None:
    pods = prod.get("pods", "--selector", "ray.io/cluster=ray-cluster")["items"]
    groups = [pod["metadata"]["labels"]["ray.io/group"] for pod in pods]
    assert sorted(groups) == ["cpu", "cpu", "gpu", "headgroup"]
    (gpu,) = [pod for pod in pods if pod["metadata"]["labels"]["ray.io/group"] == "gpu"]
    assert gpu["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert gpu["spec"]["nodeName"] in {"gpu1", "gpu2"}


def test_the_images_are_on_every_node_before_the_cluster_needs_them(prod: Stack) -> None:
    nodes = {"ray-image-pull": {"cpu1", "k8s-worker"}, "ray-gpu-image-pull": {"gpu1", "gpu2"}}
    for name, expected in nodes.items():
        pods = prod.get("pods", "--selector", f"app.kubernetes.io/name={name}")["items"]
        assert {pod["spec"]["nodeName"] for pod in pods} == expected
        assert prod.get("daemonset", name)["status"]["numberReady"] == len(expected)


def environment(prod: Stack, kind: str, name: str) -> dict[str, Any]:
    """Variables of the first container, values or the Secret's key that they come from."""
    (container, *_) = prod.get(kind, name)["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each.get("value") or each["valueFrom"].get("secretKeyRef") for each in container["env"]}


def test_everything_leads_to_the_stores_that_are_there(prod: Stack) -> None:
    assert not prod.get("statefulsets")["items"]
    made = environment(prod, "job", "databases")
    assert (made["PGHOST"], made["PGUSER"]["name"], made["PGSSLMODE"]) == (
        "postgres-shared",
        "postgres-admin",
        "require",
    )
    server = environment(prod, "deployment", "mlflow")
    assert (server["PGHOST"], server["PGUSER"]) == ("postgres-shared", "mlflow")
    assert server["AWS_ENDPOINT_URL_S3"] == "http://minio:9000"
    assert server["AWS_SECRET_ACCESS_KEY"] == {"name": "minio-credentials", "key": "secret-key"}
    features = environment(prod, "deployment", "feast-server")
    assert (features["PGHOST"], features["REDIS_HOST"]) == ("postgres-shared", "redis-shared")
    assert features["REDIS_PASSWORD"] == {"name": "redis-password", "key": "password"}
    options = prod.get("rayclusters.ray.io", "ray-cluster")["spec"]["gcsFaultToleranceOptions"]
    assert options["redisAddress"] == "redis://redis-shared:6379"
    for host, port in NEIGHBOURS.items():
        assert prod.get("service", host)["spec"]["ports"][0]["port"] == port
    for name, keys in SECRETS.items():
        assert set(prod.get("secret", name)["data"]) == set(keys)


def test_servers_scale_and_are_never_drained_all_at_once(prod: Stack) -> None:
    bounds = {
        each["metadata"]["name"]: (each["spec"]["minReplicas"], each["spec"]["maxReplicas"])
        for each in prod.get("horizontalpodautoscalers")["items"]
    }
    assert bounds == {"mlflow": (2, 6), "feast-server": (2, 8)}
    budgets = {each["metadata"]["name"] for each in prod.get("poddisruptionbudgets")["items"]}
    assert budgets == {"mlflow", "feast-server", "feast-registry"}
    for name in budgets:
        assert eventually(partial(twice_ready, prod, name))


def twice_ready(prod: Stack, deployment: str) -> bool:
    return int(prod.get("deployment", deployment)["status"].get("readyReplicas", 0)) >= 2


def test_the_servers_know_clients_by_their_tokens(prod: Stack) -> None:
    account = f"system:serviceaccount:{prod.namespace}:feast-server"
    can = ("auth", "can-i", "--as", account)
    assert prod.kubectl(*can, "create", "tokenreviews").strip() == "yes"
    assert prod.kubectl(*can, "list", "rolebindings").strip() == "yes"
    assert prod.kubectl(*can, "list", "secrets", check=False).strip() == "no"


def test_the_way_in_is_there_and_nobody_waited_for_a_controller(prod: Stack) -> None:
    gateway = prod.get("gateways.gateway.networking.k8s.io", "ml-platform")
    hosts = ["api.254carbon.com", "mlflow.254carbon.com", "mlflow.local"]
    assert [each["hostname"] for each in gateway["spec"]["listeners"]] == hosts
    assert {each["status"] for each in gateway["status"]["conditions"]} == {"Unknown"}
    routes = {each["metadata"]["name"]: each for each in prod.get("httproutes.gateway.networking.k8s.io")["items"]}
    made = {each["metadata"]["name"] for each in prod.get("kongplugins.configuration.konghq.com")["items"]}
    assert set(routes) == {"serve", "features", "mlflow"}
    named = set()
    for name, route in routes.items():
        named |= set(route["metadata"]["annotations"]["konghq.com/plugins"].split(","))
        (rule,) = route["spec"]["rules"]
        (target,) = rule["backendRefs"]
        service = prod.get("service", target["name"])
        assert target["port"] in {port["port"] for port in service["spec"]["ports"]}, name
        assert service["metadata"]["annotations"]["ingress.kubernetes.io/service-upstream"] == "true", name
        host = f"{target['name']}.{prod.namespace}.svc.cluster.local"
        assert rule["filters"][0]["urlRewrite"]["hostname"] == host
    assert named == made
    answered = environment(prod, "deployment", "mlflow")["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    assert f"mlflow.{prod.namespace}.svc.cluster.local" in answered
    assert prod.outputs()["gateway"] == {
        "serve": ["https://api.254carbon.com/api/ml/serve"],
        "features": ["https://api.254carbon.com/api/ml/features"],
        "mlflow": ["https://mlflow.254carbon.com", "https://mlflow.local"],
        "authentication": "key",
    }


def test_the_clusters_prometheus_finds_monitors_and_rules_by_its_labels(prod: Stack) -> None:
    published = prod.outputs()["observability"]
    assert published["prometheus"] is None
    labels = ",".join(f"{key}={value}" for key, value in published["selector"].items())
    assert "release=kube-prometheus-stack" in labels
    monitors = prod.get("podmonitors.monitoring.coreos.com", "--selector", labels)["items"]
    named = {each["metadata"]["name"]: each["spec"].get("scrapeClass") for each in monitors}
    in_the_mesh = ("ray-head", "ray-worker", "kuberay-operator", "mlflow", "feast-server")
    assert named == {**dict.fromkeys(in_the_mesh, "istio-mesh"), "sidecar": None}
    assert len(prod.get("prometheusrules.monitoring.coreos.com", "--selector", labels)["items"]) >= 10
    assert prod.get("prometheuses.monitoring.coreos.com")["items"] == []


def other_ways_in(namespace: str) -> list[dict[str, Any]]:
    """Objects of settings that prod does not have."""
    hosts = {"api": {"hosts": ["api.example.com"], "authentication": "jwt"}, "mlflow": {"hosts": ["ml.example.com"]}}
    own = GatewaySpec.model_validate({"tls": {"issuer": "internal"}, **hosts})
    theirs = {"name": "shared", "namespace": "gateways", "listener": "https"}
    existing = GatewaySpec.model_validate({"existing": theirs, **hosts})
    assert own.tls
    route = partial(manifests.route, namespace=namespace, hosts=("a.example.com",), host="b", service="b", port=80)
    return [
        manifests.certificate(own, own.tls, namespace),
        {**manifests.gateway(own, own.tls, namespace), "metadata": {"name": "other"}},
        route(existing, name="other", path="/api/ml/serve", plugins=["a"]),
        route(existing, name="another", path="/", plugins=[]),
        manifests.plugins(own, namespace)["api"]["api-jwt"],
    ]


def admit(prod: Stack, manifest: dict[str, Any]) -> None:
    prod.kubectl("create", "--dry-run=server", "--filename", "-", stdin=json.dumps(manifest))


def test_other_ways_in_would_be_admitted(prod: Stack) -> None:
    for manifest in other_ways_in(prod.namespace):
        admit(prod, manifest)


def test_what_is_wrong_in_any_of_them_would_not(prod: Stack) -> None:
    certificate, gateway, route, _, plugin = other_ways_in(prod.namespace)
    del certificate["spec"]["issuerRef"]
    gateway["spec"]["listeners"].append(gateway["spec"]["listeners"][0])
    route["spec"]["rules"][0]["matches"][0]["path"]["value"] = "api"
    plugin["configuration"] = plugin["config"]
    expected = ("issuerRef", "listeners", "must be an absolute path", "configuration")
    for manifest, words in zip((certificate, gateway, route, plugin), expected, strict=True):
        with pytest.raises(ClusterError, match=words):
            admit(prod, manifest)


def test_the_pack_is_mandatory_and_found_nothing(first: Outcome) -> None:
    assert "Policies:" in first.text
    assert "Diagnostics:" not in first.text


def test_istio_itself_finds_nothing_wrong(prod: Stack) -> None:
    assert analysed(prod) == f"✔ No validation issues found when analyzing namespace: {prod.namespace}."


def test_the_policies_in_force_say_what_the_table_says(prod: Stack) -> None:
    assert misread(prod) == []


def test_a_second_update_changes_nothing(prod: Stack) -> None:
    again = prod.up("--expect-no-changes")
    assert again.code == 0, again.text
    assert set(again.changes) == {"unchanged"}


def test_a_refresh_finds_nothing(prod: Stack) -> None:
    assert prod.pulumi("refresh", "--preview-only", "--expect-no-changes").code == 0


def test_destroying_leaves_nothing(prod: Stack) -> None:
    done = prod.destroy()
    assert done.code == 0, done.text
    assert eventually(lambda: not prod.objects()), prod.objects()
    assert not prod.get(WAY_IN)["items"]
