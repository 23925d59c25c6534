"""The bridge from the stack to the evaluator, and exceptions for a single port."""

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from policies import pods
from policies.configuration import Configuration, RuleException
from policies.decode import UNKNOWN, Secret
from policies.mesh import WORKLOAD, Mesh, MeshSettings, survey
from policies.reach.objects import KINDS as POLICIES
from policies.view import Stack
from policies.wire_view import resources
from tests.policies.support import SAMPLES, Manifest, judge, manifests, rule_named, stack_resource

STRICT = rule_named("effective-strict")
SELECTOR = {"selector": {"matchLabels": {"app": "a"}}}


def made(kind: str, spec: Any, name: str = "p", group: str = "security.istio.io/v1", **metadata: Any) -> Manifest:
    return {"apiVersion": group, "kind": kind, "metadata": {"name": name, "namespace": "ml", **metadata}, "spec": spec}


def namespace(**labels: Any) -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ml", "labels": labels}}


def workload(template: Manifest, kind: str = "Deployment", group: str = "apps/v1") -> Manifest:
    return made(kind, {"template": template}, "a", group)


def labelled(**labels: Any) -> Manifest:
    return {"metadata": {"labels": {"app": "a", **labels}}, "spec": {"containers": [{"name": "a"}]}}


def mesh(*objects: Manifest, **settings: Any) -> Mesh:
    wire = (stack_resource(manifest, index) for index, manifest in enumerate(objects))
    stack = Stack(tuple(found for one in wire for found in resources(one, POLICIES | pods.KINDS)))
    return survey(stack, MeshSettings(**settings))


ENABLED, MODE = namespace(**{"istio-injection": "enabled"}), {"mtls": {"mode": "STRICT"}}


def told(found: Mesh, *kinds: str) -> list[str]:
    return [str(each) for each in found.unreadable(*kinds)]


def test_what_is_unknown_is_told_at_its_path_and_clouds_its_namespace_only() -> None:
    found = mesh(ENABLED, made("PeerAuthentication", {"mtls": {"mode": UNKNOWN}}), workload(labelled()))
    assert told(found, "PeerAuthentication") == ["PeerAuthentication/ml/p spec.mtls.mode: not known yet"]
    assert told(found, "DestinationRule", "Namespace", WORKLOAD) == []
    assert found.doubtful("ml", "PeerAuthentication")
    assert not found.doubtful("ml", "DestinationRule")
    assert not found.doubtful("other", "PeerAuthentication")


def test_a_policy_whose_namespace_is_unknown_may_be_of_any() -> None:
    found = mesh(made("PeerAuthentication", MODE, namespace=UNKNOWN))
    assert told(found, "PeerAuthentication") == ["PeerAuthentication/p metadata.namespace: not known yet"]
    assert found.doubtful("anywhere", "PeerAuthentication")


def test_what_follows_from_an_unknown_value_is_not_told_as_a_mistake() -> None:
    found = mesh(made("AuthorizationPolicy", {"rules": [{"from": [{"source": {"principals": UNKNOWN}}]}]}))
    path = "spec.rules[0].from[0].source.principals"
    assert told(found, "AuthorizationPolicy") == [f"AuthorizationPolicy/ml/p {path}: not known yet"]


@pytest.mark.parametrize(
    "manifest",
    [
        made("PeerAuthentication", MODE, labels={"x": UNKNOWN}, annotations={"y": UNKNOWN}),
        made("Service", {"clusterIP": UNKNOWN, "ports": [{"port": 80}]}, group="v1"),
        made(
            "DestinationRule", {"host": "a", "trafficPolicy": {"loadBalancer": UNKNOWN}}, group="networking.istio.io/v1"
        ),
    ],
    ids=lambda manifest: manifest["kind"],
)
def test_an_unknown_that_nothing_depends_on_is_no_obstacle(manifest: Manifest) -> None:
    found = mesh(manifest)
    assert found.gaps == ()
    assert list(found.sources) == [f"{manifest['kind']} ml/p"]


def test_a_wrong_shape_that_a_secret_hides_is_not_quoted() -> None:
    found = mesh(made("PeerAuthentication", {"mtls": {"mode": Secret("hunter2")}}))
    assert told(found, "PeerAuthentication") == [
        "PeerAuthentication/ml/p spec.mtls.mode: another shape than Kubernetes or Istio gives the field"
    ]


def test_a_secret_that_fits_is_judged_as_its_value() -> None:
    found = mesh(made("PeerAuthentication", {"mtls": {"mode": Secret("STRICT")}}))
    assert [each.mode for each in found.objects.peer_authentications] == ["STRICT"]


def test_two_objects_of_one_name_are_not_both_believed() -> None:
    found = mesh(made("PeerAuthentication", MODE), made("PeerAuthentication", {"mtls": {"mode": "DISABLE"}}))
    assert told(found, "PeerAuthentication") == ["PeerAuthentication/ml/p metadata.name: is there twice"]


@pytest.mark.parametrize("shape", ["text", 3, ["a"], {"metadata": "x"}, {"metadata": None, "spec": []}])
def test_a_body_of_any_shape_is_told_and_never_a_crash(shape: Any) -> None:
    found = mesh(made("PeerAuthentication", shape), workload(shape), made("Service", shape, group="v1"))
    assert told(found, "PeerAuthentication")
    assert told(found, WORKLOAD)


@pytest.mark.parametrize(
    ("labels", "template", "meshed"),
    [
        ({"istio-injection": "enabled"}, labelled(), True),
        ({"istio.io/rev": "1-30"}, labelled(), True),
        ({"istio-injection": "disabled", "istio.io/rev": "1-30"}, labelled(), False),
        ({"istio-injection": "true"}, labelled(), False),
        ({"istio-injection": "enabled"}, labelled(**{"sidecar.istio.io/inject": "false"}), False),
        ({"istio-injection": "enabled"}, labelled(**{"sidecar.istio.io/inject": "no"}), True),
        ({"istio-injection": "disabled"}, labelled(**{"sidecar.istio.io/inject": "true"}), False),
        ({}, labelled(), False),
        ({}, labelled(**{"sidecar.istio.io/inject": "true"}), True),
        ({}, labelled(**{"istio.io/rev": "1-30"}), True),
        ({}, {"metadata": {"annotations": {"sidecar.istio.io/inject": "true"}}}, False),
        ({"istio-injection": "enabled"}, {"metadata": {"annotations": {"sidecar.istio.io/inject": "false"}}}, False),
        ({"istio-injection": "enabled"}, {"spec": {"hostNetwork": True}}, False),
    ],
)
def test_who_gets_a_sidecar(labels: Manifest, template: Manifest, meshed: bool) -> None:
    (pod,) = mesh(namespace(**labels), workload(template)).pods
    assert pod.meshed is meshed


def test_a_namespace_of_another_stack_is_what_the_settings_say() -> None:
    assert not mesh(workload(labelled())).pods[0].meshed
    assert mesh(workload(labelled()), injected_namespaces=("ml",)).pods[0].meshed


def test_pods_are_known_as_their_controllers_make_them() -> None:
    group = {"template": {"spec": {"containers": [{"name": "w"}]}}}
    head = {"metadata": {"labels": {"ray.io/node-type": "mine", "app.kubernetes.io/name": "mine"}}}
    spec = {
        "enableInTreeAutoscaling": True,
        "headGroupSpec": {"template": head},
        "workerGroupSpecs": [{"groupName": "cpu", **group}],
    }
    found = mesh(made("RayCluster", spec, "ray", "ray.io/v1"), workload(labelled(), "Job", "batch/v1"))
    head_pod, worker, job = found.pods
    assert (head_pod.name, head_pod.account, worker.account) == ("ray head", "ray", "default")
    assert head_pod.labels["ray.io/node-type"] == "head"
    assert head_pod.labels["app.kubernetes.io/name"] == "mine"
    assert worker.labels["ray.io/group"] == "cpu"
    assert {worker.labels["ray.io/cluster"], head_pod.labels["ray.io/cluster"]} == {"ray"}
    assert job.labels["job-name"] == "a"


@pytest.mark.parametrize(("mode", "strict"), [("STRICT", []), ("UNKNOWN", ["every port"])])
def test_what_the_cluster_says_for_the_mesh_counts_if_it_is_known(mode: str, strict: list[str]) -> None:
    settings = STRICT.settings.model_validate({"clusterMode": mode})
    found = judge(STRICT, [ENABLED, workload(labelled())], Configuration(settings={STRICT.name: settings}))
    assert [each.message.split(": ")[0].removeprefix("Deployment/ml/a ") for each in found] == strict


@pytest.mark.parametrize(("source", "messages"), [("monitoring", 0), ("elsewhere", 1)])
def test_the_scraper_reaches_what_has_metrics(source: str, messages: int) -> None:
    cover = rule_named("netpol-cover")
    peers = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": source}}}]
    rules = {"ingress": [{"from": peers, "ports": [{"port": 8000}]}], "egress": [{}]}
    found = [
        made("NetworkPolicy", {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}, "a", "networking.k8s.io/v1"),
        made("NetworkPolicy", {"podSelector": {}, **rules}, "b", "networking.k8s.io/v1"),
        workload({"spec": {"containers": [{"ports": [{"name": "metrics", "containerPort": 8000}]}]}}),
    ]
    settings = cover.settings.model_validate({"scraper": {"namespace": "monitoring", "labels": {"app": "p"}}})
    told = judge(cover, found, Configuration(settings={cover.name: settings}))
    assert [each.message.split(".")[0] for each in told] == messages * [
        "Deployment/ml/a: may not be scraped (TCP 8000 from app=p in monitoring)"
    ]
    assert judge(cover, found) == []


PODS = {"namespace": "data-platform", "labels": {"app": "mlflwo"}}
SAID_IN_SETTINGS = [
    ("mesh-strict", "no_policy", {"clusterMode": "STRICT"}, 0),
    ("mesh-strict", "unset_inherits_from_nothing", {"clusterMode": "STRICT"}, 0),
    ("mesh-strict", "permissive", {"clusterMode": "STRICT"}, 1),
    ("mesh-strict", "the_meshs_own_is_permissive", {"clusterMode": "STRICT"}, 1),
    ("effective-strict", "selector_in_root_namespace_is_ignored", {"rootNamespace": "mesh"}, 1),
    ("dr-tls", "host_of_another_stack", {"outsideHosts": ["loki.monitoring.svc.cluster.local"]}, 0),
    ("dr-tls", "host_of_another_stack", {"outsideHosts": ["loki"]}, 1),
    ("injected", "no_label", {"outsideNamespaces": ["data-platform"]}, 0),
    ("injected", "namespace_of_another_stack", {"injectedNamespaces": ["data-platform"]}, 0),
    ("netpol-cover", "no_dns", {"dns": {"namespace": "istio-system", "labels": {"app": "istiod"}}}, 2),
    ("netpol-cover", "sidecar_without_istiod", {"istiod": {"namespace": "mesh", "labels": {"app": "istiod"}}}, 1),
    ("job-mesh-safe", "job", {"nativeSidecars": True}, 0),
    ("job-mesh-safe", "job_says_false", {"nativeSidecars": True}, 1),
    ("ray-mesh", "default_window_cannot_be_listed", {"mostWorkerPorts": 9997}, 1),
    ("authz-refs", "another_trust_domain", {"trustDomainAliases": ["td.example.org"]}, 0),
    ("authz-refs", "another_trust_domain", {"trustDomain": "td.example.org"}, 0),
    ("authz-refs", "account_of_another_stack", {"foreignAccounts": ["kong/kong-gateway"]}, 0),
    ("authz-refs", "account_of_another_stack", {"foreignNamespaces": ["kong"]}, 1),
    ("authz-refs", "namespace_that_is_not_there", {"foreignNamespaces": ["monitorng"]}, 0),
    ("authz-refs", "selector_that_matches_nothing", {"foreignPods": [PODS]}, 0),
    ("no-dangling", "service", {"foreignPods": [PODS]}, 0),
    ("no-dangling", "service", {"foreignPods": [PODS | {"namespace": "other"}]}, 1),
    ("no-dangling", "service", {"foreignPods": [{"labels": PODS["labels"]}]}, 0),
]


@pytest.mark.parametrize(("name", "sample", "fields", "findings"), SAID_IN_SETTINGS)
def test_what_a_cluster_or_another_stack_has_is_said_in_the_settings(
    name: str, sample: str, fields: Manifest, findings: int
) -> None:
    rule = rule_named(name)
    found = manifests(SAMPLES / name / "refused" / f"{sample}.yaml")
    assert judge(rule, found)
    choice = Configuration(settings={name: rule.settings.model_validate(fields)})
    assert len(judge(rule, found, choice)) == findings


def test_ports_without_a_selector_are_ignored_and_told() -> None:
    """No sample: the CRD of newer releases refuses it, the one of older releases does not."""
    levels = {"portLevelMtls": {"80": {"mode": "PERMISSIVE"}}}
    found = [ENABLED, made("PeerAuthentication", {**MODE, **levels}), workload(labelled())]
    assert judge(STRICT, found) == []
    (told,) = judge(rule_named("mesh-strict"), found)
    assert told.message.startswith("PeerAuthentication/ml/p spec.portLevelMtls: portLevelMtls counts only together")


def test_a_foreign_account_has_a_namespace() -> None:
    with pytest.raises(ValidationError, match="foreignAccounts"):
        rule_named("authz-refs").settings.model_validate({"foreignAccounts": ["kong-gateway"]})


def exception(path: str, **changed: Any) -> RuleException:
    fields = {
        "rule": STRICT.name,
        "resource": "Deployment/ml/a",
        "reason": "a scraper without a sidecar",
        "owner": "me",
    }
    return RuleException(**fields, expires=date(2027, 1, 1), path=path, **changed)


def excused(*paths: str, ports: tuple[int, ...] = (80,)) -> list[tuple[str, str]]:
    levels = {str(port): {"mode": "PERMISSIVE"} for port in ports}
    found = [
        ENABLED,
        made("PeerAuthentication", MODE, "default"),
        made("PeerAuthentication", {**SELECTOR, **MODE, "portLevelMtls": levels}),
        workload(labelled()),
    ]
    choice = Configuration(exceptions=tuple(map(exception, paths)))
    return [
        (each.level, each.message.split(": ")[0].removeprefix("Deployment/ml/a "))
        for each in judge(STRICT, found, choice)
    ]


def test_an_exception_with_a_path_is_for_that_port_alone() -> None:
    assert excused() == [("mandatory", "port 80")]
    assert excused("port 80") == [("advisory", "port 80")]
    assert excused("port 80", ports=(80, 81)) == [("advisory", "port 80"), ("mandatory", "port 81")]
    assert excused("", ports=(80, 81)) == [("advisory", "port 80"), ("advisory", "port 81")]


def test_an_exception_for_a_port_that_needs_none_is_a_violation() -> None:
    stale = "the exception for Deployment/ml/a port 81 (owner me) excuses nothing. Fix"
    assert excused("port 80", "port 81") == [("advisory", "port 80"), ("mandatory", stale)]


def test_an_exception_is_not_called_needless_while_something_is_not_known() -> None:
    found = [ENABLED, made("PeerAuthentication", {"mtls": UNKNOWN}, "default"), workload(labelled())]
    choice = Configuration(exceptions=(exception("port 80"),))
    told = judge(STRICT, found, choice, preview=True)
    assert [each.message.split(":")[0] for each in told] == ["undecided"]


def test_an_exception_for_a_port_ends_on_its_day() -> None:
    found = [ENABLED, made("PeerAuthentication", {**SELECTOR, "portLevelMtls": {"80": {"mode": "DISABLE"}}}),
             made("PeerAuthentication", MODE, "default"), workload(labelled())]  # fmt: skip
    choice = Configuration(exceptions=(exception("port 80"),))
    after = judge(STRICT, found, choice, today=date(2027, 1, 2))
    assert {each.level for each in after} == {"mandatory"}
    assert any("port 80 (owner me) expired on 2027-01-01" in each.message for each in after)
