"""Shapes of PromQL that dashboards share.

A share of nothing is no value: without requests a panel says so, and does not say that all is well.
"""

WINDOW = "5m"
"""Over which a rate is taken: ten scrapes, so that one that is missed does not show."""


def total(selector: str, by: str = "") -> str:
    """Values summed by labels."""
    return f"sum by ({by}) ({selector})"


def mean(selector: str, by: str = "") -> str:
    """Values averaged by labels."""
    return f"avg by ({by}) ({selector})"


def growth(selector: str, by: str = "", window: str = WINDOW) -> str:
    """How much counters have grown, summed by labels."""
    return f"sum by ({by}) (increase({selector}[{window}]))"


def rate(selector: str, by: str = "", window: str = WINDOW) -> str:
    """How fast counters grow, for each second, summed by labels."""
    return f"sum by ({by}) (rate({selector}[{window}]))"


def share(part: str, whole: str, by: str = "", window: str = WINDOW) -> str:
    """What part of the whole counters grow by; 0 where the part has no series yet."""
    all_of_it = rate(whole, by, window)
    return f"({rate(part, by, window)} or {all_of_it} * 0) / ({all_of_it} > 0)"


def quantile(of: float, buckets: str, by: str = "") -> str:
    """A quantile of a histogram; `buckets` is a selector of its `_bucket` series."""
    return f"histogram_quantile({of}, {rate(buckets, f'{by}, le' if by else 'le')})"


def budget_left(part: str, whole: str, objective: float) -> str:
    """What is left of the errors that an objective allows in 30 days: 1 is all of them, under 0 it is missed."""
    return f"1 - {share(part, whole, window='30d')} / {1 - objective:g}"
