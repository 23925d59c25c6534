"""Dashboards: Grafana reads them, no panel is without a meaning, and nothing is shown that the platform has not."""

import json
import re
from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any

import promql_parser
import pytest
from grafana_foundation_sdk.cog import runtime
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import prometheus, stat, table, timeseries
from grafana_foundation_sdk.models.dashboard import Dashboard

from components.observability.alerts.rule import Bounds, Watched
from components.observability.dashboards import dashboards
from components.observability.spec import (
    DashboardsSpec,
    ExistingGrafana,
    GrafanaSpec,
    Objective,
    Objectives,
    Thresholds,
)
from tests.support.queries import panel_queries

SMALL = Watched("ml", Thresholds(), materialization=False)
FULL = replace(
    SMALL,
    mesh=True,
    gateway="kong",
    control_plane="istio-system",
    worker_groups={"cpu": Bounds(0, 5), "gpu": Bounds(0, 2)},
    gpus=True,
    stores=("object-store", "postgres", "redis"),
    materialization=True,
)
SPEC = DashboardsSpec(grafana=GrafanaSpec(existing=ExistingGrafana(datasource="thanos")))
MADE = dashboards(FULL, SPEC)
NAMES = ["cost", "feast", "gpu", "mesh", "mlflow", "overview", "ray"]

Json = dict[str, Any]


def _panels(text: str) -> list[Json]:
    return [panel for panel in json.loads(text)["panels"] if panel["type"] != "row"]


def _every_panel() -> list[Any]:
    return [
        pytest.param(panel, id=f"{name}: {panel['title']}") for name, text in MADE.items() for panel in _panels(text)
    ]


def _refusal(expr: str) -> str:
    """Why a query is refused; empty when it is not."""
    try:
        promql_parser.parse(expr)
    except ValueError as error:
        return str(error)
    return ""


def _overlaps(panels: list[Json]) -> list[tuple[str, str]]:
    def apart(one: Json, other: Json) -> bool:
        return bool(
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )

    pairs = combinations(panels, 2)
    return [(one["title"], two["title"]) for one, two in pairs if not apart(one["gridPos"], two["gridPos"])]


def test_there_is_one_for_each_part() -> None:
    assert list(MADE) == NAMES


def test_the_overview_has_the_name_of_the_reports() -> None:
    assert json.loads(MADE["overview"])["title"] == "ML Platform - Ray & Feast"


@pytest.mark.parametrize("name", NAMES)
def test_the_library_reads_back_all_that_it_wrote(name: str) -> None:
    for panel in (stat, table, timeseries):
        runtime.register_panelcfg_variant(panel.variant_config())
    runtime.register_dataquery_variant(prometheus.variant_config())
    again = json.dumps(Dashboard.from_json(json.loads(MADE[name])), cls=JSONEncoder)
    assert json.loads(again) == json.loads(MADE[name])


@pytest.mark.parametrize("name", NAMES)
def test_it_is_found_again_and_fits_into_a_config_map(name: str) -> None:
    read = json.loads(MADE[name])
    assert read["uid"] == f"ml-platform-{name}"
    assert len(read["uid"]) <= 40  # Grafana's bound
    assert read["refresh"] == "30s"
    assert read["tags"] == ["ml-platform"]
    assert len(MADE[name].encode()) < 256 * 1024  # etcd takes 1 MiB, and an apply keeps it twice


def test_the_same_platform_has_the_same_dashboards() -> None:
    assert dashboards(FULL, SPEC) == MADE
    assert dashboards(replace(FULL, namespace="other"), SPEC) != MADE


@pytest.mark.parametrize("name", NAMES)
def test_panels_have_a_number_and_a_place_of_their_own(name: str) -> None:
    panels = json.loads(MADE[name])["panels"]
    numbers = [panel["id"] for panel in panels]
    assert len(set(numbers)) == len(numbers)
    assert min(numbers) > 0
    assert _overlaps(panels) == []
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)


def test_an_overlap_is_seen() -> None:
    place = {"x": 0, "y": 0, "w": 12, "h": 8}
    beside, over = {**place, "x": 12}, {**place, "x": 11, "y": 7}
    panels = [{"title": title, "gridPos": at} for title, at in {"a": place, "b": beside, "c": over}.items()]
    assert _overlaps(panels) == [("a", "c"), ("b", "c")]


@pytest.mark.parametrize("name", NAMES)
def test_titles_of_a_row_differ(name: str) -> None:
    rows: dict[str, list[str]] = {}
    for panel in json.loads(MADE[name])["panels"]:
        if panel["type"] == "row":
            titles = rows.setdefault(panel["title"], [])
        else:
            titles.append(panel["title"])
    assert all(titles for titles in rows.values())
    assert all(len(set(titles)) == len(titles) for titles in rows.values())


@pytest.mark.parametrize("panel", list(_every_panel()))
def test_a_panel_says_what_it_shows(panel: Json) -> None:
    assert panel["title"]
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "thanos"}
    assert panel["targets"]
    assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])
    references = [target["refId"] for target in panel["targets"]]
    assert len(set(references)) == len(references)


@pytest.mark.parametrize("panel", list(_every_panel()))
def test_a_description_says_what_is_good_or_bad(panel: Json) -> None:
    assert panel["description"].endswith(".")
    assert re.search(r"\b(good|bad)\b", panel["description"], re.IGNORECASE)


@pytest.mark.parametrize("query", list(panel_queries(MADE)), ids=lambda query: f"{query.dashboard}: {query.panel}")
def test_a_query_is_promql_of_this_platform(query: Any) -> None:
    assert not _refusal(query.expr)
    assert not re.search(r"\$[a-z]", query.expr)  # a choice that nobody has made
    own = 'namespace="ml"', 'namespace="kong"', 'namespace="istio-system"', 'part_of="ml-platform"'
    assert any(matcher in query.expr for matcher in own), query.expr


@pytest.mark.parametrize("broken", ["sum(rate(up[5m])", "sum by pod (up)", 'up{job="mlflow}'])
def test_a_query_that_is_not_promql_is_seen(broken: str) -> None:
    assert _refusal(broken)


def test_what_is_not_there_is_left_out() -> None:
    small = dashboards(SMALL, SPEC)
    assert list(small) == ["cost", "feast", "mlflow", "overview", "ray"]
    text = "".join(query.expr for query in panel_queries(small))
    everything = "".join(query.expr for query in panel_queries(MADE))
    parts = "DCGM_ nvidia_com_gpu envoy_ citadel_ pilot_ kong_ pg_ redis_ feast-materialize"
    for absent in ('Name="GPU"', *parts.split()):
        assert absent not in text, absent
        assert absent in everything, absent


def test_no_row_is_empty() -> None:
    for text in dashboards(SMALL, SPEC).values():
        panels = json.loads(text)["panels"]
        kinds = [panel["type"] for panel in panels]
        assert kinds[-1] != "row"
        assert ("row", "row") not in pairwise(kinds)


@pytest.mark.parametrize("small_or_full", [SMALL, FULL], ids=["small", "full"])
def test_mlflow_has_the_five_of_the_reports(small_or_full: Watched) -> None:
    panels = json.loads(dashboards(small_or_full, SPEC)["mlflow"])["panels"]
    titles = [panel["title"] for panel in panels if panel["type"] == "row"]
    assert titles == ["Health", "Experiments", "Registry", "Resources", "Errors and latency"]


def test_bounds_are_those_of_the_stack() -> None:
    bounds = Thresholds(feature_age_seconds=1234)
    panels = {panel["title"]: panel for panel in _panels(dashboards(replace(FULL, thresholds=bounds), SPEC)["feast"])}
    steps = panels["Age of features"]["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [step["value"] for step in steps] == [None, 1234]


def test_a_budget_is_of_the_errors_that_the_objective_allows() -> None:
    promised = Objectives(serve=Objective(availability=0.9))
    found = panel_queries(dashboards(replace(FULL, objectives=promised), SPEC))
    [budget] = [query for query in found if query.panel == "Ray Serve: budget left"]
    assert budget.instant  # a line over 30 days of samples is too much to ask every 30 seconds
    assert "[30d]" in budget.expr
    assert budget.expr.endswith("/ 0.1")


def test_choices_are_values_of_series_that_are_there() -> None:
    chosen = [choice for text in MADE.values() for choice in json.loads(text)["templating"]["list"]]
    assert {choice["query"] for choice in chosen} == {
        'label_values(ray_node_cpu_count{namespace="ml"}, pod)',
        'label_values(DCGM_FI_DEV_GPU_UTIL{namespace="ml"}, pod)',
    }
    assert all(choice["datasource"]["uid"] == "thanos" for choice in chosen)
