"""The platform's own Loki, and what brings logs to it."""

import json
from pathlib import Path
from typing import Any

import pytest

from components.kube.logs import AGENT, LogAgent, agent
from components.kube.model import Compute, Resources
from components.kube.pods import Around
from components.kube.wires import LogStore
from components.observability.backends import loki
from components.observability.spec import ManagedLoki
from tests.support.manifests import container, pod, restricted

AROUND = Around("ml", "loki", "ml-control")
SIZE = Resources(requests=Compute(cpu="10m", memory="64Mi"), limits=Compute(cpu="100m", memory="128Mi"))
BY = LogAgent(LogStore("http://loki:3100/otlp"), "otel/collector:0.160.0", SIZE)


def server(**changed: Any) -> dict[str, Any]:
    return loki.loki(ManagedLoki.model_validate(changed), "grafana/loki:3.7.8", AROUND)


def config(made: dict[str, Any]) -> dict[str, Any]:
    (text,) = [each["value"] for each in made["env"] if each["name"] == "COLLECTOR_CONFIG"]
    return dict(json.loads(text))


def test_loki_is_restricted_and_bounded_and_has_a_disk() -> None:
    restricted(server())
    (claim,) = server(volume={"size": "5Gi", "storageClass": "fast"})["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "5Gi"
    assert claim["spec"]["storageClassName"] == "fast"


def test_loki_reads_the_configuration_that_is_made_for_it() -> None:
    spec = ManagedLoki(retention="3d")
    read = json.loads(loki.config_map(spec, "ml")["data"]["config.yaml"])
    assert read["limits_config"]["retention_period"] == "3d"
    # Nothing is ever removed unless the compactor is told to.
    assert read["compactor"]["retention_enabled"] is True
    (volume,) = [each for each in pod(server())["volumes"] if "configMap" in each]
    assert volume["configMap"]["name"] == loki.config_map(spec, "ml")["metadata"]["name"]
    mounted = {each["mountPath"] for each in container(server())["volumeMounts"]}
    assert {read["common"]["path_prefix"], str(Path(read["compactor"]["working_directory"]).parent)} == {"/data"}
    assert "/data" in mounted


def test_another_configuration_makes_it_start_again() -> None:
    def annotations(made: dict[str, Any]) -> Any:
        return made["spec"]["template"]["metadata"]["annotations"]

    assert annotations(server()) == annotations(server())
    assert annotations(server(retention="3d")) != annotations(server())


def test_an_agent_loses_nothing_while_nobody_takes_it() -> None:
    made = agent(BY, files=["/logs/*"], resource={"k8s.pod.name": "${env:POD}"})
    assert (made["name"], made["image"]) == (AGENT, "otel/collector:0.160.0")
    found = config(made)
    sent = found["exporters"]["otlp_http"]
    # Endless, and it reads no further than it can hold.
    assert sent["retry_on_failure"]["max_elapsed_time"] == "0s"
    assert sent["sending_queue"]["block_on_overflow"] is True
    assert found["receivers"]["file_log"]["retry_on_failure"] == {"enabled": True, "max_elapsed_time": "0s"}
    assert found["service"]["pipelines"]["logs"]["processors"][0] == "memory_limiter"
    assert "headers" not in sent


def test_a_tenant_is_told_to_the_store() -> None:
    by = LogAgent(LogStore("http://loki", tenant="ml"), "otel/collector:0.160.0", SIZE)
    found = config(agent(by, files=["/logs/*"], resource={}))
    assert found["exporters"]["otlp_http"]["headers"] == {"X-Scope-OrgID": "ml"}


@pytest.mark.parametrize(("remembers", "expected"), [("", None), ("/var/lib/agent", "file_storage")])
def test_an_agent_may_remember_how_far_it_has_read(remembers: str, expected: str | None) -> None:
    found = config(agent(BY, files=["/logs/*"], resource={}, remembers=remembers))
    assert found["receivers"]["file_log"].get("storage") == expected
    assert ("file_storage" in found["service"]["extensions"]) == bool(expected)
