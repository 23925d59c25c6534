"""The lists of what exporters have are well formed, and a query that asks for anything else is found."""

import re
from pathlib import Path

import pytest

from tests.observability.scrape_exporters import metrics, written
from tests.support.catalogue import labels_of, problems, recorded_series
from tests.support.exporters import EXPORTERS, TARGET, Metric, read_list, read_series

FILES = sorted(EXPORTERS.rglob("*.txt"))
KINDS = {"counter", "gauge", "histogram", "info", "summary", "unknown"}
SERIES = read_series()
RECORDED = {"part:requests:rate5m": frozenset({"namespace"})}

OPEN_METRICS = """\
# TYPE asked counter
asked_total{path="/a",user=""} 1.0
asked_created{path="/a"} 1.7e+09
# TYPE took_seconds histogram
took_seconds_bucket{path="/a",le="+Inf"} 1.0
took_seconds_count{path="/a"} 1.0
took_seconds_sum{path="/a"} 0.5
# TYPE build info
build_info{note="a \\"b\\" {c}",version="1"} 1.0
# EOF
"""
PLAIN = """\
# HELP asked_total Requests.
# TYPE asked_total counter
asked_total{path="/a"} 1
# TYPE waited_seconds summary
waited_seconds{quantile="0.5"} 0.1
waited_seconds_sum 0.1
waited_seconds_count 1
retries_total 3
"""


@pytest.mark.parametrize("file", [pytest.param(file, id=file.stem) for file in FILES])
def test_a_list_is_sorted_and_says_where_it_is_from(file: Path) -> None:
    lines = file.read_text().splitlines()
    notes = [line for line in lines if line.startswith("# ")]
    found = lines[len(notes) :]
    assert len(notes) >= 2, "version, and how it was taken"
    assert re.search(r"\d", notes[0]), "no version"
    assert found
    assert lines == [*notes, *found]
    for line in found:
        assert re.fullmatch(r"[a-zA-Z_:][\w:]* [a-z]+( [a-zA-Z_]\w*(,[a-zA-Z_]\w*)*)?", line), line
    names = [line.split()[0] for line in found]
    assert names == sorted(set(names))
    for name, metric in read_list(file).items():
        assert metric.kind in KINDS, name
        assert not metric.labels & {"le", "quantile"}, name
    assert written([note.removeprefix("# ") for note in notes], list(read_list(file).values())) == file.read_text()


def test_what_an_exporter_answers_becomes_a_list() -> None:
    path = frozenset({"path"})
    assert metrics(OPEN_METRICS) == [
        Metric("asked_created", "unknown", path),
        Metric("asked_total", "counter", path),
        Metric("build_info", "info", frozenset({"note", "version"})),
        Metric("took_seconds", "histogram", path),
    ]
    assert metrics(PLAIN) == [
        Metric("asked_total", "counter", path),
        Metric("retries_total", "unknown", frozenset()),
        Metric("waited_seconds", "summary", frozenset()),
    ]


def test_a_list_taken_again_keeps_the_labels_of_both() -> None:
    both = [Metric("up", "gauge", frozenset("b")), Metric("up", "gauge", frozenset("a"))]
    assert written(["x 1", "y"], both) == "# x 1\n# y\nup gauge a,b\n"


def test_a_series_has_the_labels_of_its_metric_and_of_its_scrape() -> None:
    bucket = SERIES["mlflow_http_request_duration_seconds_bucket"]
    assert bucket == {"mlflow": TARGET | {"le", "method", "mlflow_version", "status"}}
    assert "mlflow_http_request_duration_seconds" not in SERIES
    assert SERIES["go_gc_duration_seconds"]["prometheus"] == TARGET | {"quantile"}
    assert "le" not in SERIES["feast_feature_server_request_latency_seconds_count"]["feast-server"]
    assert set(SERIES["ray_tasks"]) == {"ray-head", "ray-worker"}
    # The operator's own namespace is the scrape's: that of a RayCluster has another name.
    assert "exported_namespace" in SERIES["kuberay_cluster_info"]["kuberay-operator"]
    assert "exported_namespace" not in SERIES["kube_pod_info"]["kube-state-metrics"]


@pytest.mark.parametrize(
    ("expr", "problem"),
    [
        pytest.param("rate(mlflow_requests_total[5m])", "there is no metric mlflow_requests_total", id="metric"),
        pytest.param(
            # KubeRay's sample alert MissingMetricRayGlobalControlStore (config/prometheus/rules/prometheusRules.yaml).
            "absent(ray_gcs_update_resource_usage_time_bucket) == 1",
            "there is no metric ray_gcs_update_resource_usage_time_bucket",
            id="KubeRay's sample alert",
        ),
        pytest.param('{__name__="ray_gone"}', "there is no metric ray_gone", id="name as a matcher"),
        pytest.param('ray_tasks{TaskState="FAILED"}', "ray_tasks: there is no label TaskState", id="label"),
        pytest.param('ray_tasks{Gone!=""} == 1', "ray_tasks: there is no label Gone", id="label that is there"),
        pytest.param("sum by (service) (ray_tasks)", "sum by: there is no label service", id="by"),
        pytest.param("sum without (le) (ray_tasks)", "sum without: there is no label le", id="without"),
        pytest.param("topk by (Nowhere) (3, ray_tasks)", "topk by: there is no label Nowhere", id="topk by"),
        pytest.param(
            'ray_tasks{job="mlflow"}', 'ray_tasks: job="mlflow" has no such metric, but ray-head, ray-worker', id="job"
        ),
        pytest.param(
            'pg_up{job=~"mlflow|redis"}',
            'pg_up: job=~"mlflow|redis" has no such metric, but postgres',
            id="jobs",
        ),
        pytest.param('pg_up{job=~"postgres|redis"}', "pg_up: job redis has no such metric", id="one of the jobs"),
        pytest.param('pg_up{job!~"post.+"}', 'pg_up: job!~"post.+" has no such metric, but postgres', id="other jobs"),
        pytest.param('up{job="mlflaw"}', "up: job=", id="job of up"),
        pytest.param(
            "rate(mlflow_http_request_duration_seconds[5m])",
            "mlflow_http_request_duration_seconds is a histogram: it has",
            id="histogram without its suffix",
        ),
        pytest.param(
            "histogram_quantile(0.9, sum by (status) (rate(mlflow_http_request_duration_seconds_bucket[5m])))",
            "histogram_quantile needs the label le",
            id="histogram without le",
        ),
        pytest.param(
            "histogram_quantile(0.9, rate(mlflow_http_request_duration_seconds_count[5m]))",
            "histogram_quantile needs the label le",
            id="histogram's count",
        ),
        pytest.param(
            "part:requests:rate5m{pod='x'}", "part:requests:rate5m: there is no label pod", id="recorded label"
        ),
        pytest.param("autoscaler_pending_nodes > 0", "there is no metric autoscaler_pending_nodes", id="not scraped"),
        pytest.param("part:requests:rate1h", "there is no metric part:requests:rate1h", id="never recorded"),
        pytest.param("pg_up / on (datname) pg_locks_count", "on, left of /: there is no label datname", id="on, left"),
        pytest.param("pg_up / on (node) kube_pod_info", "on, left of /: there is no label node", id="on, one side"),
        pytest.param("pg_up - ignoring (node) pg_up", "ignoring of -: there is no label node", id="ignoring"),
        pytest.param(
            "pg_up * on (pod) group_left (host) kube_pod_info", "group of *: there is no label host", id="group_left"
        ),
        pytest.param("kube_pod_info and pg_up", "and: only one side has created_by_kind, ", id="sides differ"),
        pytest.param(
            "sum by (pod) (kube_pod_info) > sum by (pod, node) (kube_pod_info)",
            ">: only one side has node, so nothing matches",
            id="sums differ",
        ),
        pytest.param('label_replace(up, "x", "$1", "y", "(.*)")', "label_replace: there is no label y", id="replaced"),
        pytest.param('label_join(up, "x", "-", "pod", "y")', "label_join: there is no label y", id="joined"),
        pytest.param("-(max_over_time((gone)[1h:1m]))", "there is no metric gone", id="deep inside"),
        pytest.param("clamp_max(pg_up, scalar(gone))", "there is no metric gone", id="in an argument"),
        pytest.param("topk(scalar(gone), pg_up)", "there is no metric gone", id="in a parameter"),
    ],
)
def test_a_query_for_what_nobody_has_is_found(expr: str, problem: str) -> None:
    found = problems(expr, SERIES, RECORDED)
    assert len(found) == 1, found
    assert found[0].startswith(problem)


@pytest.mark.parametrize(
    ("expr", "labels"),
    [
        ('up{namespace="ml", job="mlflow"} == 0', TARGET),
        ('absent(up{namespace="ml", job="mlflow", pod=~".+"})', {"namespace", "job"}),
        ('absent_over_time((pg_up{job="postgres"}[5m]))', {"job"}),
        ("sum(ray_tasks)", set()),
        ("sum by (State) (ray_tasks{job=~'ray-.+'}) > 3", {"State"}),
        ("count without (mode) (pg_locks_count)", TARGET | {"datname"}),
        ("count_values by (pod) ('value', up)", {"pod", "value"}),
        (
            "histogram_quantile(0.9, sum by (le, method) (rate(mlflow_http_request_duration_seconds_bucket[5m])))",
            {"method"},
        ),
        ("100 * (1 - sum by (pod) (up) / count by (pod) (up))", {"pod"}),
        ("time() - max(feast_feature_freshness_seconds) > bool 3600", set()),
        ("pg_up * on (pod) group_left (node) kube_pod_info", TARGET | {"node"}),
        ("kube_pod_info * on (pod) group_right () pg_up", TARGET),
        ("pg_up / on (pod) redis_up", {"pod"}),
        ("pg_locks_count - ignoring (mode) pg_database_size_bytes", TARGET | {"datname"}),
        ("sum by (pod) (up) or sum by (job) (up)", {"pod", "job"}),
        ("pg_up unless on (namespace) kube_pod_info", TARGET),
        ('label_replace(sum by (pod) (up), "node", "x", "", "")', {"pod", "node"}),
        ("part:requests:rate5m > scalar(sum(up))", {"namespace"}),
        ("vector(1)", set()),
        ('count by (__name__, job) ({__name__="up"})', {"job"}),
        ('ALERTS{alertname="Any", alertstate="firing"}', TARGET | {"alertname", "alertstate", "severity", "part_of"}),
    ],
)
def test_a_query_for_what_there_is_passes_and_its_labels_are_known(expr: str, labels: set[str]) -> None:
    assert problems(expr, SERIES, RECORDED) == []
    assert labels_of(expr, SERIES, RECORDED) == frozenset(labels)


def test_a_recorded_series_has_the_labels_that_its_rule_leaves() -> None:
    rules = [
        ("a:ratio", "b:sum / on (pod) b:sum", ()),  # before what it reads
        ("b:sum", "sum by (pod, job) (up)", ()),
        ("c:budget", "sum by (pod) (up)", ("slo",)),
        ("c:budget", "sum by (job) (up)", ("slo",)),
    ]
    assert recorded_series(rules, SERIES) == {
        "a:ratio": frozenset({"pod"}),
        "b:sum": frozenset({"pod", "job"}),
        "c:budget": frozenset({"pod", "job", "slo"}),
    }


def test_labels_of_what_nobody_has_are_not_known() -> None:
    assert recorded_series([("a:sum", "gone + 1", ())], SERIES) == {"a:sum": None}
    assert labels_of("gone + 1", SERIES, {}) is None
