"""A PATH, a cache and a lock file of a test's own."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.tools import module, toml

GO = shutil.which("go") or "go"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory as the whole PATH, so that only the way under test is open."""
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def go(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{path}{os.pathsep}{Path(GO).parent}{os.pathsep}/usr/bin{os.pathsep}/bin")


@pytest.fixture
def lock(tmp_path: Path) -> Callable[..., Path]:
    """Writes a lock file; a value of a tool is any part of its entry."""

    def write(**entries: dict[str, Any]) -> Path:
        file = tmp_path / "lock" / "tools.toml"
        file.parent.mkdir(exist_ok=True)
        lines = []
        for name, entry in entries.items():
            lines.append(f'["{name}"]')
            lines += [f"{key} = {toml(value)}" for key, value in {"version": "1.2.3", **entry}.items()]
        file.write_text("\n".join(lines))
        return file

    return write


@pytest.fixture
def built(tmp_path: Path, lock: Callable[..., Path]) -> Callable[..., Path]:
    """A lock whose one tool is built from a Go module."""

    def write(**more: Any) -> Path:
        return lock(demo={**module(tmp_path / "lock" / "tools.toml"), **more})

    return write


@pytest.fixture(scope="session")
def go_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One Go build cache for all tests, filled with the standard library once."""
    return tmp_path_factory.mktemp("go-cache")


@pytest.fixture
def cache(tmp_path: Path, go_cache: Path) -> Path:
    root = tmp_path / "cache"
    root.mkdir()
    (root / "go").symlink_to(go_cache)
    return root
