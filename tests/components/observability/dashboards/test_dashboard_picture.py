"""The picture of a dashboard shows what was answered, in the panel's unit, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from components.observability.alerts.rule import Watched
from components.observability.dashboards import dashboards
from components.observability.spec import DashboardsSpec, Thresholds
from tests.support.dashboard_picture import draw, series_of, written
from tests.support.queries import panel_queries

MADE = dashboards(Watched("ml", Thresholds()), DashboardsSpec())["ray"]
READ = json.loads(MADE)
BEGIN = 1_790_000_000


def answer(*series: tuple[dict[str, str], list[str]]) -> dict[str, Any]:
    """As Prometheus answers `query_range`, a sample each 30 seconds."""
    result = [
        {"metric": labels, "values": [[BEGIN + 30 * index, value] for index, value in enumerate(points)]}
        for labels, points in series
    ]
    return {"status": "success", "data": {"resultType": "matrix", "result": result}}


def panel(title: str) -> dict[str, Any]:
    (found,) = [each for each in READ["panels"] if each["title"] == title]
    return dict(found)


def expr(title: str) -> str:
    return next(query.expr for query in panel_queries({"ray": MADE}) if query.panel == title)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.995, "percentunit", "99.5 %"),
        (42, "percent", "42 %"),
        (0.0421, "s", "42.1 ms"),
        (7200, "s", "2 h"),
        (0, "s", "0"),
        (-90, "s", "-1.5 min"),
        (3 * 2**30, "bytes", "3 GiB"),
        (12.5, "reqps", "12.5/s"),
        (84, "celsius", "84 °C"),
        (3, "short", "3"),
    ],
)
def test_a_value_is_written_in_its_unit(value: float, unit: str, text: str) -> None:
    assert written(value, unit) == text


def test_series_are_named_by_the_legend_and_have_no_holes() -> None:
    told = {expr("Memory used by node"): answer(({"pod": "head"}, ["0.5", "NaN", "0.7"]), ({"pod": "gone"}, ["NaN"]))}
    (series,) = series_of(panel("Memory used by node"), READ["templating"]["list"], told)
    assert series.name == "head"
    assert [value for _, value in series.points] == [0.5, 0.7]
    assert series.last == 0.7


def test_a_table_without_a_legend_names_series_by_their_labels() -> None:
    table = json.loads(dashboards(Watched("ml", Thresholds()), DashboardsSpec())["cost"])
    (quota,) = [each for each in table["panels"] if each["title"] == "Quota by resource"]
    told = {quota["targets"][0]["expr"]: answer(({"resource": "pods"}, ["7"]))}
    assert [series.name for series in series_of(quota, [], told)] == ["pods: taken"]


def test_the_picture_is_of_what_was_answered(tmp_path: Path) -> None:
    told = {
        expr("Head answers"): answer(({}, ["1"])),
        expr("Memory used by node"): answer(({"pod": "a"}, ["0.2", "0.4"])),
    }
    draw(MADE, {}, tmp_path / "empty.png")
    draw(MADE, told, tmp_path / "told.png")
    empty, full = ((tmp_path / name).read_bytes() for name in ("empty.png", "told.png"))
    assert empty.startswith(b"\x89PNG")
    assert full.startswith(b"\x89PNG")
    assert empty != full
