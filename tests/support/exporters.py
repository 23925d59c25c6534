"""Which metrics the pinned exporters have: the lists of tests/observability/exporters/.

tests/observability/README.md says where they are from.

A label is listed when at least one series of the metric may have it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

EXPORTERS = Path(__file__).resolve().parents[1] / "observability" / "exporters"

TARGET = frozenset({"namespace", "pod", "container", "endpoint", "job", "instance"})
"""Labels that a scrape gives to every series."""

LISTS = {"ray-head": "ray", "ray-worker": "ray"}
"""Job to list, where they are not called the same."""

HONOURED = frozenset({"cert-manager", "gateway", "gpu", "istiod", "kube-state-metrics", "kubelet"})
"""Jobs whose own labels win over those of the scrape (honorLabels): exporters that are the cluster's. Of others a label
that a scrape gives too becomes `exported_NAME`."""

SCRAPE = ("up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_series_added")
"""Series that Prometheus writes about each target. Source: https://prometheus.io/docs/concepts/jobs_instances/."""

Series = Mapping[str, Mapping[str, frozenset[str]]]
"""Name of a series to the jobs that have it, with its labels."""


@dataclass(frozen=True)
class Metric:
    """A line of a list: a metric's name, its type and its own labels, without `le` and `quantile`."""

    name: str
    kind: str
    labels: frozenset[str]

    def series(self) -> dict[str, frozenset[str]]:
        """Its series, with their labels.

        Source: https://prometheus.io/docs/concepts/metric_types/.
        """
        parts = {f"{self.name}_count": self.labels, f"{self.name}_sum": self.labels}
        if self.kind == "histogram":
            return {f"{self.name}_bucket": self.labels | {"le"}, **parts}
        if self.kind == "summary":
            return {self.name: self.labels | {"quantile"}, **parts}
        return {self.name: self.labels}


def read_list(file: Path) -> dict[str, Metric]:
    """The metrics of a list by name."""
    lines = [line.split() for line in file.read_text().splitlines() if line and not line.startswith("#")]
    return {name: Metric(name, kind, frozenset(",".join(labels).split(",")) - {""}) for name, kind, *labels in lines}


def read_series(folder: Path = EXPORTERS) -> Series:
    """Every series that the lists of a folder speak of; what is in a folder below is not scraped."""
    found: dict[str, dict[str, frozenset[str]]] = {}
    for file in sorted(folder.glob("*.txt")):
        own: dict[str, frozenset[str]] = dict.fromkeys(SCRAPE, frozenset())
        for metric in read_list(file).values():
            own |= metric.series()
        for job in [job for job, name in LISTS.items() if name == file.stem] or [file.stem]:
            for series, labels in own.items():
                kept = labels if job in HONOURED else {f"exported_{x}" if x in TARGET else x for x in labels}
                found.setdefault(series, {})[job] = TARGET | kept
    return found
