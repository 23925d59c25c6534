"""Every query of the dashboards, for tests that parse them, look up their metrics or ask a real Prometheus."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PanelQuery:
    """A query as Prometheus gets it when a user has chosen everything.

    Attributes:
        dashboard: name of it.
        panel: title.
        expr: PromQL.
        legend: how series are named, with labels in double braces.
        instant: whether only the latest value is asked for.
    """

    dashboard: str
    panel: str
    expr: str
    legend: str
    instant: bool


def panel_queries(dashboards: Mapping[str, str]) -> Iterator[PanelQuery]:
    """The queries of all panels, in their order.

    Args:
        dashboards: name to JSON.
    """
    for name, text in dashboards.items():
        read = json.loads(text)
        for panel in read["panels"]:
            for target in panel.get("targets", []):
                expr = expression(target["expr"], read["templating"]["list"])
                yield PanelQuery(
                    name, panel["title"], expr, target.get("legendFormat", ""), target.get("instant", False)
                )


def expression(expr: str, choices: Iterable[Mapping[str, Any]]) -> str:
    """A panel's expression with all chosen of what the dashboard lets choose."""
    for choice in choices:
        expr = expr.replace(f"${choice['name']}", choice["allValue"])
    return expr
