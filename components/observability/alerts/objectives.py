"""Service level objectives: alerts when the errors that an objective allows are spent too fast.

Source: The Site Reliability Workbook, chapter 5, "Multiwindow, Multi-Burn-Rate Alerts"
(https://sre.google/workbook/alerting-on-slos/), for 30 days: at 14.4 times the rate that the objective allows, an
hour spends 2 % of what is allowed; at 6 times, six hours 5 %; at 3 times, a day 10 %; at once the rate, three days 10
%. The short window ends the alert soon after the errors have ended. What a window cannot tell with few requests is
not said: fewer than one a minute are no basis.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from components.observability.alerts import mlflow
from components.observability.alerts.rule import Alert, Group, Recording, Rule, Severity, Watched
from components.observability.alerts.serve import USERS

WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
"""Over which the part of failed requests is recorded."""

ERRORS, REQUESTS = "ml_platform:slo_errors:ratio_rate", "ml_platform:slo_requests:rate"
"""Recorded for each window, with the label `slo`."""

_LEAST = 1 / 60


@dataclass(frozen=True)
class _Promise:
    """One objective.

    Attributes:
        slo: its name, as a label.
        alert: what its alerts' names begin with.
        who: whose requests they are, for people.
        availability: part of the requests that succeed.
        failed: counters of failed requests.
        requests: counters of all.
    """

    slo: str
    alert: str
    who: str
    availability: float
    failed: str
    requests: str


def group(watched: Watched) -> Group:
    """Rules about what users are promised."""
    promises = _promises(watched)
    recorded = [rule for promise in promises for window in WINDOWS for rule in _recorded(watched, promise, window)]
    return Group("objectives", (*recorded, *(alert for promise in promises for alert in _alerts(promise))))


def _promises(watched: Watched) -> list[_Promise]:
    series, objectives = watched.series, watched.objectives
    served, features = "ray_serve_num_http_requests_total", "feast_feature_server_request_total"
    return [
        _Promise(
            "serve",
            "Serve",
            "Ray Serve",
            objectives.serve.availability,
            series(served, f'{USERS}, status_code=~"5.."'),
            series(served, USERS),
        ),
        _Promise(
            "features",
            "Features",
            "Feast",
            objectives.features.availability,
            series(features, 'status="error"'),
            series(features),
        ),
        _Promise("tracking", "Tracking", "MLflow", objectives.tracking.availability, *mlflow.requests(watched)),
    ]


def _recorded(watched: Watched, promise: _Promise, window: str) -> Iterator[Rule]:
    labels = {"slo": promise.slo}
    requests = f"sum by (namespace) (rate({promise.requests}[{window}]))"
    yield Recording(REQUESTS + window, requests, labels)
    all_of_them = watched.series(REQUESTS + window, f'slo="{promise.slo}"')
    # Without a failed request there may be no counter of them: then none failed.
    failed = f"sum by (namespace) (rate({promise.failed}[{window}])) or 0 * {requests}"
    yield Recording(ERRORS + window, f"({failed})\n/ on (namespace) ({all_of_them} > 0)", labels)


def _alerts(promise: _Promise) -> Iterator[Alert]:
    speeds: tuple[tuple[str, Severity, tuple[tuple[float, str, str], ...], str], ...] = (
        ("Fast", "critical", ((14.4, "1h", "5m"), (6, "6h", "30m")), "2m"),
        ("Slowly", "warning", ((3, "1d", "2h"), (1, "3d", "6h")), "15m"),
    )
    for speed, severity, burns, lasting in speeds:
        yield Alert(
            name=f"{promise.alert}ErrorBudgetBurns{speed}",
            expr="\nor\n".join(_burns(promise, *burn) for burn in burns),
            lasting=lasting,
            severity=severity,
            summary=f"{promise.who} in {{{{ $labels.namespace }}}} spends its errors {speed.lower()}",
            description=(
                "{{ $value | humanizePercentage }} of the requests fail, where "
                f"{100 * (1 - promise.availability):g}% may within 30 days."
            ),
            labels={"slo": promise.slo},
        )


def _burns(promise: _Promise, factor: float, window: str, short: str) -> str:
    bound = f"{factor * (1 - promise.availability):.6g}"
    of_it = f'{{slo="{promise.slo}"}}'
    return (
        f"({ERRORS}{window}{of_it} > {bound} and {ERRORS}{short}{of_it} > {bound}"
        f" and {REQUESTS}{window}{of_it} >= {_LEAST:.4f})"
    )
