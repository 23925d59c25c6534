"""What was measured, as a table for people and as data."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bench.measure import Series

_HEADINGS = ("", "median", "from", "to", "processor", "target")


@dataclass(frozen=True)
class Row:
    """One thing that was measured, in a unit of its table.

    Attributes:
        what: whose time it is, and on what.
        series: seconds.
        most: seconds that are allowed; None where there is no target.
    """

    what: str
    series: Series
    most: float | None = None

    @property
    def met(self) -> bool:
        """Whether it keeps to its target, by the clock."""
        return self.most is None or self.series.typical <= self.most


@dataclass(frozen=True)
class Table:
    """Rows of one unit: `ms` or `µs`."""

    title: str
    unit: str
    rows: Sequence[Row]

    @property
    def in_a_second(self) -> int:
        """How many of the unit are a second."""
        return {"ms": 1_000, "µs": 1_000_000}[self.unit]


def lines(table: Table) -> Iterator[str]:
    """The table as aligned text."""
    cells = [_HEADINGS, *(_cells(row, table.in_a_second) for row in table.rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    yield f"{table.title}, {table.unit}"
    for first, *rest in cells:
        numbers = "  ".join(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))
        yield f"  {first.ljust(widths[0])}  {numbers}".rstrip()


def data(tables: Iterable[Table]) -> list[dict[str, Any]]:
    """The same for programs, every run in seconds."""
    return [
        {
            "table": table.title,
            "what": row.what,
            "wall_seconds": list(row.series.wall),
            "processor_seconds": list(row.series.cpu),
            "target_seconds": row.most,
            "met": row.met,
        }
        for table in tables
        for row in table.rows
    ]


def _cells(row: Row, scale: int) -> tuple[str, ...]:
    times = (row.series.typical, *row.series.spread, row.series.processor)
    target = "" if row.most is None else f"<= {_number(row.most * scale)} {'met' if row.met else 'MISSED'}"
    return (row.what, *(_number(each * scale) for each in times), target)


def _number(value: float) -> str:
    """Three digits that count, more before the point."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
