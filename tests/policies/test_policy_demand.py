"""The demand model, a family of cases per line of it."""

from fractions import Fraction
from typing import Any

import pytest

from policies.decode import UNKNOWN
from policies.podsize import Defaults, limit_range_defaults
from policies.quota import quotas_of
from policies.surroundings import KINDS, Surroundings, Survey
from policies.view import Malformed, Node, Undecided
from policies.wire_view import resources
from tests.policies.support import Manifest, judge, stack_resource
from tests.policies.workloads import MESHED, PROXY, RULE, amount, box, found_shares, pod, template, total, workload


@pytest.mark.parametrize(
    ("spec", "cpu"),
    [
        ({"containers": [box(1), box("500m")]}, "1.5"),
        ({"containers": [box(1)], "initContainers": [box(3), box(2)]}, "3"),
        ({"containers": [box(2)], "initContainers": [box(1)]}, "2"),
        ({"containers": [box(2)], "initContainers": [box(1, restartPolicy="Always")]}, "3"),
        # The second init container runs beside the restartable one that started before it, the first does not.
        ({"containers": [box(1)], "initContainers": [box(1, restartPolicy="Always"), box(4)]}, "5"),
        ({"containers": [box(1)], "initContainers": [box(4), box(1, restartPolicy="Always")]}, "4"),
        ({"containers": [box(1)], "overhead": {"cpu": "250m"}}, "1.25"),
        ({"containers": [box(1), box(1)], "resources": {"requests": {"cpu": 5}}}, "5"),
        ({"containers": [box()], "resources": {"limits": {"cpu": 4}}}, "4"),
        ({"containers": [box(1)], "resources": {"limits": {"cpu": 4}}}, "1"),
        ({"containers": [box(limit_cpu=2)]}, "2"),
        ({"containers": []}, "0"),
    ],
)
def test_a_pod_asks_for_the_larger_of_starting_and_running(spec: Manifest, cpu: str) -> None:
    assert total(pod(spec))["requests.cpu"] == amount(cpu)


@pytest.mark.parametrize(
    ("manifest", "pods"),
    [
        (workload("Deployment", template()), 2),
        (workload("Deployment", {"replicas": 4, **template()}), 5),
        (workload("Deployment", {"replicas": 5, **template()}), 7),
        (workload("Deployment", {"replicas": 0, **template()}), 0),
        (workload("Deployment", {"replicas": 4, "strategy": {"type": "Recreate"}, **template()}), 4),
        (
            workload("Deployment", {"replicas": 4, "strategy": {"rollingUpdate": {"maxSurge": 3}}, **template()}),
            7,
        ),
        (
            workload("Deployment", {"replicas": 3, "strategy": {"rollingUpdate": {"maxSurge": "50%"}}, **template()}),
            5,
        ),
        (workload("StatefulSet", {"replicas": 4, **template()}), 4),
        (workload("ReplicaSet", {"replicas": 4, **template()}), 4),
        (workload("ReplicationController", {"replicas": 4, **template()}, "v1"), 4),
        (workload("DaemonSet", template()), 3),
        (workload("DaemonSet", {"updateStrategy": {"rollingUpdate": {"maxSurge": "34%"}}, **template()}), 5),
        (workload("Job", {"parallelism": 6, **template()}, "batch/v1"), 6),
        (workload("Job", {"parallelism": 6, "completions": 2, **template()}, "batch/v1"), 2),
        (workload("Job", {"suspend": True, **template()}, "batch/v1"), 0),
        (
            workload(
                "CronJob",
                {"concurrencyPolicy": "Forbid", "jobTemplate": {"spec": {"parallelism": 2, **template()}}},
                "batch/v1",
            ),
            2,
        ),
        (workload("CronJob", {"suspend": True, "jobTemplate": {"spec": template()}}, "batch/v1"), 0),
        (workload("ScaledJob", {"jobTargetRef": {"parallelism": 2, **template()}}, "keda.sh/v1alpha1"), 200),
        (workload("ScaledJob", {"maxReplicaCount": 5, "jobTargetRef": template()}, "keda.sh/v1alpha1"), 5),
    ],
)
def test_how_many_pods_a_workload_comes_to(manifest: Manifest, pods: int) -> None:
    assert total(manifest)["pods"] == pods
    assert total(manifest)["requests.cpu"] == pods
    assert not any(share.unbounded for share in found_shares(manifest))


@pytest.mark.parametrize("group", ["autoscaling/v2", "keda.sh/v1alpha1"])
def test_an_autoscalers_maximum_replaces_the_replicas_of_its_target(group: str) -> None:
    keda = group.startswith("keda")
    scaler = workload(
        "ScaledObject" if keda else "HorizontalPodAutoscaler",
        {
            "scaleTargetRef": {"kind": "Deployment", "name": "it"},
            "maxReplicaCount" if keda else "maxReplicas": 8,
        },
        group,
    )
    (resource,) = resources(stack_resource(scaler, 0), KINDS)
    survey = Survey(nodes=1, proxy=PROXY, injection={})
    survey.add(resource)
    around = survey.around("ns")
    assert total(workload("Deployment", {"replicas": 2, **template()}), around)["pods"] == 10  # 8, surge 2


@pytest.mark.parametrize(
    ("spec", "maximum"),
    [
        ({"scaleTargetRef": {"name": "it"}}, 100),  # KEDA: a Deployment, and at most 100
        ({"scaleTargetRef": {"name": "it"}, "maxReplicaCount": 3}, 3),
        ({"scaleTargetRef": {"name": "another"}, "maxReplicaCount": 3}, 2),
        ({"scaleTargetRef": {"name": "it", "kind": "StatefulSet"}, "maxReplicaCount": 3}, 2),
    ],
)
def test_keda_scales_what_it_names(spec: Manifest, maximum: int) -> None:
    (resource,) = resources(stack_resource(workload("ScaledObject", spec, "keda.sh/v1alpha1"), 0), KINDS)
    survey = Survey(nodes=1, proxy=PROXY, injection={})
    survey.add(resource)
    deployment = workload("Deployment", {"replicas": 2, "strategy": {"type": "Recreate"}, **template()})
    assert total(deployment, survey.around("ns"))["pods"] == maximum


CLAIM = {"spec": {"resources": {"requests": {"storage": "10Gi"}}}}
SIZED = {"resources": {"requests": {"cpu": 1}, "limits": {"memory": "1Gi"}}}
MONITORING = "monitoring.coreos.com/v1"


@pytest.mark.parametrize(
    ("manifest", "pods", "cpu", "memory"),
    [
        # 10m and 50Mi of each pod are the reloader's; its init container runs before, not beside.
        (workload("Prometheus", SIZED, MONITORING), 1, "1010m", "1074Mi"),
        (workload("Prometheus", {**SIZED, "replicas": 2, "shards": 3}, MONITORING), 6, "6060m", "6444Mi"),
        (workload("PrometheusAgent", {**SIZED, "shards": 0}, "monitoring.coreos.com/v1alpha1"), 1, "1010m", "1074Mi"),
        (workload("Alertmanager", {**SIZED, "replicas": 3}, MONITORING), 3, "3030m", "3222Mi"),
        (workload("ThanosRuler", SIZED, MONITORING), 1, "1010m", "1074Mi"),
        (
            workload(
                "Prometheus",
                {**SIZED, "containers": [box(3) | {"name": "prometheus"}, box(1)]},
                MONITORING,
            ),
            1,
            "4010m",
            "50Mi",
        ),
        (workload("Cluster", {**SIZED, "instances": 3}, "postgresql.cnpg.io/v1"), 3, "3", "3Gi"),
    ],
)
def test_what_other_operators_make_of_their_resources(manifest: Manifest, pods: int, cpu: str, memory: str) -> None:
    found = total(manifest)
    assert found["pods"] == pods
    assert found["requests.cpu"] == amount(cpu)
    assert found["limits.memory"] == amount(memory)


@pytest.mark.parametrize(
    ("manifest", "storage", "count"),
    [
        (
            workload("Alertmanager", {"replicas": 3, "storage": {"volumeClaimTemplate": CLAIM}}, MONITORING),
            "30Gi",
            3,
        ),
        (
            workload(
                "Cluster",
                {"instances": 2, "storage": {"size": "10Gi"}, "walStorage": {"size": "2Gi"}},
                "postgresql.cnpg.io/v1",
            ),
            "24Gi",
            4,
        ),
        (workload("Prometheus", {"storage": {"emptyDir": {}}}, MONITORING), "0", 0),
    ],
)
def test_what_other_operators_claim(manifest: Manifest, storage: str, count: int) -> None:
    found = total(manifest)
    assert found["requests.storage"] == amount(storage)
    assert found["persistentvolumeclaims"] == count


@pytest.mark.parametrize(
    ("cpu", "memory", "expected_cpu", "expected_memory"),
    [
        ("100m", "1Gi", "0.1", 2**30),
        (0.5, "1G", "0.5", 10**9),
        (2.0, "1e3", "2", 1000),
        ("1e-1", "128974848000m", "0.1", 128974848),
    ],
)
def test_every_form_of_a_quantity_is_counted(
    cpu: object, memory: object, expected_cpu: str, expected_memory: int
) -> None:
    found = total(pod({"containers": [box(cpu, memory)]}))
    assert found["requests.cpu"] == Fraction(expected_cpu)
    assert found["requests.memory"] == expected_memory


@pytest.mark.parametrize(
    ("containers", "defaults", "lacking"),
    [
        ([box(1)], {}, {"requests.memory", "limits.cpu", "limits.memory"}),
        ([box(1, "1Gi", limit_cpu=1)], {}, {"limits.memory"}),
        ([box(1, "1Gi", limit_cpu=1)], {"default": {"memory": "2Gi"}}, set()),
    ],
)
def test_what_a_pod_must_specify_under_a_quota(containers: Any, defaults: Manifest, lacking: set[str]) -> None:
    around = Surroundings(nodes=1, proxy=PROXY, defaults=limit_range(**defaults))
    (share,) = found_shares(pod({"containers": containers}), around)
    assert set(share.unstated) == lacking
    (whole,) = found_shares(pod({"containers": containers, "resources": {"limits": {"cpu": 1}}}), around)
    assert not whole.unstated


@pytest.mark.parametrize(
    ("metadata", "spec", "limit"),
    [
        ({}, {}, "3"),
        ({"labels": {"sidecar.istio.io/inject": "false"}}, {}, "1"),
        ({"annotations": {"sidecar.istio.io/inject": "false"}}, {}, "1"),
        (
            {
                "labels": {"sidecar.istio.io/inject": "true"},
                "annotations": {"sidecar.istio.io/inject": "false"},
            },
            {},
            "3",
        ),
        ({}, {"hostNetwork": True}, "1"),
        ({"annotations": {"sidecar.istio.io/proxyCPULimit": "500m"}}, {}, "1.5"),
        ({"annotations": {"sidecar.istio.io/proxyCPU": "300m"}}, {}, "1"),
        ({}, {"initContainers": [box(limit_cpu=4)]}, "6"),
        # A Pod that exists has its proxy among its containers, and a template may size it there or only name it.
        ({}, {"initContainers": [box(limit_cpu=1, restartPolicy="Always") | {"name": "istio-proxy"}]}, "2"),
        ({}, {"initContainers": [{"name": "istio-proxy", "image": "auto"}]}, "3"),
    ],
)
def test_a_pod_of_a_meshed_namespace_gets_a_proxy(metadata: Manifest, spec: Manifest, limit: str) -> None:
    one = pod({"containers": [box(limit_cpu=1)], **spec}, **metadata)
    assert total(one, MESHED)["limits.cpu"] == amount(limit)


@pytest.mark.parametrize(("injection", "limit"), [("", 3), ("enabled", 3), ("disabled", 1)])
def test_a_pod_may_ask_for_a_proxy_where_its_namespace_does_not_forbid_it(injection: str, limit: int) -> None:
    around = Surroundings(nodes=1, proxy=PROXY, injection=injection)
    one = pod({"containers": [box(limit_cpu=1)]}, labels={"sidecar.istio.io/inject": "true"})
    assert total(one, around)["limits.cpu"] == limit


def claim(size: str, **spec: Any) -> Manifest:
    return {
        "metadata": {"name": "data"},
        "spec": {"resources": {"requests": {"storage": size}}, **spec},
    }


@pytest.mark.parametrize(
    ("manifest", "claims", "storage"),
    [
        (workload("PersistentVolumeClaim", claim("10Gi")["spec"], "v1"), 1, "10Gi"),
        (
            workload(
                "StatefulSet",
                {"replicas": 3, "volumeClaimTemplates": [claim("10Gi"), claim("1Gi")], **template()},
            ),
            6,
            "33Gi",
        ),
        (
            workload(
                "Job",
                {
                    "parallelism": 2,
                    **template(
                        volumes=[{"name": "x", "ephemeral": {"volumeClaimTemplate": claim("5Gi")}}, {"name": "y"}]
                    ),
                },
                "batch/v1",
            ),
            2,
            "10Gi",
        ),
    ],
)
def test_claims_and_their_storage(manifest: Manifest, claims: int, storage: str) -> None:
    found = total(manifest)
    assert found["persistentvolumeclaims"] == claims
    assert found["requests.storage"] == amount(storage)


def test_a_claim_counts_for_its_storage_class_too() -> None:
    found = total(workload("PersistentVolumeClaim", claim("10Gi", storageClassName="fast")["spec"], "v1"))
    assert found["fast.storageclass.storage.k8s.io/requests.storage"] == amount("10Gi")


def limit_range(**item: Any) -> Defaults:
    return limit_range_defaults(Node({"limits": [{"type": "Container", **item}, {"type": "Pod", "max": {"cpu": 64}}]}))


@pytest.mark.parametrize(
    ("item", "requests", "limits"),
    [
        ({"default": {"cpu": 2}, "defaultRequest": {"cpu": 1}}, 1, 2),
        ({"default": {"cpu": 2}}, 2, 2),
        ({"max": {"cpu": 4}}, 4, 4),
        ({"min": {"cpu": "1"}}, 1, 0),
    ],
)
def test_a_limit_range_fills_what_containers_leave_out(item: Manifest, requests: int, limits: int) -> None:
    around = Surroundings(nodes=1, proxy=PROXY, defaults=limit_range(**item))
    found = total(pod({"containers": [box()]}), around)
    assert found["requests.cpu"] == requests
    assert found["limits.cpu"] == limits


def test_unknown_and_malformed_counts_are_told_apart() -> None:
    with pytest.raises(Undecided, match=r"spec\.template\.spec\.containers"):
        found_shares(workload("Deployment", {"template": {"spec": {"containers": UNKNOWN}}}))
    with pytest.raises(Malformed, match=r"spec\.replicas: expected a whole number"):
        found_shares(workload("Deployment", {"replicas": -1, **template()}))
    with pytest.raises(Malformed, match="percentage"):
        found_shares(workload("Deployment", {"strategy": {"rollingUpdate": {"maxSurge": "a%"}}, **template()}))


def scoped(scope: Manifest) -> Manifest:
    found = workload("ResourceQuota", {"hard": {"pods": 1}, **scope}, "v1")
    found["metadata"]["name"] = "quota"
    return found


@pytest.mark.parametrize(
    ("scope", "spec", "counted"),
    [
        ({}, {}, True),
        ({"scopes": ["Terminating"]}, {}, False),
        ({"scopes": ["Terminating"]}, {"activeDeadlineSeconds": 60}, True),
        ({"scopes": ["NotTerminating"]}, {}, True),
        ({"scopes": ["BestEffort"]}, {}, False),
        ({"scopes": ["NotBestEffort"]}, {}, True),
        ({"scopes": ["PriorityClass"]}, {"priorityClassName": "batch"}, True),
        (
            {
                "scopeSelector": {
                    "matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["batch"]}]
                }
            },
            {"priorityClassName": "batch"},
            True,
        ),
        (
            {
                "scopeSelector": {
                    "matchExpressions": [{"scopeName": "PriorityClass", "operator": "NotIn", "values": ["batch"]}]
                }
            },
            {"priorityClassName": "batch"},
            False,
        ),
        ({"scopes": ["CrossNamespacePodAffinity"]}, {}, False),
    ],
)
def test_a_scoped_quota_counts_only_the_pods_in_its_scope(scope: Manifest, spec: Manifest, counted: bool) -> None:
    (resource,) = resources(stack_resource(scoped(scope), 0), RULE.kinds)
    (quota,) = quotas_of(resource)
    (share,) = found_shares(pod({"containers": [box(1)], **spec}))
    assert quota.counts(share) is counted


def test_each_spelling_of_a_quota_key_is_judged() -> None:
    ten = workload("StatefulSet", {"replicas": 10, **template(box(1, "1Gi"))})
    for key in ("cpu", "requests.cpu", "memory", "requests.memory", "pods", "count/pods"):
        quota = workload("ResourceQuota", {"hard": {key: 9}}, "v1")
        assert [each.urn for each in judge(RULE, [quota, ten])], key


def test_a_scoped_quota_counts_no_claims() -> None:
    (resource,) = resources(stack_resource(scoped({"scopes": ["NotTerminating"]}), 0), RULE.kinds)
    (quota,) = quotas_of(resource)
    (share,) = found_shares(workload("PersistentVolumeClaim", claim("1Gi")["spec"], "v1"))
    assert not quota.counts(share)


def test_a_patch_of_a_namespace_does_not_undo_its_mesh_label() -> None:
    survey = Survey(nodes=1, proxy=PROXY, injection={})
    for labels in ({"istio-injection": "enabled"}, {"team": "ml"}):
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ns", "labels": labels}}
        (resource,) = resources(stack_resource(manifest, 0), KINDS)
        survey.add(resource)
    assert survey.around("ns").injection == "enabled"
