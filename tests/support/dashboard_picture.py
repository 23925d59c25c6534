"""A picture of a dashboard with what a real Prometheus answered, where there is no Grafana to take one of.

It has Grafana's layout, units and thresholds, and nothing but the answers: a panel without one says "No data".
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tests.support.queries import expression

Json = Mapping[str, Any]

_COLUMN, _LINE, _DPI = 0.75, 0.42, 80
"""Inches of a grid unit, across and down, and points of an inch."""

_BACK, _PAPER, _INK, _FAINT = "#f4f5f5", "#ffffff", "#24292e", "#8e9297"
_COLOURS = {"green": "#37872d", "red": "#c4162a", "text": _INK}
_LINES = ("#3274d9", "#ff780a", "#37872d", "#a352cc", "#c4162a", "#0a95a6", "#b877d9", "#8f6f00")
_MOST, _WIDE = 8, 44
"""Series of a panel that are shown, more are counted; and letters of a name."""


@dataclass(frozen=True)
class Series:
    """A series as a panel names it.

    Attributes:
        name: by the query's legend.
        points: seconds since 1970 and value, without values that are none.
    """

    name: str
    points: tuple[tuple[float, float], ...]

    @property
    def last(self) -> float:
        return self.points[-1][1]


def series_of(panel: Json, choices: Iterable[Json], answers: Mapping[str, Json]) -> list[Series]:
    """What a panel has to show.

    Args:
        panel: of the dashboard's JSON.
        choices: above the dashboard.
        answers: expression to Prometheus' answer to `query_range`.
    """
    found = []
    for target in panel["targets"]:
        answer = answers.get(expression(target["expr"], choices), {"data": {"result": []}})
        for result in answer["data"]["result"]:
            read = ((float(at), float(value)) for at, value in result["values"])
            points = tuple((at, value) for at, value in read if math.isfinite(value))
            if points:
                name = _name(target.get("legendFormat", ""), result["metric"], row=panel["type"] == "table")
                found.append(Series(name, points))
    return found


def written(value: float, unit: str) -> str:
    """A value as Grafana writes it in a unit."""
    match unit:
        case "percentunit":
            return f"{100 * value:.3g} %"
        case "s":
            return _scaled(value, (("d", 86400), ("h", 3600), ("min", 60), ("s", 1), ("ms", 1e-3), ("µs", 1e-6)))
        case "bytes":
            return _scaled(value, (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10), ("B", 1)))
        case _:
            after = {
                "percent": " %",
                "reqps": "/s",
                "ops": "/s",
                "cps": "/s",
                "celsius": " °C",
                "watt": " W",
                "h": " h",
            }
            return f"{value:.4g}{after.get(unit, '')}"


def draw(dashboard: str, answers: Mapping[str, Json], file: Path) -> None:
    """Write the picture.

    Args:
        dashboard: its JSON.
        answers: expression, with all chosen, to Prometheus' answer to `query_range`.
        file: a PNG.
    """
    read = json.loads(dashboard)
    high = 2 + max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in read["panels"])
    figure = Figure(figsize=(24 * _COLUMN, high * _LINE), dpi=_DPI, facecolor=_BACK)
    figure.text(0.008, 1 - 1.2 / high, read["title"], fontsize=17, weight="bold", color=_INK)
    for panel in read["panels"]:
        place = panel["gridPos"]
        left, top = place["x"] / 24, 1 - (2 + place["y"]) / high
        if panel["type"] == "row":
            figure.text(left + 0.008, top - 0.75 / high, panel["title"], fontsize=13, color=_INK)
            continue
        right, bottom = left + place["w"] / 24, top - place["h"] / high
        gap, across, down = 0.003, right - left, top - bottom
        paper = figure.add_axes((left + gap, bottom + gap, across - 2 * gap, down - 2 * gap), facecolor=_PAPER)
        paper.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(0, 1))
        paper.spines[:].set_color("#dcdddd")
        lines = place["h"] * _LINE
        paper.text(0.01 * 12 / place["w"], 1 - 0.22 / lines, panel["title"], fontsize=10, weight="bold", color=_INK)
        found = series_of(panel, read["templating"]["list"], answers)
        if not found:
            paper.text(0.5, 0.45, "No data", ha="center", va="center", fontsize=13, color=_FAINT)
        elif panel["type"] == "timeseries":
            inner = (left + 0.035, bottom + 1.9 / high, across - 0.045, down - 2.9 / high)
            _lines(figure.add_axes(inner, facecolor=_PAPER), panel, found)
        else:
            {"stat": _values, "table": _rows}[panel["type"]](paper, panel, found)
    figure.savefig(file, format="png")


def _lines(axes: Axes, panel: Json, found: list[Series]) -> None:
    unit, steps = _look(panel)
    for index, series in enumerate(found[:_MOST]):
        times, points = zip(*series.points, strict=True)
        colour = _LINES[index % len(_LINES)]
        axes.plot(
            times, points, color=colour, linewidth=1.3, label=f"{series.name[:_WIDE]}  {written(series.last, unit)}"
        )
        axes.fill_between(times, points, color=colour, alpha=0.08, linewidth=0)
    for step in steps:
        if step["value"] is not None:
            axes.axhline(step["value"], color=_COLOURS[step["color"]], linestyle="--", linewidth=1)
    axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    axes.yaxis.set_major_formatter(lambda value, _: written(value, unit))
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(lambda at, _: datetime.fromtimestamp(at, UTC).strftime("%H:%M"))
    axes.tick_params(labelsize=7, colors=_FAINT)
    axes.grid(color="#ececec", linewidth=0.6)
    axes.spines[:].set_visible(False)
    more = f"and {len(found) - _MOST} more" if len(found) > _MOST else None
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(-0.02, -0.12),
        ncols=2,
        fontsize=7,
        frameon=False,
        title=more,
        title_fontsize=7,
    )


def _values(paper: Axes, panel: Json, found: list[Series]) -> None:
    unit, steps = _look(panel)
    shown = found[:16]
    for index, series in enumerate(shown):
        middle = (index + 0.5) / len(shown)
        colour = _COLOURS[next(step["color"] for step in reversed(steps) if _reached(step, series.last))]
        size = 19 if len(shown) <= panel["gridPos"]["w"] / 2 else 12
        paper.text(middle, 0.46, written(series.last, unit), ha="center", va="center", fontsize=size, color=colour)
        paper.text(middle, 0.16, series.name, ha="center", va="center", fontsize=8, color=_FAINT)


def _rows(paper: Axes, panel: Json, found: list[Series]) -> None:
    unit, _ = _look(panel)
    shown = sorted(found, key=lambda series: series.last, reverse=True)[:10]
    for index, series in enumerate(shown):
        high = 0.82 - 0.08 * index
        paper.text(0.02, high, series.name, va="center", fontsize=9, color=_INK)
        paper.text(0.98, high, written(series.last, unit), ha="right", va="center", fontsize=9, color=_INK)
        paper.axhline(high - 0.04, color="#ececec", linewidth=0.6)


def _look(panel: Json) -> tuple[str, list[Json]]:
    """Unit and thresholds."""
    defaults = panel["fieldConfig"]["defaults"]
    return defaults["unit"], defaults["thresholds"]["steps"]


def _reached(step: Json, value: float) -> bool:
    return step["value"] is None or bool(value >= step["value"])


def _name(legend: str, labels: Json, *, row: bool) -> str:
    """The legend with the values of labels; a table's row has all of them, and the legend is the column's."""
    own = ", ".join(str(value) for label, value in sorted(labels.items()) if label != "__name__")
    if row:
        return f"{own}: {legend}"
    return re.sub(r"{{\s*(\w+)\s*}}", lambda label: str(labels.get(label[1], "")), legend).strip() or own


def _scaled(value: float, units: tuple[tuple[str, float], ...]) -> str:
    name, size = next((unit for unit in units if abs(value) >= unit[1]), units[-1] if value else ("", 1))
    return f"{value / size:.3g} {name}".strip()
