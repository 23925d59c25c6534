"""The mesh rules against the program of each stack with one thing changed: the rule that is meant says so, and only it.

Where one change breaks two promises, both are named: a namespace that is PERMISSIVE has workloads that are.
"""

from collections.abc import Callable
from copy import deepcopy
from datetime import date
from typing import Any

import pytest
from pulumi.runtime.proto.analyzer_pb2 import AnalyzerResource

from components.mesh.spec import AccessSpec, NeighbourSpec, PlainText
from policies import configuration
from policies.configuration import Configuration, RuleException
from policies.judge import Diagnostic, Judge
from policies.pack import RULES
from policies.view import Stack
from policies.wire_view import resources
from tests.graph.test_program import settings_of
from tests.policies.support import POLICIES, Manifest, struct
from tests.support.recorder import record

WANTED = frozenset(kind for rule in RULES for kind in rule.kinds)
NAMESPACE = "data-platform"
NATIVE = "sidecar.istio.io/nativeSidecar"
Program = dict[str, Manifest]
"""Every object, by kind and name."""


@pytest.fixture(scope="module", params=["dev", "prod"])
def stack(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def program(stack: str) -> Program:
    return objects(record(settings_of(stack), stack=stack))


def objects(recording: Any) -> Program:
    found = [deepcopy(dict(each.inputs)) for each in recording.kubernetes]
    return {f"{each['kind']} {each['metadata']['name']}": each for each in found if "kind" in each}


def judged(program: Program, choice: Configuration) -> list[Diagnostic]:
    wire = (
        AnalyzerResource(urn=name, type="kubernetes:x:y", name=name, properties=struct(manifest))
        for name, manifest in program.items()
    )
    found = tuple(resource for one in wire for resource in resources(one, WANTED))
    judge = Judge(tuple(rule for rule in RULES if rule.name in MESH), choice, preview=False, today=date.today())
    return [*(each for resource in found for each in judge.resource(resource)), *judge.stack(Stack(found))]


MESH = {path.stem.replace("_", "-") for path in (POLICIES / "rules" / "mesh").glob("[a-z]*.py")}


def of_stack(stack: str) -> Configuration:
    return configuration.load(POLICIES / "config", stack, RULES)


def spec(program: Program, name: str) -> Manifest:
    found: Manifest = program[name]["spec"]
    return found


def template(program: Program, name: str) -> Manifest:
    found: Manifest = spec(program, name)["template"]
    return found


def head(program: Program) -> Manifest:
    found: Manifest = spec(program, "RayCluster ray-cluster")["headGroupSpec"]
    return found


def worker(program: Program) -> Manifest:
    found: Manifest = spec(program, "RayCluster ray-cluster")["workerGroupSpecs"][0]
    return found


def annotate(made: Manifest, name: str, value: str) -> None:
    made["metadata"]["annotations"][name] = value


def label(made: Manifest, name: str, value: str) -> None:
    made["metadata"]["labels"][name] = value


def add(program: Program, kind: str, name: str, content: Manifest, group: str = "security.istio.io/v1") -> None:
    metadata = {"name": name, "namespace": NAMESPACE}
    program[f"{kind} {name}"] = {"apiVersion": group, "kind": kind, "metadata": metadata, "spec": content}


def rule_of(program: Program, name: str) -> Manifest:
    found: Manifest = spec(program, f"AuthorizationPolicy {name}")["rules"][0]
    return found


MLFLOW = {"matchLabels": {"app.kubernetes.io/name": "mlflow"}}
Mutation = Callable[[Program], object]
MUTATIONS: dict[str, tuple[Mutation, set[str]]] = {
    "the namespace takes plain text": (
        lambda made: spec(made, "PeerAuthentication default").update(mtls={"mode": "PERMISSIVE"}),
        {"mesh-strict", "effective-strict"},
    ),
    "the namespace inherits": (
        lambda made: spec(made, "PeerAuthentication default").update(mtls={"mode": "UNSET"}),
        {"mesh-strict", "effective-strict"},
    ),
    "the namespace says nothing": (
        lambda made: made.pop("PeerAuthentication default"),
        {"mesh-strict", "effective-strict"},
    ),
    "a second policy for the namespace": (
        lambda made: add(made, "PeerAuthentication", "other", {"mtls": {"mode": "STRICT"}}),
        {"mesh-strict"},
    ),
    "one port takes plain text": (
        lambda made: add(
            made,
            "PeerAuthentication",
            "mlflow",
            {"selector": MLFLOW, "portLevelMtls": {"5000": {"mode": "PERMISSIVE"}}},
        ),
        {"effective-strict"},
    ),
    "Ray takes plain text": (
        lambda made: add(
            made,
            "PeerAuthentication",
            "ray",
            {"selector": {"matchLabels": {"ray.io/cluster": "ray-cluster"}}, "mtls": {"mode": "PERMISSIVE"}},
        ),
        {"effective-strict"},
    ),
    "a policy for no pod": (
        lambda made: add(
            made, "PeerAuthentication", "x", {"selector": {"matchLabels": {"app": "x"}}, "mtls": {"mode": "STRICT"}}
        ),
        {"no-dangling"},
    ),
    "no default denial": (lambda made: made.pop("AuthorizationPolicy default-deny"), {"authz-default-deny"}),
    "a denial that allows": (
        lambda made: spec(made, "AuthorizationPolicy default-deny").update(rules=[{}]),
        {"authz-default-deny"},
    ),
    "a server that nobody may call": (lambda made: made.pop("AuthorizationPolicy mlflow"), {"authz-default-deny"}),
    "any identity": (
        lambda made: rule_of(made, "mlflow")["from"][0]["source"].update(principals=["*"]),
        {"authz-default-deny"},
    ),
    "an identity that is not there": (
        lambda made: rule_of(made, "mlflow")["from"][0]["source"].update(
            principals=[f"cluster.local/ns/{NAMESPACE}/sa/gone"]
        ),
        {"authz-refs"},
    ),
    "the account of a caller is gone": (lambda made: made.pop("ServiceAccount mlflow-backup"), {"authz-refs"}),
    "an allowance of no pod": (
        lambda made: add(
            made,
            "AuthorizationPolicy",
            "x",
            {"selector": {"matchLabels": {"app": "x"}}, "rules": [{"from": [{"source": {"namespaces": [NAMESPACE]}}]}]},
        ),
        {"authz-refs"},
    ),
    "clients send plain text": (
        lambda made: spec(made, "DestinationRule mlflow")["trafficPolicy"].update(tls={"mode": "DISABLE"}),
        {"dr-tls"},
    ),
    "clients of one port send plain text": (
        lambda made: spec(made, "DestinationRule ray-nodes")["trafficPolicy"].update(
            portLevelSettings=[{"port": {"number": 6380}, "tls": {"mode": "DISABLE"}}]
        ),
        {"dr-tls"},
    ),
    "a pod opts out": (
        lambda made: label(template(made, "Deployment mlflow"), "sidecar.istio.io/inject", "false"),
        {"injected"},
    ),
    "a pod says no, which is no word": (
        lambda made: label(template(made, "Deployment mlflow"), "sidecar.istio.io/inject", "no"),
        {"injected"},
    ),
    "the namespace is not in the mesh": (
        lambda made: label(made[f"Namespace {NAMESPACE}"], "istio-injection", "disabled"),
        {"injected"},
    ),
    "a port past the sidecar": (
        lambda made: annotate(
            template(made, "Deployment mlflow"), "traffic.sidecar.istio.io/excludeInboundPorts", "5000"
        ),
        {"no-bypass"},
    ),
    "Ray without interception": (
        lambda made: annotate(worker(made)["template"], "sidecar.istio.io/interceptionMode", "NONE"),
        {"no-bypass"},
    ),
    "a Job with a usual sidecar": (
        lambda made: annotate(spec(made, "Job databases")["template"], NATIVE, "false"),
        {"job-mesh-safe"},
    ),
    "Ray's workers with usual sidecars": (
        lambda made: worker(made)["template"]["metadata"]["annotations"].pop(NATIVE),
        {"job-mesh-safe"},
    ),
    "a raylet on any port": (lambda made: head(made)["rayStartParams"].pop("node-manager-port"), {"ray-mesh"}),
    "a window that nobody can list": (
        lambda made: worker(made)["rayStartParams"].pop("max-worker-port"),
        {"ray-mesh"},
    ),
    "a port that is not listed": (lambda made: spec(made, "Service ray-nodes")["ports"].pop(), {"ray-mesh"}),
    "a Service with an address": (lambda made: spec(made, "Service ray-nodes").pop("clusterIP"), {"ray-mesh"}),
    "the network denies nothing": (lambda made: made.pop("NetworkPolicy default-deny"), {"netpol-cover"}),
    "no DNS": (lambda made: made.pop("NetworkPolicy everyone"), {"netpol-cover"}),
    "the network admits everyone": (
        lambda made: spec(made, "NetworkPolicy mlflow")["ingress"][0].pop("from"),
        {"netpol-cover"},
    ),
    "a network policy for no pod": (
        lambda made: spec(made, "NetworkPolicy databases")["podSelector"]["matchLabels"].update(app="x"),
        {"no-dangling"},
    ),
    "a Service that leads nowhere": (
        lambda made: spec(made, "Service ray-serve")["selector"].update({"ray.io/cluster": "x"}),
        {"no-dangling"},
    ),
    "a port that no pod has": (
        lambda made: spec(made, "Service mlflow")["ports"][0].update(targetPort="web"),
        {"no-dangling"},
    ),
    "a port that does not say what it speaks": (
        lambda made: [made["Service mlflow"]["spec"]["ports"][0].pop("appProtocol"),
                      made["Service mlflow"]["spec"]["ports"][0].update(name="web")],
        {"port-protocol"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTATIONS)
def test_the_rule_that_is_meant_says_so_and_only_it(name: str, program: Program, stack: str) -> None:
    mutate, meant = MUTATIONS[name]
    changed = deepcopy(program)
    mutate(changed)
    assert changed != program
    found = judged(changed, of_stack(stack))
    assert {each.rule.name for each in found} == meant, [each.message for each in found]


def test_every_rule_of_the_family_is_provoked_and_none_without_a_reason(program: Program, stack: str) -> None:
    assert set().union(*(meant for _, meant in MUTATIONS.values())) == MESH
    assert judged(program, of_stack(stack)) == []


def test_plain_text_in_the_access_table_needs_an_exception_of_the_pack(stack: str) -> None:
    """Decision 18: the settings end the exception on its day, and so does the pack, on a day of its own."""
    settings = settings_of(stack)
    mesh = settings.mesh.model_copy(
        update={
            "neighbours": (NeighbourSpec(name="scanner", cidrs=("192.0.2.7/32",)),),
            "access": (
                AccessSpec(
                    source="scanner",
                    target="mlflow",
                    ports=("http",),
                    why="Looks for holes",
                    plain_text=PlainText(reason="The scanner has no sidecar", expires=date(2099, 1, 1)),
                ),
            ),
        }
    )
    program = objects(record(settings.model_copy(update={"mesh": mesh}), stack=stack))
    (found,) = judged(program, of_stack(stack))
    assert found.message.startswith(f"Deployment/{NAMESPACE}/mlflow port 5000: its sidecar takes plain text")
    assert found.level == "mandatory"
    choice = of_stack(stack)
    excepted = RuleException(
        rule="effective-strict", resource=f"Deployment/{NAMESPACE}/mlflow", path="port 5000",
        reason="The scanner has no sidecar", owner="platform", expires=date(2099, 1, 1),
    )  # fmt: skip
    choice = Configuration(choice.strict, choice.levels, choice.settings, (excepted,))
    assert [each.level for each in judged(program, choice)] == ["advisory"]
