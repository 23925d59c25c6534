"""The access table: what the platform needs in each environment, and what a stack may add."""

from typing import Any

import pytest

from components.access import access_table
from components.kube.access import AccessTable, Workload
from tests.graph.test_program import settings_of
from tests.support.configuration import load_with, refused, stack_config


def table(stack: str = "dev", **mesh: Any) -> AccessTable:
    config = {**stack_config(stack, watched=stack != "dev"), "ml-platform:mesh": mesh}
    if stack == "prod":
        config["kubernetes:context"] = "prod"
    return load_with(config, stack)[0].access([("192.0.2.1", 6443)])


def numbers(found: AccessTable, source: str, target: str) -> set[str]:
    rows = [row for row in found.into(target) if row.source == source]
    return {str(found.port(row, port)) for row in rows for port in row.ports}


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_every_row_is_about_someone_and_says_why(stack: str) -> None:
    found = settings_of(stack).access()
    assert list(found.problems()) == []
    assert all(len(row.why) >= 10 for row in found.rows)
    assert len({(row.source, row.target) for row in found.rows}) == len(found.rows)


def test_pods_of_ray_use_fixed_ports_among_themselves() -> None:
    found = table()
    internal = {"6380", "6381", "6382", "6383", "52365", "10002-10051"}
    assert numbers(found, "ray-worker", "ray-worker") == internal
    assert numbers(found, "ray-head", "ray-worker") == internal
    assert numbers(found, "ray-worker", "ray-head") == {*internal, "6379"}


def test_only_what_keeps_data_there_reaches_a_store() -> None:
    found = table()
    reach = {store: {row.source for row in found.into(store)} for store in ("postgres", "redis", "object-store")}
    assert reach == {
        "postgres": {
            *("mlflow", "mlflow-backup", "mlflow-migrate", "mlflow-gc"),
            *("feast-server", "feast-registry", "feast-apply", "feast-materialize", "databases"),
        },
        "redis": {"feast-server", "feast-apply", "feast-materialize", "ray-cleanup"},
        "object-store": {"ray-head", "ray-worker", "mlflow", "mlflow-backup", "mlflow-gc", "buckets"},
    }


def test_nobody_but_clients_and_the_operator_sees_the_dashboard() -> None:
    sources = {row.source for row in table().into("ray-head") if "dashboard" in row.ports}
    assert sources == {"kuberay-operator", "clients"}


def test_the_api_server_is_for_those_that_ask_it() -> None:
    assert {row.source for row in table().into("api-server")} == {"ray-head", "ray-ready", "kuberay-operator"}
    prod = table("prod")
    assert {row.source for row in prod.into("api-server")} == {
        *("ray-head", "ray-ready", "kuberay-operator", "feast-server", "feast-registry")
    }
    assert prod.end("api-server").ports["https"].number == 6443


def test_a_store_that_is_elsewhere_is_a_neighbour_and_one_in_the_namespace_a_workload() -> None:
    assert isinstance(table("prod").end("postgres"), Workload)
    config = stack_config("dev")
    away = {"url": "https://s3.example.com", "secret": "s3"}
    config["ml-platform:stores"] = {**config["ml-platform:stores"], "objectStore": {"external": away}}
    found = load_with(config)[0].access()
    assert not isinstance(found.end("object-store"), Workload)
    assert numbers(found, "mlflow", "object-store") == {"443"}


def test_a_stack_adds_neighbours_and_rows() -> None:
    gateway = {"name": "gateway", "namespace": "kong", "labels": {"app": "kong"}, "serviceAccount": "kong"}
    row = {"source": "gateway", "target": "mlflow", "ports": ["http"], "why": "Users from outside"}
    found = table(neighbours=[gateway], access=[row])
    assert numbers(found, "gateway", "mlflow") == {"5000"}


def test_namespaces_that_get_a_client_s_settings_may_use_them() -> None:
    config = stack_config("dev")
    config["ml-platform:mlflow"] = {**config["ml-platform:mlflow"], "clientNamespaces": ["research"]}
    config["ml-platform:feast"] = {**config["ml-platform:feast"], "clientNamespaces": ["research"]}
    found = load_with(config)[0].access()
    assert {row.target for row in found.out_of("namespace-research")} == {"mlflow", "feast-server", "feast-registry"}


def test_rows_of_what_a_stack_lacks_are_left_out() -> None:
    config = stack_config("dev")
    config["ml-platform:mlflow"] = {**config["ml-platform:mlflow"], "garbageCollection": None}
    names = {row.source for row in load_with(config)[0].access().rows}
    assert "mlflow-gc" not in names
    assert "mlflow-backup" in names


GATEWAY = {"name": "gateway", "namespace": "kong"}
ROW = {"source": "gateway", "target": "mlflow", "ports": ["http"], "why": "Users from outside"}
OFFICE = {"name": "gateway", "cidrs": ["192.0.2.0/24"]}
PLAIN = {"reason": "The scanner has no sidecar", "expires": "2099-12-31"}


def excepted(**plain_text: Any) -> dict[str, Any]:
    return {"neighbours": [OFFICE], "access": [{**ROW, "plainText": {**PLAIN, **plain_text}}]}


CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "unknown source": ({"access": [ROW]}, ["mesh: 'gateway' is neither a workload nor a neighbour", "feast-server"]),
    "unknown target": ({"neighbours": [GATEWAY], "access": [{**ROW, "target": "mlfow"}]}, ["'mlfow' is neither"]),
    "unknown port": (
        {"neighbours": [GATEWAY], "access": [{**ROW, "ports": ["https"]}]},
        ["mlflow has no port named 'https': it has http (5000)"],
    ),
    "port by number": (
        {"neighbours": [GATEWAY], "access": [{**ROW, "ports": [5000]}]},
        ["mesh.access[0].ports[0]: must be a valid string (found 5000)"],
    ),
    "no port": ({"neighbours": [GATEWAY], "access": [{**ROW, "ports": []}]}, ["mesh.access[0].ports"]),
    "no reason": (
        {"neighbours": [GATEWAY], "access": [{**ROW, "why": "because"}]},
        ["mesh.access[0].why", "10"],
    ),
    "reason left out": (
        {"neighbours": [GATEWAY], "access": [{key: ROW[key] for key in ROW if key != "why"}]},
        ["mesh.access[0].why: is missing"],
    ),
    "two neighbours": (
        {"neighbours": [GATEWAY, {"name": "other", "cidrs": ["192.0.2.0/24"], "ports": {"https": 443}}]}
        | {"access": [{**ROW, "target": "other", "ports": ["https"]}]},
        ["gateway and other are both neighbours"],
    ),
    "everyone as a target": (
        {"access": [{**ROW, "source": "mlflow", "target": "everyone"}]},
        ["everyone has no port named", "it has sidecar (15090)"],
    ),
    "name of a workload": ({"neighbours": [{**GATEWAY, "name": "mlflow"}]}, ["the name 'mlflow' is taken"]),
    "name of the platform's own neighbour": (
        {"neighbours": [{**GATEWAY, "name": "api-server"}]},
        ["the name 'api-server' is taken"],
    ),
    "name that means all": ({"neighbours": [{**GATEWAY, "name": "everyone"}]}, ["the name 'everyone' is taken"]),
    "one name twice": ({"neighbours": [GATEWAY, GATEWAY]}, ["mesh: neighbours has 2 named 'gateway'"]),
    "neither pods nor addresses": (
        {"neighbours": [{"name": "gateway"}]},
        ["mesh.neighbours[0]: needs one of namespace and cidrs"],
    ),
    "both pods and addresses": (
        {"neighbours": [{**GATEWAY, "cidrs": ["192.0.2.0/24"]}]},
        ["mesh.neighbours[0]: needs one of namespace and cidrs"],
    ),
    "labels of addresses": (
        {"neighbours": [{"name": "data", "cidrs": ["192.0.2.0/24"], "labels": {"app": "x"}}]},
        ["mesh.neighbours[0]: has cidrs, so it has no pods"],
    ),
    "account of addresses": (
        {"neighbours": [{"name": "data", "cidrs": ["192.0.2.0/24"], "serviceAccount": "x"}]},
        ["mesh.neighbours[0]: has cidrs, so it has no pods"],
    ),
    "address that is none": (
        {"neighbours": [{"name": "data", "cidrs": ["192.0.2"]}]},
        ["mesh.neighbours[0].cidrs[0]: must be a range of addresses", "'192.0.2'"],
    ),
    "range with bits of a host": (
        {"neighbours": [{"name": "data", "cidrs": ["192.0.2.1/24"]}]},
        ["mesh.neighbours[0].cidrs[0]: must be a range of addresses", "host bits"],
    ),
    "port that is none": (
        {"neighbours": [{"name": "data", "cidrs": ["192.0.2.0/24"], "ports": {"https": 70000}}]},
        ["mesh.neighbours[0].ports.https", "65535"],
    ),
    "bad label": ({"neighbours": [{**GATEWAY, "labels": {"app": "a b"}}]}, ["mesh.neighbours[0].labels"]),
    "bad address of the API server": ({"apiServer": ["api.example.com"]}, ["mesh.apiServer[0]", "'api.example.com'"]),
    "bad address of DNS": ({"dns": ["kube-dns"]}, ["mesh.dns[0]", "'kube-dns'"]),
    "addresses in a mesh": (
        {"neighbours": [OFFICE], "access": [ROW]},
        [
            "ml-platform:mesh.access: from gateway to mlflow: gateway has addresses only",
            "set plainText with a reason and a day",
        ],
    ),
    "an exception that has ended": (
        excepted(expires="2026-01-31"),
        ["mesh: access from gateway to mlflow: plainText expired on 2026-01-31", "agree on a later day"],
    ),
    "an exception without a day": (
        {"neighbours": [OFFICE], "access": [{**ROW, "plainText": {"reason": PLAIN["reason"]}}]},
        ["mesh.access[0].plainText.expires: is missing"],
    ),
    "an exception on no day": (excepted(expires="soon"), ["mesh.access[0].plainText.expires", "'soon'"]),
    "an exception on a day that is not": (excepted(expires="2027-02-30"), ["mesh.access[0].plainText.expires"]),
    "an exception without a reason": (excepted(reason="legacy"), ["mesh.access[0].plainText.reason", "10"]),
    "an exception for one who has a sidecar": (
        {"access": [{**ROW, "source": "ray-head", "plainText": PLAIN}]},
        ["ml-platform:mesh.access: from ray-head to mlflow: plainText is for a neighbour", "remove plainText"],
    ),
    "a sidecar that may use less than it is promised": (
        {
            "sidecar": {
                "resources": {"requests": {"cpu": 1, "memory": "64Mi"}, "limits": {"cpu": "500m", "memory": "1Gi"}}
            }
        },
        ["mesh.sidecar.resources", "500m"],
    ),
    "a trust domain with a scheme": (
        {"trustDomain": "spiffe://prod.example"},
        ["mesh.trustDomain: must be 1 to 255", "'spiffe://prod."],
    ),
    "a log of something else": ({"accessLog": "some"}, ["mesh.accessLog", "'none', 'errors' or 'all'"]),
    "more traces than requests": (
        {"tracing": {"provider": "otel", "samplingPercent": 101}},
        ["mesh.tracing.samplingPercent", "100"],
    ),
    "traces for nobody": ({"tracing": {}}, ["mesh.tracing.provider: is missing"]),
    "the mesh's name": ({"neighbours": [{**GATEWAY, "name": "istiod"}]}, ["the name 'istiod' is taken"]),
    "a control plane nowhere": ({"controlPlane": "Istio System"}, ["mesh.controlPlane", "'Istio System'"]),
    "unknown key": ({"allow": []}, ["mesh.allow: is not a known key"]),
    "unknown key of a row": ({"neighbours": [GATEWAY], "access": [{**ROW, "port": "http"}]}, ["mesh.access[0].port:"]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_table_is_a_sentence_with_key_and_what_is_allowed(case: str) -> None:
    mesh, expected = CASES[case]
    refused({**stack_config("dev"), "ml-platform:mesh": mesh}, expected)


@pytest.mark.parametrize("host", ["db", "db.data-platform", "db.data-platform.svc.cluster.local"])
def test_a_store_in_the_namespace_must_say_which_pods_it_has(host: str) -> None:
    external = {"external": {"host": host, "adminSecret": "a"}}
    expected = [f"ml-platform:stores.postgres.external: leads to '{host}'", "set its `pods`"]
    refused({"ml-platform:stores": {"postgres": external}}, expected)
    named = {"external": {**external["external"], "pods": {"app": "db"}}}
    settings, _ = load_with({"ml-platform:stores": {"postgres": named}})
    assert settings.access().end("postgres").ports["postgres"].number == 5432


def test_the_table_needs_nothing_but_specs() -> None:
    settings = settings_of("dev unwatched")
    assert (
        access_table(
            tenancy=settings.tenancy,
            stores_spec=settings.stores,
            mlflow=settings.mlflow,
            feast=settings.feast,
            ray=settings.ray,
            mesh=settings.mesh,
        )
        == settings.access()
    )
