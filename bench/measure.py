"""Measuring several ways side by side: each in turn, several times, so that a busy moment of the machine hits all."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from statistics import median


@dataclass(frozen=True)
class Series:
    """Seconds of several runs, by the clock and of processors: those of this process and of its children."""

    wall: tuple[float, ...]
    cpu: tuple[float, ...]

    def over(self, count: int) -> "Series":
        """The same for one of so many."""
        return Series(tuple(each / count for each in self.wall), tuple(each / count for each in self.cpu))

    def beyond(self, other: "Series") -> "Series":
        """What each run took beyond the other's in the same turn."""
        wall, cpu = zip(self.wall, other.wall, strict=True), zip(self.cpu, other.cpu, strict=True)
        return Series(tuple(mine - its for mine, its in wall), tuple(mine - its for mine, its in cpu))

    @property
    def typical(self) -> float:
        """The median by the clock."""
        return median(self.wall)

    @property
    def spread(self) -> tuple[float, float]:
        """The quickest and the slowest run by the clock."""
        return min(self.wall), max(self.wall)

    @property
    def processor(self) -> float:
        """The median of processor time, which others on the machine change little."""
        return median(self.cpu)


def in_turn(ways: Mapping[str, Callable[[], object]], runs: int) -> dict[str, Series]:
    """Run each way once unmeasured, then all of them in turn, as often as asked."""
    for way in ways.values():
        way()
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(runs):
        for name, way in ways.items():
            wall, cpu = time.perf_counter(), _processor()
            way()
            taken[name].append((time.perf_counter() - wall, _processor() - cpu))
    return {
        name: Series(tuple(wall for wall, _ in found), tuple(cpu for _, cpu in found)) for name, found in taken.items()
    }


def _processor() -> float:
    used = [getrusage(whose) for whose in (RUSAGE_SELF, RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
