"""The access table against the whole program: its workloads are the pods, and the policies say what its rows say.

What the policies say is read by the evaluator (`policies.reach`), which knows nothing of how they were made.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest

from components.kube.access import AccessTable, Workload
from components.settings import Settings
from policies.reach import Objects, Pod, flaws
from tests.graph.test_program import VARIANTS, kind, settings_of
from tests.support.access import differences, end
from tests.support.recorder import Recording, record

API_SERVER = [("192.0.2.1", 6443)]
Policies = dict[str, dict[str, Any]]
"""By name; what is not a NetworkPolicy by kind and name."""

JUDGED = {"NetworkPolicy", "PeerAuthentication", "AuthorizationPolicy", "DestinationRule", "Service"}


@pytest.fixture(scope="module", params=VARIANTS)
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
    found = [dict(each.inputs) for each in recording.kubernetes if kind(each) in JUDGED]
    return {_key(each): each for each in found}


def _key(manifest: dict[str, Any]) -> str:
    name: str = manifest["metadata"]["name"]
    return name if manifest["kind"] == "NetworkPolicy" else f"{manifest['kind']} {name}"


OF_THE_OPERATOR = {"Alertmanager": 9093, "Prometheus": 9090}
"""Kinds of the Prometheus operator, and the port that their pods listen on."""


def templates(recording: Recording) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every pod template with the labels that its pods have, those of KubeRay included; by name of its object."""
    for resource in recording.kubernetes:
        spec = resource.inputs.get("spec", {})
        if kind(resource) == "RayCluster":
            cluster = {"ray.io/cluster": resource.inputs["metadata"]["name"]}
            yield "head", labelled(spec["headGroupSpec"]["template"], {**cluster, "ray.io/node-type": "head"})
            for group in spec["workerGroupSpecs"]:
                yield group["groupName"], labelled(group["template"], {**cluster, "ray.io/node-type": "worker"})
        elif kind(resource) in OF_THE_OPERATOR:
            name, port = kind(resource).lower(), OF_THE_OPERATOR[kind(resource)]
            own = {"name": name, "ports": [{"name": spec["portName"], "containerPort": port}]}
            pod = {"serviceAccountName": spec["serviceAccountName"], "containers": [own]}
            labels = {**spec["podMetadata"]["labels"], "app.kubernetes.io/name": name}
            yield resource.name, {"metadata": {"labels": labels}, "spec": pod}
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
    stateful = {each.inputs["metadata"]["name"] for each in recording.of_type("StatefulSet")}
    external = {"postgres", "redis", "object-store"} - stateful
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
    made = {each.urn for each in recording.kubernetes if kind(each) in JUDGED - {"Service"}}
    assert len(made) >= 35
    pods = [each for each in recording.kubernetes if kind(each) in {"Deployment", "StatefulSet", "Job", "RayCluster"}]
    assert len(pods) >= 8
    for resource in pods:
        assert made <= set(resource.dependencies), resource.urn


def test_the_policies_say_exactly_what_the_table_says(table: AccessTable, policies: Policies) -> None:
    assert list(differences(table, policies.values())) == []


def test_they_have_none_of_the_flaws_of_the_field(table: AccessTable, policies: Policies) -> None:
    pods = [end(workload, table.namespace).what for workload in table.workloads]
    assert list(flaws(Objects.of(policies.values()), [pod for pod in pods if isinstance(pod, Pod)])) == []


Mutation = Callable[[Policies], object]


def rule(policies: Policies, name: str, direction: str, at: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = policies[name]["spec"][direction][at]
    return found


def ray_ports(policies: Policies) -> list[dict[str, Any]]:
    """The ports that a worker is reached on."""
    found: list[dict[str, Any]] = rule(policies, "ray-worker", "ingress")["ports"]
    return found


def mutual(policies: Policies) -> dict[str, Any]:
    found: dict[str, Any] = policies["PeerAuthentication default"]["spec"]
    return found


def peer_authentication(policies: Policies, spec: dict[str, Any]) -> dict[str, Any]:
    """One more, of the tracking server."""
    made = deepcopy(policies["PeerAuthentication default"])
    made["metadata"]["name"] = "weak"
    made["spec"] = {**allowed(policies, "mlflow"), **spec}
    for other in ("action", "rules"):
        del made["spec"][other]
    return made


def allowed(policies: Policies, name: str) -> dict[str, Any]:
    found: dict[str, Any] = policies[f"AuthorizationPolicy {name}"]["spec"]
    return found


def source(policies: Policies, name: str) -> dict[str, Any]:
    found: dict[str, Any] = allowed(policies, name)["rules"][0]["from"][0]["source"]
    return found


def sent(policies: Policies, service: str) -> dict[str, Any]:
    found: dict[str, Any] = policies[f"DestinationRule {service}"]["spec"]["trafficPolicy"]["tls"]
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
    "no mutual TLS": lambda made: made.pop("PeerAuthentication default"),
    "mutual TLS as a choice": lambda made: mutual(made).update(mtls={"mode": "PERMISSIVE"}),
    "mutual TLS as the mesh has it": lambda made: mutual(made).update(mtls={"mode": "UNSET"}),
    "mutual TLS of some": lambda made: mutual(made).update(selector={"matchLabels": {"app": "mlflow"}}),
    "mutual TLS of another namespace": lambda made: made["PeerAuthentication default"]["metadata"].update(
        namespace="elsewhere"
    ),
    "plain text for a workload": lambda made: made.update(
        weak=peer_authentication(made, {"mtls": {"mode": "PERMISSIVE"}})
    ),
    "plain text on a port": lambda made: made.update(
        weak=peer_authentication(made, {"portLevelMtls": {"5000": {"mode": "PERMISSIVE"}}})
    ),
    "no denial of strange identities": lambda made: made.pop("AuthorizationPolicy default-deny"),
    "a denial that allows": lambda made: made["AuthorizationPolicy default-deny"]["spec"].update(rules=[{}]),
    "a denial of some": lambda made: made["AuthorizationPolicy default-deny"]["spec"].update(
        selector={"matchLabels": {"app": "mlflow"}}
    ),
    "identity and port apart": lambda made: allowed(made, "mlflow").update(
        rules=[{part: rule[part]} for rule in allowed(made, "mlflow")["rules"] for part in ("from", "to")]
    ),
    "any identity": lambda made: source(made, "mlflow").update(principals=["*"]),
    "any identity of the namespace": lambda made: allowed(made, "mlflow")["rules"][0].update(
        {"from": [{"source": {"namespaces": ["data-platform"]}}]}
    ),
    "identities that begin alike": lambda made: source(made, "mlflow").update(
        principals=["cluster.local/ns/data-platform/sa/ray*"]
    ),
    "an identity of another namespace": lambda made: source(made, "mlflow").update(
        principals=["cluster.local/ns/elsewhere/sa/mlflow"]
    ),
    "an identity that nobody has": lambda made: source(made, "mlflow").update(principals=["ray-head"]),
    "everyone without an identity": lambda made: allowed(made, "mlflow")["rules"][0].pop("from"),
    "an identity on every port": lambda made: allowed(made, "ray-head")["rules"][0].pop("to"),
    "an identity on another port": lambda made: allowed(made, "mlflow")["rules"][0]["to"][0]["operation"].update(
        ports=["5001"]
    ),
    "Ray's identities without the last worker's port": lambda made: allowed(made, "ray-worker")["rules"][0]["to"][0][
        "operation"
    ]["ports"].pop(),
    "a port with a method, where nobody sees methods": lambda made: allowed(made, "ray-worker")["rules"][0]["to"][0][
        "operation"
    ].update(methods=["GET"]),
    "an allowance of nobody's pods": lambda made: allowed(made, "mlflow").update(
        selector={"matchLabels": {"app": "mlflwo"}}
    ),
    "an allowance of everybody's pods": lambda made: allowed(made, "mlflow").pop("selector"),
    "an allowance of another namespace": lambda made: made["AuthorizationPolicy mlflow"]["metadata"].update(
        namespace="elsewhere"
    ),
    "an allowance that is only tried": lambda made: made["AuthorizationPolicy mlflow"]["metadata"].update(
        annotations={"istio.io/dry-run": "true"}
    ),
    "an allowance that denies": lambda made: allowed(made, "mlflow").update(action="DENY"),
    "clients that send plain text": lambda made: sent(made, "mlflow").update(mode="DISABLE"),
    "clients that bring a certificate of their own": lambda made: sent(made, "ray-nodes").update(mode="SIMPLE"),
    "clients that expect someone else": lambda made: sent(made, "mlflow").update(
        subjectAltNames=["spiffe://x/ns/y/sa/z"]
    ),
    "workers that do not expect the head": lambda made: sent(made, "ray-nodes")["subjectAltNames"].pop(0),
}


# Of the network, each policy that admits scrapes of sidecars denies all else that enters a pod: the default too.
_DEFAULT = {"no default deny", "default deny for outgoing only", "default deny of some"}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_policy_that_says_something_else_is_caught(name: str, table: AccessTable, policies: Policies) -> None:
    changed = deepcopy(policies)
    MUTATIONS[name](changed)
    assert changed != policies
    if name in _DEFAULT:
        changed["everyone"]["spec"].pop("ingress", None)
        changed["everyone"]["spec"]["policyTypes"] = ["Egress"]
    before, after = ([each for each in made.values() if of_the_network(each)] for made in (policies, changed))
    looked_at = after if before != after else [each for each in changed.values() if not of_the_network(each)]
    assert next(differences(table, looked_at), None) is not None


def of_the_network(manifest: dict[str, Any]) -> bool:
    return bool(manifest["kind"] == "NetworkPolicy")
