"""Whether a query asks for metrics that there are.

A metric that no exporter has, a label that it does not have, or a job that has no such metric makes an alert that never
fires and a panel that stays empty, and no tool of Prometheus says so.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import promql_parser as promql
from promql_parser import LabelModifierType, MatchOp, ValueType, VectorMatchCardinality

from tests.support.exporters import TARGET, Series

ALERTS = {"ALERTS": frozenset({"alertname", "alertstate", "severity", "part_of"}) | TARGET}
"""Series that Prometheus writes about alerts."""

Labels = frozenset[str] | None
"""Labels that series may have; None where that is not known."""

_NAME = "__name__"
# Every series has it, as a label that only some of PromQL sees.

_NAMES = re.compile(r"[\w-]+(\|[\w-]+)*")
# A regular expression that only lists what it matches.

_SELECTING = ("topk", "bottomk", "limitk", "limit_ratio")
# They keep series as they are; others make new ones.


def problems(expr: str, series: Series, recorded: Mapping[str, Labels]) -> list[str]:
    """What is wrong with a query.

    Args:
        expr: PromQL.
        series: what exporters have.
        recorded: what recording rules make, with the labels that are left.
    """
    check = _Check(series, {**ALERTS, **recorded})
    check.labels(promql.parse(expr))
    return check.found


def labels_of(expr: str, series: Series, recorded: Mapping[str, Labels]) -> Labels:
    """Labels that the result of a query may have."""
    return _Check(series, {**ALERTS, **recorded}).labels(promql.parse(expr))


def recorded_series(rules: Iterable[tuple[str, str, Iterable[str]]], series: Series) -> dict[str, Labels]:
    """What recording rules make.

    Args:
        rules: of each its name, its expression and the labels that it adds. A rule may read what any other one makes.
        series: what exporters have.
    """
    rules = list(rules)
    known: dict[str, Labels] = dict.fromkeys((name for name, _, _ in rules), None)
    while True:
        made: dict[str, Labels] = {}
        for name, expr, added in rules:
            left = labels_of(expr, series, known)
            made[name] = None if left is None else left | set(added) | (made.get(name) or frozenset())
        if made == known:
            return known
        known = made


@dataclass
class _Check:
    """Follows the labels through an expression, and keeps what is wrong on the way."""

    series: Series
    recorded: Mapping[str, Labels]
    found: list[str] = field(default_factory=list)

    def labels(self, node: promql.Expr) -> Labels:
        """Labels of what a node results in."""
        match node:
            case promql.VectorSelector() | promql.MatrixSelector():
                return self._selector(_selector(node))
            case promql.ParenExpr() | promql.SubqueryExpr() | promql.UnaryExpr():
                return self.labels(node.expr)
            case promql.AggregateExpr():
                return self._aggregate(node)
            case promql.BinaryExpr():
                return self._binary(node)
            case promql.Call():
                return self._call(node)
        return frozenset()

    def _known(self, what: str, names: Iterable[str], labels: Labels) -> None:
        if labels is not None:
            self.found += [f"{what}: there is no label {name}" for name in sorted(set(names) - labels - {_NAME})]

    def _selector(self, node: promql.VectorSelector) -> Labels:
        matchers = node.matchers.matchers
        named = next((each for each in matchers if each.name == _NAME), None)
        name = node.name or (str(named.value) if named else "")
        rest = [each for each in matchers if each.name != _NAME]
        if name in self.recorded:
            labels = self.recorded[name]
            self._known(name, (each.name for each in rest), labels)
            return labels
        if name not in self.series:
            self.found.append(self._unknown(name))
            return None
        jobs = self.series[name]
        asked = [each for each in rest if each.name == "job"]
        having = [job for job in jobs if all(_matches(each, job) for each in asked)]
        if not having:
            self.found.append(f"{name}: {', '.join(map(str, asked))} has no such metric, but {', '.join(sorted(jobs))}")
            return None
        for each in asked:
            absent = sorted(set(each.value.split("|")) - set(jobs)) if _NAMES.fullmatch(each.value) else []
            self.found += [f"{name}: job {job} has no such metric" for job in absent if _matches(each, job)]
        labels = frozenset[str]().union(*(jobs[job] for job in having))
        self._known(name, (each.name for each in rest), labels)
        return labels

    def _unknown(self, name: str) -> str:
        if f"{name}_bucket" in self.series:
            return f"{name} is a histogram: it has {name}_bucket, {name}_count and {name}_sum"
        return f"there is no metric {name}"

    def _aggregate(self, node: promql.AggregateExpr) -> Labels:
        labels = self.labels(node.expr)
        if node.param:
            self.labels(node.param)
        operation = str(node.op)
        names = frozenset(node.modifier.labels if node.modifier else [])
        without = bool(node.modifier and node.modifier.type == promql.AggModifierType.Without)
        self._known(f"{operation} {'without' if without else 'by'}", names, labels)
        if operation in _SELECTING or labels is None:
            return labels
        added = {str(node.param.val)} if node.param and operation == "count_values" else set[str]()
        return (labels - names if without else labels & names) | added

    def _binary(self, node: promql.BinaryExpr) -> Labels:
        left, right = self.labels(node.lhs), self.labels(node.rhs)
        if _scalar(node.lhs):
            return right
        if _scalar(node.rhs):
            return left
        operation = str(node.op)
        if operation == "or":
            return None if left is None or right is None else left | right
        matching = node.modifier.matching if node.modifier else None
        names = frozenset(matching.labels) if matching else frozenset[str]()
        on = bool(matching and matching.type == LabelModifierType.Include)
        self._sides(operation, left, right, names, on=on)
        if operation in {"and", "unless"}:
            return left
        card = node.modifier.card if node.modifier else VectorMatchCardinality.OneToOne
        if card == VectorMatchCardinality.OneToOne:
            return names if on else (None if left is None else left - names)
        many, one = (left, right) if card == VectorMatchCardinality.ManyToOne else (right, left)
        brought = frozenset(node.modifier.group_labels or []) if node.modifier else frozenset[str]()
        self._known(f"group of {operation}", brought, one)
        return None if many is None else many | brought

    def _sides(self, operation: str, left: Labels, right: Labels, names: frozenset[str], *, on: bool) -> None:
        if on:
            self._known(f"on, left of {operation}", names, left)
            self._known(f"on, right of {operation}", names, right)
        elif left is not None and right is not None:
            self._known(f"ignoring of {operation}", names, left | right)
            if differing := (left ^ right) - names:
                self.found.append(f"{operation}: only one side has {', '.join(sorted(differing))}, so nothing matches")

    def _call(self, node: promql.Call) -> Labels:
        name = node.func.name
        walked = [(each, self.labels(each)) for each in node.args]
        arguments = [labels for each, labels in walked if not _scalar(each)]
        if not arguments or node.func.return_type == ValueType.Scalar:
            return frozenset()
        if name in {"absent", "absent_over_time"}:
            return _asked_for(node.args[0])
        labels = arguments[0]
        if labels is None:
            return None
        if name in {"histogram_quantile", "histogram_fraction"}:
            if "le" not in labels:
                self.found.append(f"{name} needs the label le")
            return labels - {"le"}
        if name in {"label_replace", "label_join"}:
            made, _, *sources = (each.val for each in node.args if isinstance(each, promql.StringLiteral))
            read = set(sources[:1] if name == "label_replace" else sources) - {""}
            self._known(name, read, labels)
            return labels | {made}
        return labels


def _matches(matcher: promql.Matcher, value: str) -> bool:
    if matcher.op in (MatchOp.Equal, MatchOp.NotEqual):
        return bool((matcher.value == value) == (matcher.op == MatchOp.Equal))
    return bool(re.fullmatch(matcher.value, value) is not None) is bool(matcher.op == MatchOp.Re)


def _scalar(node: promql.Expr) -> bool:
    match node:
        case promql.NumberLiteral() | promql.StringLiteral():
            return True
        case promql.Call():
            return bool(node.func.return_type == ValueType.Scalar)
        case promql.ParenExpr() | promql.UnaryExpr():
            return _scalar(node.expr)
        case promql.BinaryExpr():
            return _scalar(node.lhs) and _scalar(node.rhs)
    return False


def _selector(node: promql.VectorSelector | promql.MatrixSelector) -> promql.VectorSelector:
    return node.vector_selector if isinstance(node, promql.MatrixSelector) else node


def _asked_for(node: promql.Expr) -> Labels:
    """Labels of `absent`: those that its selector asks for by one value."""
    while isinstance(node, promql.ParenExpr):
        node = node.expr
    if not isinstance(node, promql.VectorSelector | promql.MatrixSelector):
        return frozenset()
    matchers = _selector(node).matchers.matchers
    return frozenset(each.name for each in matchers if each.op == MatchOp.Equal) - {_NAME}
