"""What panels show for given samples: Prometheus' own engine evaluates their queries (promtool test rules)."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from components.observability.alerts.rule import Watched
from components.observability.dashboards import dashboards
from components.observability.spec import DashboardsSpec, Thresholds
from sandbox.tools import Toolbox
from tests.support.queries import panel_queries

FULL = Watched(
    "ml",
    Thresholds(gpu_idle_ratio=0.05),
    mesh=True,
    control_plane="istio-system",
    gpus=True,
    stores=("object-store", "postgres", "redis"),
)
QUERIES = list(panel_queries(dashboards(FULL, DashboardsSpec())))

DAY = "1440m"


@dataclass(frozen=True)
class Case:
    """Samples of a minute each, and what a panel shows of them.

    Attributes:
        dashboard: name of it.
        panel: its title; of more than one query, the first is meant.
        samples: series to values, as promtool spells both.
        shown: labels to values; without any, the panel says "No data".
        at: when it is looked at.
    """

    dashboard: str
    panel: str
    samples: dict[str, str]
    shown: dict[str, float]
    at: str = "30m"


def feast(status: str) -> str:
    return f'feast_feature_server_request_total{{namespace="ml", endpoint="/get-online-features", status="{status}"}}'


def serve(code: str) -> str:
    return f'ray_serve_num_http_requests_total{{namespace="ml", application="app", route="/", status_code="{code}"}}'


def model(metric: str) -> str:
    return f'ray_serve_deployment_{metric}{{namespace="ml", application="app", deployment="Model"}}'


def gpu(pod: str) -> str:
    return f'DCGM_FI_DEV_GPU_UTIL{{namespace="ml", pod="{pod}", gpu="0", Hostname="node"}}'


def quota(resource: str, kind: str) -> str:
    return f'kube_resourcequota{{namespace="ml", resourcequota="ml", resource="{resource}", type="{kind}"}}'


def alert(name: str, state: str) -> str:
    return f'ALERTS{{alertname="{name}", alertstate="{state}", part_of="ml-platform", severity="critical"}}'


def container(metric: str, pod: str, name: str, extra: str = "") -> str:
    return f'{metric}{{namespace="ml", pod="{pod}", container="{name}"{extra}}}'


def cluster(metric: str, service: str, extra: str = "") -> str:
    name = f"outbound|5000||{service}.ml.svc.cluster.local"
    return f'envoy_cluster_{metric}{{namespace="ml", pod="asks", cluster_name="{name}"{extra}}}'


OWNERS = {
    "mlflow-5d8f7c9b64-abcde": ("ReplicaSet", "mlflow-5d8f7c9b64"),
    "kuberay-operator-7c9d8b6f5d-x2x4z": ("ReplicaSet", "kuberay-operator-7c9d8b6f5d"),
    "feast-materialize-29384729-qwx8v": ("Job", "feast-materialize-29384729"),
    "object-store-0": ("StatefulSet", "object-store"),
    "ray-gpu-worker-k2x9c": ("RayCluster", "ray"),
}
OWNED = {
    f'kube_pod_owner{{namespace="ml", pod="{pod}", owner_kind="{kind}", owner_name="{name}"}}': "1x1440"
    for pod, (kind, name) in OWNERS.items()
}
WORKLOADS = ("mlflow", "kuberay-operator", "feast-materialize", "object-store", "ray")
CPU = "container_cpu_usage_seconds_total"
ASKED, PHASE = "kube_pod_container_resource_requests", "kube_pod_status_phase"

CASES = [
    Case("feast", "Failed requests", {feast("success"): "0+60x60", feast("error"): "0+20x60"}, {"{}": 0.25}),
    Case("feast", "Failed requests", {feast("success"): "0+60x60"}, {"{}": 0}),
    Case("feast", "Failed requests", {feast("success"): "5x60"}, {}),
    Case(
        "ray",
        "Requests with a server error",
        {serve("200"): "0+80x60", serve("404"): "0+10x60", serve("500"): "0+10x60"},
        {'{application="app"}': 0.1},
    ),
    Case(
        "ray",
        "Failures by deployment",
        {
            model("processing_latency_ms_count"): "0+100x60",
            model("request_counter_total"): "0+90x60",
            model("error_counter_total"): "0+10x60",
        },
        {'{application="app", deployment="Model"}': 0.1},
    ),
    Case(
        "overview",
        "Feast: budget left",
        {feast("success"): "0+999x60", feast("error"): "0+1x60"},
        {"{}": 0.8},
        at="60m",
    ),
    Case("overview", "Alerts: critical", {alert("A", "firing"): "1x60", alert("B", "pending"): "1x60"}, {"{}": 1}),
    Case("overview", "Alerts: warning", {alert("A", "firing"): "1x60"}, {"{}": 0}),
    Case(
        "overview",
        "Alerts that fire",
        {alert("A", "firing"): "1x60", alert("B", "pending"): "1x60"},
        {'{alertname="A", severity="critical"}': 1},
    ),
    Case(
        "cost",
        "Quota taken",
        {
            quota("pods", "used"): "90x60",
            quota("pods", "hard"): "120x60",
            quota("requests.nvidia.com/gpu", "used"): "0x60",
            quota("requests.nvidia.com/gpu", "hard"): "0x60",
        },
        {'{resource="pods"}': 0.75},
    ),
    Case(
        "cost",
        "CPU hours by workload",
        {**OWNED, **{container(CPU, pod, "main"): "0+30x1440" for pod in OWNERS}},
        {f'{{workload="{name}"}}': 12 for name in WORKLOADS},
        at=DAY,
    ),
    Case(
        "cost",
        "CPU hours by workload",
        {
            **OWNED,
            container(CPU, "object-store-0", "main"): "0+30x1440",
            container(CPU, "object-store-0", "istio-proxy"): "0+15x1440",
            container(CPU, "object-store-0", ""): "0+45x1440",  # the whole pod
        },
        {'{workload="object-store"}': 18},
        at=DAY,
    ),
    Case(
        "cost",
        "Memory hours by workload",
        {**OWNED, container("container_memory_working_set_bytes", "object-store-0", "main"): f"{2**31}x1440"},
        {'{workload="object-store"}': 48},
        at=DAY,
    ),
    Case(
        "cost",
        "GPU hours by workload",
        {**OWNED, container(ASKED, "ray-gpu-worker-k2x9c", "ray-worker", ', resource="nvidia_com_gpu"'): "2x1440"},
        {'{workload="ray"}': 48},
        at=DAY,
    ),
    Case(
        "cost",
        "CPU: asked for and used",
        {
            container(ASKED, "mlflow-5d8f7c9b64-abcde", "mlflow", ', resource="cpu"'): "0.5x60",
            container(ASKED, "feast-materialize-29384729-qwx8v", "materialize", ', resource="cpu"'): "0.1x60",
            f'{PHASE}{{namespace="ml", pod="mlflow-5d8f7c9b64-abcde", phase="Pending"}}': "0x60",
            f'{PHASE}{{namespace="ml", pod="mlflow-5d8f7c9b64-abcde", phase="Running"}}': "1x60",
            f'{PHASE}{{namespace="ml", pod="feast-materialize-29384729-qwx8v", phase="Running"}}': "0x60",
            f'{PHASE}{{namespace="ml", pod="feast-materialize-29384729-qwx8v", phase="Succeeded"}}': "1x60",
        },
        {"{}": 0.5},
    ),
    Case("cost", "Idle GPU hours, last 24 hours", {gpu("a"): "0x720 90x719", gpu("b"): "50x1440"}, {"{}": 12}, at=DAY),
    Case(
        "cost", "Idle among held, last 24 hours", {gpu("a"): "0x720 90x719", gpu("b"): "50x1440"}, {"{}": 0.25}, at=DAY
    ),
    Case("gpu", "GPUs held", {gpu("a"): "0x60", gpu("b"): "50x60"}, {"{}": 2}),
    Case("gpu", "GPUs idle", {gpu("a"): "0x60", gpu("b"): "50x60"}, {"{}": 1}),
    Case("gpu", "GPUs held", {}, {"{}": 0}),
    Case(
        "mesh",
        "Requests by who asks, Service and response code",
        {
            cluster("upstream_rq", "mlflow", ', response_code="200"'): "0+60x60",
            cluster("upstream_rq", "mlflow", ', response_code_class="2xx"'): "0+60x60",
        },
        {
            '{pod="asks", service="mlflow", response_code="200", '
            'cluster_name="outbound|5000||mlflow.ml.svc.cluster.local"}': 1
        },
    ),
    Case("mesh", "Plain text refused, last hour", {}, {}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.dashboard}: {case.panel}: {len(case.samples)} series")
def test_a_panel_shows(case: Case, toolbox: Toolbox, tmp_path: Path) -> None:
    expr = next(each.expr for each in QUERIES if (each.dashboard, each.panel) == (case.dashboard, case.panel))
    samples = [{"series": series, "values": values} for series, values in case.samples.items()]
    shown = [{"labels": labels, "value": value} for labels, value in case.shown.items()]
    asked = [{"expr": expr, "eval_time": case.at, "exp_samples": shown}]
    test = {"interval": "1m", "input_series": samples, "promql_expr_test": asked}
    file = tmp_path / "test.yaml"
    file.write_text(json.dumps({"fuzzy_compare": True, "tests": [test]}))
    command = [str(toolbox.binary("promtool")), "test", "rules", str(file)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
