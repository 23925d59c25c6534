"""The cache between checkouts: its place, and that one run at a time changes it."""

import io
import threading
import time
from contextlib import redirect_stdout
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


def test_a_second_run_says_that_it_waits_and_goes_on_after_the_first(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with changing(tmp_path, "part: waiting"):
            order.append("second")

    # Not `capsys`: what another thread prints while it takes what there is, it loses.
    with redirect_stdout(io.StringIO()) as said:
        with changing(tmp_path, "unused"):
            thread = threading.Thread(target=second)
            thread.start()
            deadline = time.monotonic() + 60
            while "waiting" not in said.getvalue() and time.monotonic() < deadline:
                time.sleep(0.01)
            order.append("first")
        thread.join(60)
    assert said.getvalue() == "part: waiting\n"
    assert order == ["first", "second"]
