"""docs/requirements.md names files and tests that exist, and has every number of the reports' list."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "requirements.md"
LATER = {"M9", "M10", "M11", "M12", "B1", "N2"}
"""What none of the six parts is about."""


def rows() -> dict[str, list[str]]:
    """Number to the other cells."""
    lines = [
        line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if re.match(r"\| [A-Z]\d+ \|", line)
    ]
    return {cells[0]: [cell.strip(" |") for cell in cells[1:]] for cells in lines}


def test_every_number_of_the_reports_is_there() -> None:
    expected = {"R": 11, "F": 7, "M": 14, "O": 4, "S": 3, "Q": 4, "G": 1, "B": 1, "T": 2, "N": 2}
    assert set(rows()) == {f"{letter}{number}" for letter, count in expected.items() for number in range(1, count + 1)}


def test_no_cell_is_empty_and_what_is_later_says_so() -> None:
    for number, cells in rows().items():
        assert len(cells) == 3, number
        assert all(cells), number
        assert cells[1].startswith("later") == cells[2].startswith("none yet") == (number in LATER), number


def test_what_is_met_says_where_and_which_test_proves_it() -> None:
    found = rows()
    tests = {
        name for path in (ROOT / "tests").rglob("*.py") for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    for number in sorted(found.keys() - LATER):
        where, proof = found[number][1], found[number][2]
        assert re.search(r"`[\w./-]+\.(py|yaml|md)`", where), number
        assert re.search(r"`test_\w+`", proof), number
    for number, cells in found.items():
        for name in re.findall(r"`(test_\w+)`", " ".join(cells)):
            assert name in tests, f"{number}: there is no test {name}"
        for file in re.findall(r"`((?:components|policies|sandbox|crds|docs)/[\w./-]+\.\w+)`", " ".join(cells)):
            assert (ROOT / file).is_file(), f"{number}: there is no file {file}"
