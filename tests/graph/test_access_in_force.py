"""The access table against the whole program: its workloads are the pods, and the policies say what its rows say.

What the policies say is read by the evaluator (`policies.reach`), which knows nothing of how they were made.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest

from components.kube.access import AccessTable, Workload
from components.settings import Settings
from tests.graph.test_program import kind, settings_of
from tests.support.access import differences
from tests.support.recorder import Recording, record

API_SERVER = [("192.0.2.1", 6443)]
Policies = dict[str, dict[str, Any]]


@pytest.fixture(scope="module", params=["dev", "prod"])
def settings(request: pytest.FixtureRequest) -> Settings:
    return settings_of(request.param)


@pytest.fixture(scope="module")
def table(settings: Settings) -> AccessTable:
    return settings.access(API_SERVER)


@pytest.fixture(scope="module")
def recording(settings: Settings) -> Recording:
    return record(settings, stack="prod" if settings.cluster.kind == "existing" else "dev")


@pytest.fixture(scope="module")
def policies(recording: Recording) -> Policies:
    return {each.inputs["metadata"]["name"]: dict(each.inputs) for each in recording.of_type("NetworkPolicy")}


def templates(recording: Recording) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every pod template with the labels that its pods have, those of KubeRay included; by name of its object."""
    for resource in recording.kubernetes:
        spec = resource.inputs.get("spec", {})
        if kind(resource) == "RayCluster":
            cluster = {"ray.io/cluster": resource.inputs["metadata"]["name"]}
            yield "head", labelled(spec["headGroupSpec"]["template"], {**cluster, "ray.io/node-type": "head"})
            for group in spec["workerGroupSpecs"]:
                yield group["groupName"], labelled(group["template"], {**cluster, "ray.io/node-type": "worker"})
        elif kind(resource) in {"Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"}:
            spec = spec["jobTemplate"]["spec"] if kind(resource) == "CronJob" else spec
            yield resource.name, spec["template"]


def labelled(template: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    found = deepcopy(template)
    found["metadata"]["labels"] |= labels
    return found


def selected(workload: Workload, template: dict[str, Any]) -> bool:
    labels: dict[str, str] = template["metadata"]["labels"]
    return workload.selector.items() <= labels.items()


def test_every_pod_is_of_one_workload_with_its_account_and_ports(recording: Recording, table: AccessTable) -> None:
    seen = set()
    for name, template in templates(recording):
        if name.endswith("image-pull"):  # it sleeps
            continue
        (workload,) = [each for each in table.workloads if selected(each, template)]
        seen.add(workload.name)
        assert template["spec"]["serviceAccountName"] in workload.accounts, name
        listened = {
            (port["name"], port["containerPort"])
            for container in template["spec"]["containers"]
            for port in container.get("ports", [])
            if port["name"] != "health"  # for the kubelet, which no policy stops
        }
        described = {(port, number.number) for port, number in workload.ports.items() if not number.last}
        assert listened == described, name
    external = {name for name in ("postgres", "redis", "object-store") if not recording.of_type("StatefulSet")}
    # KubeRay makes the last when a cluster goes.
    assert {each.name for each in table.workloads} - seen == external | {"clients", "ray-cleanup"}


def test_ray_is_told_to_use_the_ports_of_the_table(recording: Recording, table: AccessTable) -> None:
    (cluster,) = [resource for resource in recording.kubernetes if kind(resource) == "RayCluster"]
    groups = [cluster.inputs["spec"]["headGroupSpec"], *cluster.inputs["spec"]["workerGroupSpecs"]]
    for group in groups:
        told = group["rayStartParams"]
        assert int(told["min-worker-port"]) in table.end("ray-worker").ports["workers"]
        assert int(told["max-worker-port"]) == table.end("ray-worker").ports["workers"].last
        numbers = {int(value) for name, value in told.items() if name.endswith("-port")}
        assert {port.number for port in table.end("ray-worker").ports.values()} - {8080} <= numbers


def test_policies_are_there_before_the_first_pod_and_after_the_last(recording: Recording) -> None:
    made = {policy.urn for policy in recording.of_type("NetworkPolicy")}
    assert len(made) >= 15
    pods = [each for each in recording.kubernetes if kind(each) in {"Deployment", "StatefulSet", "Job", "RayCluster"}]
    assert len(pods) >= 8
    for resource in pods:
        assert made <= set(resource.dependencies), resource.urn


def test_the_policies_say_exactly_what_the_table_says(
    settings: Settings, table: AccessTable, policies: Policies
) -> None:
    assert list(differences(table, policies.values(), settings.tenancy.namespace)) == []


Mutation = Callable[[Policies], object]


def rule(policies: Policies, name: str, direction: str, at: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = policies[name]["spec"][direction][at]
    return found


def ray_ports(policies: Policies) -> list[dict[str, Any]]:
    """The ports that a worker is reached on."""
    found: list[dict[str, Any]] = rule(policies, "ray-worker", "ingress")["ports"]
    return found


MUTATIONS: dict[str, Mutation] = {
    "no default deny": lambda made: made.pop("default-deny"),
    "default deny for outgoing only": lambda made: made["default-deny"]["spec"]["policyTypes"].remove("Ingress"),
    "default deny that admits": lambda made: made["default-deny"]["spec"].update(ingress=[{}]),
    "default deny of some": lambda made: made["default-deny"]["spec"].update(
        podSelector={"matchLabels": {"app.kubernetes.io/part-of": "ml-platform"}}
    ),
    "no DNS": lambda made: made.pop("everyone"),
    "DNS over TCP only": lambda made: rule(made, "everyone", "egress")["ports"].pop(0),
    "DNS over UDP only": lambda made: rule(made, "everyone", "egress")["ports"].pop(1),
    "DNS from addresses only": lambda made: rule(made, "everyone", "egress")["to"].pop(),
    "DNS: pods of every namespace": lambda made: rule(made, "everyone", "egress")["to"][-1].update(
        namespaceSelector={}
    ),
    "DNS: namespace and pods apart": lambda made: rule(made, "everyone", "egress").update(
        to=[{key: value} for key, value in rule(made, "everyone", "egress")["to"][-1].items()]
        + rule(made, "everyone", "egress")["to"][:-1]
    ),
    "DNS: all pods of kube-system": lambda made: rule(made, "everyone", "egress")["to"][-1].pop("podSelector"),
    "DNS on every port": lambda made: rule(made, "everyone", "egress").pop("ports"),
    "everyone anywhere": lambda made: made["everyone"]["spec"]["egress"].append({}),
    "a server is reached by all of the namespace": lambda made: rule(made, "mlflow", "ingress").update(
        {"from": [{"podSelector": {}}]}
    ),
    "a server is reached by the whole cluster": lambda made: rule(made, "mlflow", "ingress").update(
        {"from": [{"namespaceSelector": {}}]}
    ),
    "a server is reached by anyone": lambda made: rule(made, "mlflow", "ingress").pop("from"),
    "a server is reached on every port": lambda made: rule(made, "mlflow", "ingress").pop("ports"),
    "a server is reached on another port": lambda made: rule(made, "mlflow", "ingress")["ports"][0].update(port=5001),
    "a server's policy selects nothing": lambda made: made["mlflow"]["spec"].update(
        podSelector={"matchLabels": {"app.kubernetes.io/name": "mlflwo"}}
    ),
    "a server's policy selects all": lambda made: made["mlflow"]["spec"].update(podSelector={}),
    "a Job that reaches another store": lambda made: made["databases"]["spec"]["egress"].append(
        deepcopy(rule(made, "mlflow", "egress", 1))
    ),
    "a client that calls the API server": lambda made: made["clients"]["spec"]["egress"].append(
        deepcopy(rule(made, "kuberay-operator", "egress"))
    ),
    "the API server at another address": lambda made: rule(made, "kuberay-operator", "egress").update(
        to=[{"ipBlock": {"cidr": "192.0.2.2/32"}}]
    ),
    "the API server anywhere": lambda made: rule(made, "kuberay-operator", "egress").update(
        to=[{"ipBlock": {"cidr": "0.0.0.0/0"}}]
    ),
    "Ray without a port of its own": lambda made: ray_ports(made).pop(0),
    "Ray with one worker's port too few": lambda made: ray_ports(made)[-1].update(endPort=10050),
    "Ray with one worker's port too many": lambda made: ray_ports(made)[-1].update(endPort=10052),
    "Ray with the first worker's port only": lambda made: ray_ports(made)[-1].pop("endPort"),
    "workers that do not reach each other": lambda made: made["ray-worker"]["spec"]["ingress"].pop(1),
    "a worker that is reached as a pod of any cluster": lambda made: rule(made, "ray-worker", "ingress").update(
        {"from": [{"podSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}]}
    ),
    "no way out for a Job": lambda made: made.pop("mlflow-migrate"),
    "a way out for a Job to all": lambda made: rule(made, "mlflow-migrate", "egress").pop("to"),
    "a port spoken over UDP": lambda made: rule(made, "feast-registry", "egress")["ports"][0].update(protocol="UDP"),
    "policies in another namespace": lambda made: made["redis"]["metadata"].update(namespace="elsewhere"),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_policy_that_says_something_else_is_caught(
    name: str, settings: Settings, table: AccessTable, policies: Policies
) -> None:
    changed = deepcopy(policies)
    MUTATIONS[name](changed)
    assert changed != policies
    assert next(differences(table, changed.values(), settings.tenancy.namespace), None) is not None
