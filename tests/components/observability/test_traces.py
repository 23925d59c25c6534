"""The platform's own Jaeger, and what makes others tell it of the requests that they serve."""

import json
from pathlib import Path
from typing import Any

import pytest

from components.kube.pods import Around
from components.kube.traces import tracing
from components.kube.wires import TraceStore
from components.observability.backends import jaeger
from components.observability.spec import ManagedJaeger, TracesSpec
from tests.support.manifests import container, restricted

AROUND = Around("ml", "jaeger", "ml-control")
STORE = TraceStore("http://jaeger:4318/v1/traces", sampling_percent=5)


def server(**changed: Any) -> dict[str, Any]:
    return jaeger.jaeger(ManagedJaeger.model_validate(changed), "jaegertracing/jaeger:2.13.0", AROUND)


def config(made: dict[str, Any]) -> dict[str, Any]:
    (text,) = [each["value"] for each in container(made)["env"] if each["name"] == "JAEGER_CONFIG"]
    return dict(json.loads(text))


def test_jaeger_is_restricted_and_bounded_and_has_a_disk() -> None:
    restricted(server())
    (claim,) = server(volume={"size": "5Gi", "storageClass": "fast"})["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "5Gi"
    assert claim["spec"]["storageClassName"] == "fast"


def test_jaeger_keeps_spans_on_its_disk() -> None:
    kept = config(server())["extensions"]["jaeger_storage"]["backends"]["disk"]["badger"]
    assert kept["ephemeral"] is False
    mounted = {each["mountPath"] for each in container(server())["volumeMounts"]}
    assert {str(Path(each).parent) for each in kept["directories"].values()} <= mounted


@pytest.mark.parametrize(("said", "read"), [("3d", "259200s"), ("1h30m", "5400s"), ("2w", "1209600s")])
def test_how_long_is_told_in_a_unit_that_jaeger_knows(said: str, read: str) -> None:
    kept = config(server(retention=said))["extensions"]["jaeger_storage"]["backends"]["disk"]["badger"]
    assert kept["ttl"] == {"spans": read}


def test_every_part_that_a_pipeline_names_is_there() -> None:
    found = config(server())
    traces = found["service"]["pipelines"]["traces"]
    assert {kind: set(traces[kind]) for kind in ("receivers", "processors", "exporters")} == {
        kind: set(found[kind]) for kind in ("receivers", "processors", "exporters")
    }
    assert set(found["service"]["extensions"]) == set(found["extensions"])


def test_it_listens_on_the_ports_that_its_service_leads_to() -> None:
    found = config(server())
    listening = [
        found["receivers"]["otlp"]["protocols"]["http"]["endpoint"],
        found["extensions"]["jaeger_query"]["http"]["endpoint"],
    ]
    (reader,) = found["service"]["telemetry"]["metrics"]["readers"]
    ports = {int(each.rpartition(":")[2]) for each in listening} | {reader["pull"]["exporter"]["prometheus"]["port"]}
    assert ports == {each["port"] for each in jaeger.service("ml")["spec"]["ports"]}
    health = int(found["extensions"]["healthcheckv2"]["http"]["endpoint"].rpartition(":")[2])
    assert ports | {health} == {each["containerPort"] for each in container(server())["ports"]}


def test_a_store_of_others_is_told_by_its_service() -> None:
    spec = TracesSpec.model_validate({"store": {"existing": {"service": "tempo", "servicePort": 80}}})
    assert jaeger.url(spec, "ml") == "http://tempo.monitoring.svc.cluster.local:80/v1/traces"


def test_who_serves_finds_where_to_tell_of_it() -> None:
    told = {each["name"]: each.get("value") for each in tracing(STORE, "mlflow")}
    assert told["OTEL_SERVICE_NAME"] == "mlflow"
    assert told["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] == STORE.url
    assert (told["OTEL_TRACES_SAMPLER"], told["OTEL_TRACES_SAMPLER_ARG"]) == ("parentbased_traceidratio", "0.05")
    # A variable that is for metrics and logs too would send those where nobody takes them.
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" not in told


def test_who_has_nobody_to_tell_finds_nothing() -> None:
    assert tracing(None, "mlflow") == []
