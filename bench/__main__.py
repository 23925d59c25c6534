"""Measure the policy pack beside conftest and Pulumi's own policy SDK: `make bench`.

Exit status 1 where the pack and conftest do not find the same; a missed target is told, and is none of an error:
the times are those of a machine that does other things too.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench import by_conftest, by_pack, by_sdk, corpus
from bench.by_conftest import SHARED, Conftest
from bench.by_pack import asking
from bench.measure import in_turn
from bench.table import Row, Table, data, lines
from bench.verdicts import differences
from policies.pack import RULES
from sandbox.tools import install, load

EACH: Final = 0.001
"""Seconds that the whole pack may take for one resource."""

HUGE: Final = 0.120
"""Seconds that it may take for the CRD of RayJobs."""

NOTHING: Final = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "nothing"}}


def main() -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="how often everything is measured")
    parser.add_argument("--json", type=Path, help="where to write every run, for programs")
    args = parser.parse_args()
    conftest = Conftest(install(["conftest"]).binary("conftest"))
    before = os.getloadavg()
    with tempfile.TemporaryDirectory() as scratch:
        programs = [corpus.program(stack) for stack in corpus.STACKS]
        written = [manifest for program in programs for manifest in corpus.of_program(program)]
        files = corpus.write([*written, *corpus.of_samples()], Path(scratch) / "all")
        huge = corpus.write(corpus.crd(), Path(scratch) / "huge")
        (nothing,) = corpus.write([NOTHING], Path(scratch) / "nothing")
        if told := _compare(conftest, files):
            sys.stderr.write("\n".join(["the pack and conftest do not find the same", *told, ""]))
            return 1
        tables = [
            _whole(programs, files, args.runs),
            _huge(conftest, huge, nothing, args.runs),
            _shared(conftest, files, nothing, args.runs),
            _start(conftest, nothing, args.runs),
        ]
    print(f"\nPython {platform.python_version()}, pulumi-policy {by_sdk.VERSION}, {load()['conftest']}")
    print(
        f"{os.cpu_count()} processors, load {before[0]:.1f} before and {os.getloadavg()[0]:.1f} after, {args.runs} runs"
    )
    for table in tables:
        print("", *lines(table), sep="\n")
    if args.json:
        args.json.write_text(json.dumps(data(tables), indent=2) + "\n")
    return 0


def _compare(conftest: Conftest, files: Sequence[Path]) -> list[str]:
    """Where the two do not find the same; what a rule of the pack cannot read is no verdict, and Rego has no word."""
    ours, unread = by_pack.verdicts(files, SHARED)
    theirs = by_conftest.verdicts(conftest.test(files[0].parent))
    theirs = {each for each in theirs if (each.file, each.rule) not in unread}
    ours = {each for each in ours if (each.file, each.rule) not in unread}
    told = list(differences(ours, theirs))
    if not told:
        rules = ", ".join(sorted({each.rule for each in ours}))
        print(f"the pack and conftest find the same {len(ours)} violations in {len(files)} objects: {rules}")
        print(f"left out: {len(unread)} pairs of a rule and an object that it cannot read")
    return told


def _whole(programs: Sequence[corpus.Corpus], files: Sequence[Path], runs: int) -> Table:
    """Every resource alone and all together, as in an update."""
    every = corpus.of_files("those and the samples as one stack", files)
    ours = {f"the pack: {found.name}": found for found in (*programs, every)}
    theirs = {f"Pulumi's SDK, before any rule runs: {found.name}": found for found in programs}
    ways = {name: asking(by_pack.pack(found.stack), found.resources) for name, found in ours.items()}
    ways |= {name: asking(by_sdk.pack(RULES), found.resources) for name, found in theirs.items()}
    taken = in_turn(ways, runs)
    rows = [
        Row(f"{name}, {found.objects} objects", taken[name].over(found.objects), EACH if name in ours else None)
        for name, found in (ours | theirs).items()
    ]
    return Table(f"Whole pack, {len(RULES)} rules, those of whole stacks included: one object", "ms", rows)


def _huge(conftest: Conftest, files: Sequence[Path], nothing: Path, runs: int) -> Table:
    found = corpus.of_files("", files).resources
    size = sum(file.stat().st_size for file in files)
    taken = in_turn(
        {
            "pack": asking(by_pack.pack(), found),
            "sdk": asking(by_sdk.pack(RULES), found),
            "conftest": lambda: conftest.test(files[0].parent),
            "nothing": lambda: conftest.test(nothing.parent),
        },
        runs,
    )
    rows = [
        Row("the pack, alone and in its stack", taken["pack"], HUGE),
        Row("Pulumi's SDK, before any rule runs", taken["sdk"]),
        Row(f"conftest, {len(SHARED)} rules, beyond its start", taken["conftest"].beyond(taken["nothing"])),
    ]
    return Table(f"KubeRay's CRD of RayJobs, {size / 1000:.0f} KB of JSON", "ms", rows)


def _shared(conftest: Conftest, files: Sequence[Path], nothing: Path, runs: int) -> Table:
    """The same rules on the same objects. Conftest's start is taken off; the pack's server has started."""
    found = corpus.of_files("", files)
    taken = in_turn(
        {
            "pack": asking(by_pack.pack(rules=SHARED), found.resources, stack=False),
            "conftest": lambda: conftest.test(files[0].parent),
            "nothing": lambda: conftest.test(nothing.parent),
        },
        runs,
    )
    count = found.objects * len(SHARED)
    theirs = taken["conftest"].beyond(taken["nothing"]).over(count)
    rows = [
        Row("the pack", taken["pack"].over(count), theirs.typical),
        Row("conftest, beyond its start", theirs),
        Row("conftest, its start included", taken["conftest"].over(count)),
    ]
    return Table(f"{len(SHARED)} rules that both have, {found.objects} objects: one rule and object", "µs", rows)


def _start(conftest: Conftest, nothing: Path, runs: int) -> Table:
    taken = in_turn({"pack": by_pack.start, "conftest": lambda: conftest.test(nothing.parent)}, runs)
    rows = [
        Row(f"the pack, {len(RULES)} rules, until it answers", taken["pack"]),
        Row(f"conftest, {len(SHARED)} rules, until it has judged one object", taken["conftest"]),
    ]
    return Table("Start of a process", "ms", rows)


if __name__ == "__main__":
    sys.exit(main())
