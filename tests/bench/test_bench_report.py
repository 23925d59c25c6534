"""What the benchmark says: verdicts that differ, times, targets."""

import json
from pathlib import Path

import pytest

from bench import by_conftest
from bench.by_conftest import Conftest, ConftestError
from bench.measure import Series, in_turn
from bench.table import Row, Table, data, lines
from bench.verdicts import Verdict, differences

SAME = Verdict("0001.json", "probes", "spec.template.spec.containers[0].readinessProbe")
OTHER = Verdict("0002.json", "probes", "spec")


def test_the_same_verdicts_differ_in_nothing() -> None:
    assert list(differences([SAME, OTHER], {OTHER, SAME})) == []


@pytest.mark.parametrize(("ours", "theirs", "who"), [([SAME, OTHER], [SAME], "the pack"), ([], [OTHER], "conftest")])
def test_a_verdict_of_one_side_only_is_told(ours: list[Verdict], theirs: list[Verdict], who: str) -> None:
    assert list(differences(ours, theirs)) == [f"only {who}: 0002.json probes spec"]


def test_another_path_in_the_same_object_is_another_verdict() -> None:
    assert len(list(differences([OTHER], [OTHER._replace(path="spec.ports")]))) == 2


def test_a_report_of_conftest_is_read() -> None:
    failure = {"msg": "m", "metadata": {"rule": SAME.rule, "path": SAME.path, "query": "data.main.deny"}}
    report = [
        {"filename": "/tmp/all/0001.json", "namespace": "main", "successes": 3, "failures": [failure]},  # noqa: S108
        {"filename": "/tmp/all/0002.json", "namespace": "main", "successes": 4},  # noqa: S108
    ]
    assert by_conftest.verdicts(json.dumps(report)) == {SAME}


def test_conftest_that_fails_is_no_report(tmp_path: Path) -> None:
    broken = tmp_path / "conftest"
    broken.write_text("#!/bin/sh\necho 'Error: load: rego_parse_error' >&2\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(ConftestError, match="rego_parse_error"):
        Conftest(broken).test(broken.parent)


def test_ways_are_measured_in_turn_after_one_run_that_does_not_count() -> None:
    order: list[str] = []
    taken = in_turn({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2)
    assert order == ["a", "b", "a", "b", "a", "b"]
    assert {name: (len(each.wall), len(each.cpu)) for name, each in taken.items()} == {"a": (2, 2), "b": (2, 2)}
    assert all(0 <= seconds < 1 for each in taken.values() for seconds in each.wall)


def test_work_takes_time_by_the_clock_and_of_a_processor() -> None:
    taken = in_turn({"much": lambda: sum(range(2_000_000)), "little": lambda: None}, 3)
    assert taken["much"].typical > taken["little"].typical
    assert taken["much"].processor > taken["little"].processor


def test_a_series_is_divided_and_taken_off_run_by_run() -> None:
    series = Series((4.0, 9.0, 5.0), (2.0, 2.0, 2.0))
    assert (series.typical, series.spread, series.processor) == (5.0, (4.0, 9.0), 2.0)
    assert series.over(2) == Series((2.0, 4.5, 2.5), (1.0, 1.0, 1.0))
    assert series.beyond(Series((1.0, 2.0, 3.0), (0.5, 1.0, 2.0))) == Series((3.0, 7.0, 2.0), (1.5, 1.0, 0.0))


TABLE = Table(
    "One object",
    "ms",
    [
        Row("the pack", Series((0.0002, 0.0004, 0.0003), (0.0001,) * 3), most=0.001),
        Row("slow", Series((0.5,), (0.4,)), most=0.12),
        Row("a peer", Series((1.5,), (1.4,))),
    ],
)


def test_a_table_says_which_targets_are_met() -> None:
    told = [" ".join(line.split()) for line in lines(TABLE)]
    assert told == [
        "One object, ms",
        "median from to processor target",
        "the pack 0.3 0.2 0.4 0.1 <= 1 met",
        "slow 500 500 500 400 <= 120 MISSED",
        "a peer 1500 1500 1500 1400",
    ]


def test_the_columns_of_a_table_stand_below_each_other() -> None:
    _, headings, *rows = lines(TABLE)
    ends = headings.index("median") + len("median")
    assert [row[:ends].split()[-1] for row in rows] == ["0.3", "500", "1500"]


def test_a_small_unit_is_told_in_its_own() -> None:
    (_, _, row) = lines(Table("One rule", "µs", [Row("the pack", Series((0.0000123,), (0.00001,)))]))
    assert row.split() == ["the", "pack", "12.3", "12.3", "12.3", "10"]


def test_data_for_programs_has_every_run_in_seconds() -> None:
    pack, slow, peer = data([TABLE])
    assert pack["wall_seconds"] == [0.0002, 0.0004, 0.0003]
    assert (pack["met"], slow["met"], peer["target_seconds"]) == (True, False, None)
    json.dumps([pack, slow, peer])
