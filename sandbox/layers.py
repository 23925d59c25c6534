"""The files of a root directory as a layer, and an image as one OCI archive that `ctr images import` takes.

Equal files make equal archives: entries are sorted, and times and names of owners are left out.
"""

import hashlib
import io
import json
import os
import re
import shutil
import stat
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from sandbox.sources import arch

WHITEOUT = ".wh."
"""Before a name: this layer removes it (OCI image spec, layer.md)."""

LEFT_OUT = re.compile(
    r"etc/(hostname|machine-id|resolv\.conf|.*-)"  # of the machine that builds; backups of passwd and group
    r"|var/(cache/(apt|ldconfig)|lib/apt/lists|log)/.*|var/(cache/debconf|lib/dpkg)/.*-old"
    r"|usr/share/(info|locale|man)/.*|usr/share/doc/[^/]*/(?!copyright$).*"
)
"""Files that no container reads, or that differ with every build."""

NOT_ENTERED = {"dev", "proc", "run", "sys", "tmp", "var/tmp", "wheels"}
"""Directories that a container gets empty or from its runtime; `wheels` is the builder's own."""

_SPEC = "application/vnd.oci.image."

Stamps = Mapping[str, tuple[int, int]]
"""Per path what a change of it changes too: the inode, and the time of the inode's last change."""


def walk(root: Path, below: str = "") -> Iterator[tuple[str, os.stat_result]]:
    """Every path that belongs into an image, relative to the root and sorted, directories before what they hold."""
    for name in sorted(path.name for path in (root / below).iterdir()):
        path = f"{below}/{name}" if below else name
        status = (root / path).lstat()
        if stat.S_ISDIR(status.st_mode):
            if path != "wheels":
                yield path, status
            if path not in NOT_ENTERED:
                yield from walk(root, path)
        elif not (LEFT_OUT.fullmatch(path) or stat.S_ISSOCK(status.st_mode)):
            yield path, status


def stamps(root: Path) -> Stamps:
    """What `pack` compares with."""
    return {path: _stamp(status) for path, status in walk(root)}


def pack(root: Path, before: Stamps, target: Path) -> None:
    """Write what changed since `before` as a layer."""
    now = dict(walk(root))
    gone = [path for path in before if path not in now]
    # The topmost removed path speaks for all below it.
    whiteouts = [_whiteout(path) for path in gone if path.rpartition("/")[0] in {"", *now}]
    with tarfile.open(target, "w") as tar:
        for path, status in now.items():
            if before.get(path) == _stamp(status):
                continue
            entry = tar.gettarinfo(str(root / path), path)
            entry.mtime, entry.uname, entry.gname = 0, "", ""
            if entry.isreg():
                with (root / path).open("rb") as content:
                    tar.addfile(entry, content)
            else:
                tar.addfile(entry)
        for path in sorted(whiteouts):
            tar.addfile(tarfile.TarInfo(path))


def unpack(archive: Path, root: Path) -> None:
    """Lay the files of an image out as a container would see them."""
    with tarfile.open(archive) as image:
        for layer in _manifest(image)["layers"]:
            with tarfile.open(fileobj=_open(image, _blob(layer["digest"]))) as tar:
                tar.extractall(root, numeric_owner=True, filter="fully_trusted")  # noqa: S202 our own archive
            for mark in list(root.rglob(f"{WHITEOUT}*")):
                gone = mark.with_name(mark.name.removeprefix(WHITEOUT))
                if gone.is_dir() and not gone.is_symlink():
                    shutil.rmtree(gone)
                else:
                    gone.unlink(missing_ok=True)
                mark.unlink()


def save(target: Path, reference: str, config: Mapping[str, Any], layer: Path, base: Path | None) -> None:
    """Write an image archive: the layers of another one, and one more.

    Args:
        target: the archive.
        reference: the name that the image gets where it is loaded.
        config: user, environment and so on, by the names of the OCI image spec.
        layer: what `pack` wrote.
        base: the archive of the image below, if there is one.
    """
    lower = describe(base)[1]["layers"] if base else []
    with layer.open("rb") as file:
        digest = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    top = {"mediaType": f"{_SPEC}layer.v1.tar", "digest": digest, "size": layer.stat().st_size}
    # Nothing is compressed, so the digest of a layer is its diff_id too.
    rootfs = {"type": "layers", "diff_ids": [each["digest"] for each in [*lower, top]]}
    about = {"architecture": arch(), "os": "linux", "created": "1970-01-01T00:00:00Z"}
    configuration = _json({**about, "config": config, "rootfs": rootfs})
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_SPEC}manifest.v1+json",
            "config": _descriptor("config.v1+json", configuration),
            "layers": [*lower, top],
        }
    )
    keys = ("io.containerd.image.name", "org.opencontainers.image.ref.name")  # of containerd, of podman
    listed = {**_descriptor("manifest.v1+json", manifest), "annotations": dict.fromkeys(keys, full_name(reference))}
    with tarfile.open(target, "w") as tar:
        _add(tar, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        _add(tar, "index.json", _json({"schemaVersion": 2, "manifests": [listed]}))
        for content in (manifest, configuration):
            _add(tar, _blob(_digest(content)), content)
        if base:
            with tarfile.open(base) as below:
                for each in lower:
                    _add(tar, _blob(each["digest"]), _open(below, _blob(each["digest"])), each["size"])
        with layer.open("rb") as file:
            _add(tar, _blob(digest), file, layer.stat().st_size)


def describe(archive: Path) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """The digest, the manifest and the configuration (`config` of it) of the image in an archive."""
    with tarfile.open(archive) as image:
        manifest = _manifest(image)
        configuration = json.load(_open(image, _blob(manifest["config"]["digest"])))
        return _index(image)["digest"], manifest, configuration["config"]


def size(manifest: Mapping[str, Any]) -> int:
    """The bytes of an image's layers, as they are packed."""
    return sum(layer["size"] for layer in manifest["layers"])


def full_name(reference: str) -> str:
    """A reference as containerd keeps it: `python:3` is `docker.io/library/python:3`."""
    host, slash, _ = reference.partition("/")
    if not slash:
        return f"docker.io/library/{reference}"
    return reference if "." in host or ":" in host or host == "localhost" else f"docker.io/{reference}"


def _stamp(status: os.stat_result) -> tuple[int, int]:
    return status.st_ino, status.st_ctime_ns


def _whiteout(path: str) -> str:
    above, slash, name = path.rpartition("/")
    return f"{above}{slash}{WHITEOUT}{name}"


def _index(image: tarfile.TarFile) -> dict[str, Any]:
    return dict(json.load(_open(image, "index.json"))["manifests"][0])


def _manifest(image: tarfile.TarFile) -> dict[str, Any]:
    return dict(json.load(_open(image, _blob(_index(image)["digest"]))))


def _open(image: tarfile.TarFile, name: str) -> IO[bytes]:
    file = image.extractfile(name)
    if file is None:
        raise tarfile.ReadError(f"{name} is no file")
    return file


def _add(tar: tarfile.TarFile, name: str, content: bytes | IO[bytes], size: int | None = None) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content) if isinstance(content, bytes) else size or 0
    tar.addfile(entry, io.BytesIO(content) if isinstance(content, bytes) else content)


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _descriptor(kind: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": f"{_SPEC}{kind}", "digest": _digest(content), "size": len(content)}


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"
