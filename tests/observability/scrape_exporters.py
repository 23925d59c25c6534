"""Takes the list of an exporter's metrics from the exporter itself, as Prometheus would see them.

    python -m tests.observability.scrape_exporters NAME --note 'Ray 2.60.0, ...' SOURCE...

writes exporters/NAME.txt with what all sources have together. A source is an address, such as
http://USER:PASSWORD@HOST:PORT/metrics, or a file of what one answered. With `--keep` what the list already has stays:
an exporter shows some metrics only after something has happened. README.md beside this says how to make it happen.
"""

import argparse
import base64
import re
import urllib.request
from collections import defaultdict
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.exporters import EXPORTERS, Metric, read_list

ACCEPT = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.4,*/*;q=0.1"
"""What Prometheus 3 asks for, without protocol buffers; which format is answered decides about some names."""

_SAMPLE = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})?\s+\S+")
_LABEL = re.compile(r'([a-zA-Z_]\w*)="(?:[^"\\]|\\.)+"')
"""A label with an empty value is none: https://prometheus.io/docs/concepts/data_model/."""
_PARTS = {"histogram": ("_bucket", "_count", "_sum"), "summary": ("_count", "_sum")}


def metrics(exposition: str) -> list[Metric]:
    """The metrics of an answer, in either text format; samples without a type are `unknown`."""
    types: dict[str, str] = {}
    labels: dict[str, set[str]] = defaultdict(set)
    for line in exposition.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            types[name] = kind
        elif found := _SAMPLE.match(line):
            labels[found["name"]].update(_LABEL.findall(found["labels"] or ""))
    families: dict[tuple[str, str], set[str]] = defaultdict(set)
    for sample, names in labels.items():
        families[_family(sample, types)].update(names - {"le", "quantile"})
    return [Metric(name, kind, frozenset(names)) for (name, kind), names in sorted(families.items())]


def _family(sample: str, types: dict[str, str]) -> tuple[str, str]:
    """Name and type of what a sample is part of.

    OpenMetrics declares a counter without the `_total`, and an info without the `_info`, that their samples have.
    """
    for kind, suffixes in _PARTS.items():
        for suffix in suffixes:
            family = sample.removesuffix(suffix)
            if family != sample and types.get(family) == kind:
                return family, kind
    for kind, suffix in (("counter", "_total"), ("info", "_info")):
        if types.get(sample.removesuffix(suffix)) == kind:
            return sample, kind
    kind = types.get(sample, "unknown")
    return sample, "unknown" if kind == "untyped" else kind


def answer(source: str) -> str:
    """What an address, or a file, has to say."""
    if "://" not in source:
        return Path(source).read_text()
    url = urlsplit(source)
    request = urllib.request.Request(url._replace(netloc=url.netloc.rpartition("@")[2]).geturl())
    request.add_header("Accept", ACCEPT)
    if url.username:
        login = base64.b64encode(f"{url.username}:{url.password}".encode()).decode()
        request.add_header("Authorization", f"Basic {login}")
    with urllib.request.urlopen(request, timeout=30) as found:
        return str(found.read().decode())


def written(notes: list[str], found: list[Metric]) -> str:
    """A list as its file has it; a metric that is there twice has the labels of both."""
    merged: dict[str, Metric] = {}
    for metric in found:
        known = merged.get(metric.name, metric)
        merged[metric.name] = Metric(metric.name, metric.kind, metric.labels | known.labels)
    lines = [
        f"{name} {metric.kind} {','.join(sorted(metric.labels))}".rstrip() for name, metric in sorted(merged.items())
    ]
    return "\n".join([*(f"# {note}" for note in notes), *lines]) + "\n"


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", help="of the list")
    parser.add_argument("sources", nargs="+", metavar="source", help="an address, or a file")
    parser.add_argument("--note", action="append", required=True, help="a line of the header: version, way, command")
    parser.add_argument("--keep", action="store_true", help="what the list already has stays")
    given = parser.parse_args()
    target = EXPORTERS / f"{given.name}.txt"
    found = list(read_list(target).values()) if given.keep and target.exists() else []
    for source in given.sources:
        found += metrics(answer(source))
    target.write_text(written(given.note, found))
    print(f"{target}: {len(read_list(target))} metrics")


if __name__ == "__main__":
    main()
