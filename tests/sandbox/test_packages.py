"""How packages are installed where the lists are old, and what is said where it is not possible."""

from pathlib import Path

import pytest

from sandbox import packages
from sandbox.processes import ClusterError


def apt_get(folder: Path, script: str) -> Path:
    """A stand-in that notes how it was called; returns the notes."""
    notes = folder / "notes"
    (folder / "apt-get").write_text(f'#!/bin/sh\necho "$1" >> {notes}\n{script}\n')
    (folder / "apt-get").chmod(0o755)
    return notes


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


def test_lists_that_are_good_are_left_alone(tmp_path: Path) -> None:
    notes = apt_get(tmp_path, "exit 0")
    packages.install("socat")
    assert notes.read_text().split() == ["install"]


def test_lists_that_are_old_are_brought_up_to_date_once(tmp_path: Path) -> None:
    notes = apt_get(tmp_path, f'test "$1" = update && touch {tmp_path}/new; test -f {tmp_path}/new')
    packages.install("socat")
    assert notes.read_text().split() == ["install", "update", "install"]


def test_a_package_that_cannot_be_had_is_told_in_the_words_of_apt(tmp_path: Path) -> None:
    apt_get(tmp_path, 'test "$1" = update || { echo "E: Unable to locate package socat" >&2; exit 100; }')
    with pytest.raises(ClusterError, match="E: Unable to locate package socat"):
        packages.install("socat")


def test_without_apt_the_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError, match="runc, socat: not installed, and there is no apt-get"):
        packages.install("runc", "socat")
