"""Layers: what they hold of a directory, and what comes out of them again."""

import os
import shutil
import tarfile
from pathlib import Path

import pytest

from sandbox import layers

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="a layer has files of several users")


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("rayproject/ray:1", "docker.io/rayproject/ray:1"),
        ("python:3", "docker.io/library/python:3"),
        ("quay.io/kuberay/operator:v1", "quay.io/kuberay/operator:v1"),
        ("localhost/a:1", "localhost/a:1"),
        ("mirror:5000/a:1", "mirror:5000/a:1"),
    ],
)
def test_a_reference_is_written_as_containerd_keeps_it(given: str, full: str) -> None:
    assert layers.full_name(given) == full


@needs_root
def test_a_layer_holds_what_changed_and_what_went(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("kept", "changed", "gone", "folder/inside", "dev/null", "var/log/boot", "usr/share/doc/a/copyright"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    before = layers.stamps(root)
    (root / "changed").chmod(0o4755)
    os.chown(root / "kept", 1000, 1000)
    os.chown(root / "kept", 0, 0)  # the same again is a change too: cheaper to copy than to compare
    (root / "gone").unlink()
    shutil.rmtree(root / "folder")
    (root / "a-link").symlink_to("kept")
    (root / "b-hard").write_text("b")
    (root / "c-hard").hardlink_to(root / "b-hard")
    (root / "usr/share/doc/a/manual").write_text("long")
    (root / "wheels").mkdir()
    (root / "wheels/a.whl").write_text("wheel")
    layers.pack(root, before, tmp_path / "layer")
    with tarfile.open(tmp_path / "layer") as tar:
        entries = {entry.name: entry for entry in tar}
    paths = ["a-link", "b-hard", "c-hard", "changed", "kept", "usr/share/doc/a", ".wh.folder", ".wh.gone"]
    assert list(entries) == paths
    assert entries["changed"].mode == 0o4755
    assert entries["c-hard"].linkname == "b-hard"
    assert entries["a-link"].linkname == "kept"
    assert {entry.mtime for entry in entries.values()} == {0}


@needs_root
def test_what_an_image_removes_is_gone_where_it_is_unpacked(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (root / "folder/inside").write_text("1")
    (root / "file").write_text("1")
    layers.pack(root, {}, tmp_path / "layer")
    layers.save(tmp_path / "low", "a/low:1", {}, tmp_path / "layer", None)
    before = layers.stamps(root)
    shutil.rmtree(root / "folder")
    (root / "file").unlink()
    (root / "new").write_text("2")
    layers.pack(root, before, tmp_path / "layer")
    layers.save(tmp_path / "high", "a/high:1", {}, tmp_path / "layer", tmp_path / "low")
    (tmp_path / "out").mkdir()
    layers.unpack(tmp_path / "high", tmp_path / "out")
    assert [path for path, _ in layers.walk(tmp_path / "out")] == ["new"]
