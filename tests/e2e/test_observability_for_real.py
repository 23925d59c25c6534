"""Observability on real pods: a real Prometheus scrapes all through the mesh, and its alerts fire and resolve."""

import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sandbox import addons, images
from sandbox.configs import NAME
from sandbox.tools import Toolbox, install
from sandbox.workspace import ROOT
from tests.support import edge
from tests.support.configuration import stack_config
from tests.support.dashboard_picture import draw
from tests.support.engine import Stack, changed, eventually
from tests.support.jaeger import jaeger
from tests.support.loki import Loki, loki
from tests.support.mlflow import logged, tracking, under_load
from tests.support.outside import Door
from tests.support.prometheus import Prometheus, prometheus
from tests.support.queries import panel_queries
from tests.support.ray import dashboard
from tests.support.watching import left_out
from tests.support.web import ask, forwarded

JOBS = Path(__file__).with_name("jobs")
REQUESTS = 30
NOTHING_HERE = {
    "ray: Killed for memory": "none was",
}
"""Panels, as `dashboard: title`, that have nothing to show on this node, and why."""

API = "api.example.com"
GATEWAY = {
    "controller": "other",
    "existing": edge.LISTENER,
    "api": {"hosts": [API], "authentication": "none"},
    "proxies": edge.PROXIES,
}
SCRAPED = {
    *("ray-head", "ray-worker", "kuberay-operator", "mlflow", "feast-server", "postgres", "redis"),
    *("prometheus", "kube-state-metrics", "kubelet", "sidecar", "loki", "jaeger", "istiod"),
}

pytestmark = pytest.mark.usefixtures("tools", "door", "watched")


@pytest.fixture(scope="module")
def tools() -> set[str]:
    """What only these tests need; to build it takes time that a run with a limit does not have."""
    if reason := left_out():
        pytest.skip(f"left out: {reason}; `make e2e` builds them")
    return images.tools(images.WATCHING)


@pytest.fixture(scope="module")
def door(dev: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A Gateway of other people's, which begins traces where a request has none that says otherwise."""
    cluster = dev.workspace.cluster
    with edge.door(cluster, tmp_path_factory.mktemp("tls"), API) as found:
        cluster.kubectl("create", "--filename", "-", stdin=json.dumps(traced(edge.EDGE)))
        yield found


def traced(namespace: str) -> dict[str, Any]:
    """What makes the proxies of a namespace tell of what passes them, unless its trace says otherwise."""
    told = [{"providers": [{"name": "jaeger"}], "randomSamplingPercentage": 100}]
    about = {"name": "traces", "namespace": namespace}
    return {"apiVersion": "telemetry.istio.io/v1", "kind": "Telemetry", "metadata": about, "spec": {"tracing": told}}


@pytest.fixture(scope="module")
def watched(
    tools: set[str], dev: Stack, real_toolbox: Toolbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """The platform with a Prometheus, a Loki and a Jaeger of its own, and a way in from outside."""
    toolbox = install({*(tool.name for tool in real_toolbox.tools), *tools})
    built = images.build(toolbox, images.WATCHING)
    dev.workspace.cluster.node.load(*(image.archive for image in built.values()))
    addons.install(dev.workspace.cluster, ["prometheus-operator"])
    keeps_traces_in(dev)
    judged = dev.judged_with(
        tmp_path_factory.mktemp("pack"),
        crd_first={"installed": ["gateway.networking.k8s.io"]},
        exposure={"published": ["feast-server:6566"]},
        authz_refs={"foreignAccounts": [edge.ACCOUNT]},
    )
    config = stack_config("dev")
    observability, tracing = config["ml-platform:observability"], config["ml-platform:mesh"]["tracing"]
    observability["prometheus"]["interval"] = "10s"
    observability["traces"]["samplingPercent"] = 0  # whoever asks says what is traced
    there = [*config["ml-platform:cluster"]["addons"], "gateway-api"]
    with changed(
        judged, cluster={"addons": there}, mesh={"tracing": tracing}, gateway=GATEWAY, observability=observability
    ) as stack:
        yield stack


def keeps_traces_in(stack: Stack) -> None:
    """Let the mesh's provider of traces be the Jaeger of this stack's namespace (sandbox/istio.yaml)."""
    cluster = stack.workspace.cluster
    found = json.loads(cluster.kubectl("-n", "istio-system", "get", "configmap", "istio", "--output=json"))
    mesh = found["data"]["mesh"]
    assert "jaeger.data-platform.svc" in mesh
    said = {"data": {"mesh": mesh.replace("jaeger.data-platform.svc", f"jaeger.{stack.namespace}.svc")}}
    cluster.kubectl("-n", "istio-system", "patch", "configmap", "istio", "--patch", json.dumps(said))


@pytest.fixture(scope="module")
def asked(watched: Stack) -> Iterator[Prometheus]:
    """Where it answers."""
    with prometheus(watched) as found:
        yield found


def on_the_real_node(target: dict[str, Any]) -> bool:
    """Whether a target can answer: nothing runs on simulated nodes."""
    found = target["discoveredLabels"]
    names = [found.get(f"__meta_kubernetes_{what}_name") for what in ("pod_node", "node")]
    return not any(name and name != NAME for name in names)


@contextmanager
def gone(stack: Stack, deployment: str) -> Iterator[None]:
    """A Deployment without pods, as after an outage of all of them."""
    (replicas,) = [
        str(each["spec"]["replicas"])
        for each in stack.get("deployments")["items"]
        if each["metadata"]["name"] == deployment
    ]
    stack.kubectl("scale", f"deployment/{deployment}", "--replicas=0")
    try:
        yield
    finally:
        stack.kubectl("scale", f"deployment/{deployment}", f"--replicas={replicas}")
        stack.kubectl("rollout", "status", f"deployment/{deployment}", "--timeout=180s")


@pytest.mark.timeout(1200)
def test_every_target_is_scraped_through_the_strict_mesh(watched: Stack, asked: Prometheus) -> None:
    def unhealthy() -> list[tuple[str, str, str]]:
        found = [each for each in asked.targets() if on_the_real_node(each)]
        late = SCRAPED - {each["labels"]["job"] for each in found}
        return [
            *((job, "absent", "") for job in late),
            *(
                (each["labels"]["job"], each["scrapeUrl"], each["lastError"])
                for each in found
                if each["health"] != "up"
            ),
        ]

    assert eventually(lambda: not unhealthy(), seconds=180), unhealthy()
    schemes = {each["labels"]["job"]: each["scrapeUrl"].partition(":")[0] for each in asked.targets()}
    assert {job for job, scheme in schemes.items() if scheme == "http"} == {"sidecar", "prometheus", "istiod"}
    mode = watched.get("peerauthentications.security.istio.io", "default")["spec"]["mtls"]["mode"]
    assert mode == "STRICT"


def test_the_state_of_pods_is_told_under_their_own_names(watched: Stack, asked: Prometheus) -> None:
    def untold() -> set[str]:
        there = {each["metadata"]["name"] for each in watched.get("pods")["items"]}
        told = asked.query(f'kube_pod_info{{namespace="{watched.namespace}"}}')
        return there - {each["metric"]["pod"] for each in told}

    assert eventually(lambda: not untold(), seconds=60), untold()


def test_who_watches_postgresql_reads_no_table(watched: Stack) -> None:
    login = f"PGPASSWORD={watched.secret('postgres-exporter', 'password')}"
    psql = (
        "exec",
        "postgres-0",
        "-c",
        "postgres",
        "--",
        "env",
        login,
        "psql",
        "-h",
        "127.0.0.1",
        "-U",
        "postgres_exporter",
    )
    counts = "SELECT count(*) > 20 FROM pg_stat_user_tables"
    assert watched.kubectl(*psql, "--dbname=mlflow", "--tuples-only", "--no-align", "--command", counts).strip() == "t"
    rows = "SELECT count(*) FROM experiments; SELECT 'read'"
    assert "read" not in watched.kubectl(
        *psql, "--dbname=mlflow", "-v", "ON_ERROR_STOP=1", "--command", rows, check=False
    )


@pytest.fixture(scope="module")
def kept(watched: Stack) -> Iterator[Loki]:
    """Where logs are kept; the cluster's agents bring what containers print."""
    addons.install_log_agents(watched.workspace.cluster, watched.outputs()["observability"]["logs"]["url"])
    with loki(watched) as found:
        yield found


def test_what_a_worker_wrote_is_found_when_the_worker_is_gone(watched: Stack, kept: Loki) -> None:
    with dashboard(watched) as ray:
        pod = str(ray.value(ray.submit(JOBS / "say.py"), "POD"))
    watched.kubectl("delete", "pod", pod, "--wait=true")
    said = f'{{service_name="ray-worker", k8s_pod_name="{pod}"}} |= "heard on a worker that goes"'
    assert eventually(lambda: bool(kept.lines(said)), seconds=60)
    assert not kept.lines(f'{{service_name="ray-worker", k8s_pod_name="{pod}"}} |= "nobody said this"')


def test_what_containers_print_is_found_by_the_labels_of_their_pods(watched: Stack, kept: Loki) -> None:
    here = f'k8s_namespace_name="{watched.namespace}"'
    ours = "mlflow", "feast-server", "postgres", "kuberay-operator"

    def silent() -> list[str]:
        asked = {each: f'{{{here}, service_name="{each}"}} | app_kubernetes_io_part_of="ml-platform"' for each in ours}
        return [each for each, query in asked.items() if not kept.lines(query)]

    assert eventually(lambda: not silent(), seconds=120), silent()


@pytest.mark.timeout(900)
def test_the_trace_of_a_request_crosses_gateway_and_serve_and_feast(watched: Stack, door: Door) -> None:
    with dashboard(watched) as ray:
        assert ray.value(ray.submit(JOBS / "price.py"), "SERVED") is True
    try:
        (url,) = watched.outputs()["gateway"]["serve"]
        assert eventually(lambda: door.ask(f"{url}/price")[0] == 200, seconds=60)
        numbers = {sampled: secrets.token_hex(16) for sampled in ("01", "00")}
        for sampled, number in numbers.items():
            told = {"traceparent": f"00-{number}-{secrets.token_hex(8)}-{sampled}"}
            assert door.ask(f"{url}/price", **told)[0] == 200
        tellers = {f"{edge.EDGE}-istio.{edge.EDGE}", "ray-serve", "feast-server"}
        with jaeger(watched) as kept:
            assert eventually(lambda: tellers <= kept.trace(numbers["01"]).keys(), seconds=60), kept.trace(
                numbers["01"]
            )
            operations = kept.trace(numbers["01"])
            assert "replica_handle_request Price __call__" in operations["ray-serve"]
            assert "POST /get-online-features" in operations["feast-server"]
            assert not kept.trace(numbers["00"])
    finally:
        with dashboard(watched) as ray:
            assert ray.value(ray.submit(JOBS / "hush.py"), "SERVED") is False


def test_every_rule_is_evaluated(asked: Prometheus) -> None:
    def unwell() -> list[str]:
        return [f"{rule['name']}: {rule.get('lastError')}" for rule in asked.rules() if rule["health"] != "ok"]

    assert asked.rules()
    assert eventually(lambda: not unwell(), seconds=120), unwell()


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("deployment", "alert"), [("feast-server", "FeastServingDown"), ("mlflow", "MLFlowPodDown")])
def test_an_outage_fires_its_alert_and_its_end_resolves_it(
    watched: Stack, asked: Prometheus, deployment: str, alert: str
) -> None:
    assert alert not in asked.alerts()
    with gone(watched, deployment):
        assert eventually(lambda: asked.alerts().get(alert) == "firing", seconds=480), asked.alerts()
    assert eventually(lambda: alert not in asked.alerts(), seconds=240), asked.alerts()


@pytest.fixture(scope="module")
def shown(watched: Stack) -> dict[str, str]:
    """The dashboards as they are in force, by name."""
    maps = watched.get("configmaps", "--selector", "grafana_dashboard=1")["items"]
    return {each["metadata"]["name"].removeprefix("dashboard-"): next(iter(each["data"].values())) for each in maps}


@pytest.fixture(scope="module")
def used(watched: Stack) -> Iterator[Stack]:
    """The platform after some use of every part."""
    logged(watched)
    with dashboard(watched) as ray:
        assert ray.value(ray.submit(JOBS / "echo.py"), "SERVED") is True
        assert ray.value(ray.submit(JOBS / "fail.py"), "FAILED") is True
    read = {"features": ["commodity_prices:settlement_price"], "entities": {"commodity_code": ["WTI", "none"]}}
    cluster, namespace = watched.workspace.cluster, watched.namespace
    with (
        forwarded(cluster, namespace, "service/ray-serve", 8000) as serve,
        forwarded(cluster, namespace, "service/feast-server", 6566) as feast,
        tracking(watched) as mlflow,
        under_load(watched) as load,  # from inside the mesh: a forwarded port passes by the sidecar, which counts
    ):
        model = "/api/2.0/mlflow/registered-models"
        assert mlflow.ask(f"{model}/create", {"name": "price"})[0] == 200
        # Spread over several scrapes: a counter that is found at its end has grown by nothing.
        for number in range(REQUESTS):
            said = {"name": "price", "description": f"of day {number}"}
            assert mlflow.ask(f"{model}/update", said, "PATCH")[0] == 200
            assert ask(f"{serve}/predict")[0] == 200
            assert ask(f"{feast}/get-online-features", read)[0] == 200
            time.sleep(1.5)
    assert load.answered > REQUESTS
    yield watched
    with dashboard(watched) as ray:
        assert ray.value(ray.submit(JOBS / "hush.py"), "SERVED") is False


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("used")
def test_every_panel_shows_data(asked: Prometheus, shown: dict[str, str]) -> None:
    queries = list(panel_queries(shown))

    def empty() -> set[str]:
        full = {f"{each.dashboard}: {each.panel}" for each in queries if asked.past(each.expr)}
        return {f"{each.dashboard}: {each.panel}" for each in queries} - full

    eventually(lambda: empty() <= set(NOTHING_HERE), seconds=240)
    assert empty() == set(NOTHING_HERE)
    answers = {each.expr: {"data": {"result": asked.past(each.expr)}} for each in queries}
    if os.environ.get("UPDATE_PICTURES"):
        draw(shown["overview"], answers, ROOT / "docs" / "pictures" / "overview-dashboard.png")
