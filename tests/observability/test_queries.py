"""Every rule and every panel asks for metrics and labels that the pinned exporters have."""

import re
from typing import Any

import pytest

from components.observability.alerts import groups
from components.observability.alerts.rule import Alert, Recording
from components.observability.dashboards import dashboards
from components.observability.spec import DashboardsSpec
from tests.support.catalogue import labels_of, problems, recorded_series
from tests.support.exporters import read_series
from tests.support.queries import PanelQuery, panel_queries
from tests.support.watched import WHOLE

RULES = [rule for group in groups(WHOLE) for rule in group.rules]
QUERIES = list(panel_queries(dashboards(WHOLE, DashboardsSpec())))
SERIES = read_series()
RECORDED = recorded_series(
    ((rule.record, rule.expr, rule.labels) for rule in RULES if isinstance(rule, Recording)), SERIES
)


def _rules() -> list[Any]:
    return [pytest.param(rule, id=rule.name if isinstance(rule, Alert) else rule.record) for rule in RULES]


def _queries() -> list[Any]:
    return [
        pytest.param(query, id=f"{query.dashboard}: {query.panel}, {number}") for number, query in enumerate(QUERIES)
    ]


@pytest.mark.parametrize("rule", _rules())
def test_a_rule_asks_for_what_exporters_have(rule: Alert | Recording) -> None:
    assert problems(rule.expr, SERIES, RECORDED) == []
    assert labels_of(rule.expr, SERIES, RECORDED) is not None


@pytest.mark.parametrize("rule", [each for each in _rules() if isinstance(each.values[0], Alert)])
def test_an_alert_tells_of_labels_that_it_has(rule: Alert) -> None:
    told = set(re.findall(r"\$labels\.(\w+)", rule.summary + rule.description))
    assert told <= (labels_of(rule.expr, SERIES, RECORDED) or set()) | set(rule.labels)


@pytest.mark.parametrize("query", _queries())
def test_a_panel_asks_for_what_exporters_have(query: PanelQuery) -> None:
    assert problems(query.expr, SERIES, RECORDED) == []


@pytest.mark.parametrize("query", _queries())
def test_a_legend_names_labels_that_its_series_have(query: PanelQuery) -> None:
    told = set(re.findall(r"\{\{\s*(\w+)\s*\}\}", query.legend))
    assert told <= (labels_of(query.expr, SERIES, RECORDED) or set())
