"""The store of images that nodes share: files are links, databases are not, and nothing is lent that does not fit."""

import shutil
from pathlib import Path

import pytest

from sandbox import image_store

BLOB = "io.containerd.content.v1.content/blobs/sha256/0a"
DATABASE = "io.containerd.metadata.v1.bolt/meta.db"


@pytest.fixture(autouse=True)
def version(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine that runs this may have no containerd."""
    monkeypatch.setattr(image_store, "version", lambda: "1.6.20")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return _root(tmp_path / "first", "one")


def _root(root: Path, content: str) -> Path:
    for name in (BLOB, DATABASE):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text(content)
    return root


def test_a_new_node_shares_the_files_of_the_last_one_and_has_a_database_of_its_own(root: Path, tmp_path: Path) -> None:
    image_store.keep(root, tmp_path / "cache")
    new = tmp_path / "new"
    image_store.lend(new, tmp_path / "cache")
    assert (new / BLOB).samefile(root / BLOB)
    assert (new / DATABASE).read_text() == "one"
    (new / DATABASE).write_text("changed")
    (root / DATABASE).write_text("changed too")
    image_store.lend(tmp_path / "newer", tmp_path / "cache")
    assert (tmp_path / "newer" / DATABASE).read_text() == "one"


def test_the_last_node_that_had_to_load_something_replaces_the_one_before(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_store.keep(root, tmp_path / "cache")
    monkeypatch.setattr(image_store, "version", lambda: "1.7.0")
    image_store.keep(_root(tmp_path / "second", "two"), tmp_path / "cache")
    image_store.lend(tmp_path / "new", tmp_path / "cache")
    assert (tmp_path / "new" / BLOB).read_text() == "two"
    kept = [path.name for path in (tmp_path / "cache" / "image-store").iterdir() if path.is_dir()]
    assert kept == ["containerd-1.7.0"]


def test_nothing_is_lent_where_nothing_was_kept_or_by_another_version(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_store.lend(tmp_path / "new", tmp_path / "cache")
    image_store.keep(root, tmp_path / "cache")
    monkeypatch.setattr(image_store, "version", lambda: "1.7.0")
    image_store.lend(tmp_path / "new", tmp_path / "cache")
    assert not (tmp_path / "new").exists()


def test_between_two_disks_nothing_is_kept_and_nothing_lent(root: Path, tmp_path: Path) -> None:
    other = Path("/dev/shm")  # noqa: S108 it is the other disk
    if other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("this machine has only one")
    image_store.keep(root, tmp_path / "cache")
    target = other / "ml-platform-never-made"
    image_store.lend(target, tmp_path / "cache")
    assert not target.exists()


def test_a_copy_that_fails_leaves_the_store_as_it_was(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_store.keep(root, tmp_path / "cache")

    def full(source: Path, target: Path) -> None:
        raise OSError(f"no space left for {source} as {target}")

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copy2", full)
        with pytest.raises(OSError, match="no space left"):
            image_store.keep(_root(tmp_path / "second", "two"), tmp_path / "cache")
        with pytest.raises(OSError, match="no space left"):
            image_store.lend(tmp_path / "half", tmp_path / "cache")
    assert not (tmp_path / "half").exists()
    image_store.lend(tmp_path / "new", tmp_path / "cache")
    assert (tmp_path / "new" / BLOB).read_text() == "one"
