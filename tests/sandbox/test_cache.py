"""The cache between checkouts: its place, and that one run at a time changes it."""

import threading
import time
from pathlib import Path

import pytest

from sandbox.cache import cache_root, changing


def test_the_cache_lies_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ML_PLATFORM_CACHE", str(tmp_path))
    assert cache_root() == tmp_path
    monkeypatch.delenv("ML_PLATFORM_CACHE")
    assert cache_root() == Path.home() / ".cache" / "ml-platform"


def test_what_a_killed_run_left_is_gone_and_nothing_stays(tmp_path: Path) -> None:
    (tmp_path / "part" / "tmp" / "half").mkdir(parents=True)
    with changing(tmp_path / "part", "unused") as scratch:
        assert list(scratch.iterdir()) == []
        (scratch / "file").touch()
    assert not scratch.exists()


def test_a_second_run_says_that_it_waits_and_goes_on_after_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    order: list[str] = []

    def second() -> None:
        with changing(tmp_path, "part: waiting"):
            order.append("second")

    with changing(tmp_path, "unused"):
        thread = threading.Thread(target=second)
        thread.start()
        said, deadline = "", time.monotonic() + 10
        while "waiting" not in said and time.monotonic() < deadline:
            said += capsys.readouterr().out
        order.append("first")
    thread.join(10)
    assert said == "part: waiting\n"
    assert order == ["first", "second"]
