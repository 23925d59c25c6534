"""The cache after a pin has changed: what is pinned now and what runs stays, the rest is gone."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import __main__ as commands
from sandbox import images, prune, tools

DEMO = "#!/bin/sh\necho demo v{version}\n"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def pins(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tools.Toolbox]:
    """Pin a version of the one tool, obtain it, and lay down an archive of the one image that it is in."""
    (tmp_path / "path").mkdir()
    (tmp_path / "images" / "demo").mkdir(parents=True)
    (tmp_path / "images/demo/Containerfile").write_text("FROM scratch\nCOPY --from=tools demo /demo\n")
    monkeypatch.setattr(images, "REFERENCES", {"demo": "example/demo:1"})
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:{os.environ['PATH']}")

    def pin(version: str) -> tools.Toolbox:
        program = tmp_path / "path" / "demo"
        program.write_text(DEMO.format(version=version))
        program.chmod(0o755)
        lock = tmp_path / "tools.toml"
        lock.write_text(f'[demo]\nversion = "{version}"\nask = {{args = ["version"], answer = "v(.*)"}}\n')
        box = tools.install(lock=lock, cache=cache)
        (archive,) = images.pinned(box, folder=tmp_path / "images", cache=cache)
        archive.parent.mkdir(exist_ok=True)
        archive.write_text(f"image with demo {version}")
        return box

    return pin


@pytest.fixture
def pruned(tmp_path: Path, cache: Path) -> Callable[[], list[prune.Pruned]]:
    def run() -> list[prune.Pruned]:
        lock, folder, venv = tmp_path / "tools.toml", tmp_path / "images", cache / "venv" / "now"
        return prune.prune(lock=lock, folder=folder, cache=cache, venv=venv)

    return run


def files(cache: Path) -> set[str]:
    return {str(file.relative_to(cache)) for file in cache.rglob("*") if file.is_file() and file.name != "lock"}


Pins = Callable[[str], tools.Toolbox]
Prune = Callable[[], list[prune.Pruned]]


def test_of_two_pins_the_last_one_stays_and_works(pins: Pins, pruned: Prune, cache: Path) -> None:
    pins("1.0")
    before = files(cache)
    box = pins("2.0")
    for name in ("then", "now"):
        (cache / "venv" / name).mkdir(parents=True)
        (cache / "venv" / name / "python").write_bytes(bytes(100_000))
    (cache / "go" / "mod").mkdir(parents=True)  # of a build that failed
    removed = pruned()
    kinds = [each.path.relative_to(cache).parts[0] for each in removed]
    assert kinds[0] == "venv"  # the largest
    assert sorted(kinds) == ["go", "images", "tools", "venv"]
    assert 100_000 <= removed[0].size < 200_000
    assert not files(cache) & before
    assert (cache / "venv/now/python").exists()
    assert not (cache / "venv/then").exists()
    assert not (cache / "go").exists()
    assert subprocess.check_output([box.bin / "demo", "version"]) == b"demo v2.0\n"
    assert [path.read_text() for path in (cache / "images").glob("*.tar")] == ["image with demo 2.0"]
    assert pruned() == []


def test_what_runs_is_left_alone(pruned: Prune, pins: Pins, cache: Path) -> None:
    pins("1.0")
    tool, packages = cache / "tools" / "sleep-1-abc", cache / "venv" / "then"
    for home in (tool, packages):
        home.mkdir(parents=True)
    shutil.copy("/bin/sleep", tool / "sleep")
    (packages / "python").symlink_to("/bin/sleep")  # as `python3 -m venv` makes it
    link = cache / "bin" / "all" / "sleep"
    link.parent.mkdir()
    link.symlink_to(tool / "sleep")
    started = [subprocess.Popen([program, "600"]) for program in (link, packages / "python")]
    try:
        for process in started:  # the kernel says what it runs only after Popen has returned
            while not Path(f"/proc/{process.pid}/cmdline").read_bytes():
                time.sleep(0.01)
        assert pruned() == []
        assert link.exists()
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert {each.path for each in pruned()} == {tool, packages}
    assert not link.parent.exists()


def test_a_cache_that_was_never_filled_has_nothing_to_remove(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ML_PLATFORM_CACHE", str(cache))
    assert commands.free_cache("dev") == 0
    assert capsys.readouterr().out == "cache: 0.0 GB freed\n"
