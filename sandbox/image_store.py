"""What containerd has unpacked, kept in the cache: a new node starts with links to it, not with a load of gigabytes.

Containerd never writes to a file of an image again, so nodes may share them; only its two databases are copied. The
cache holds one store: that of the last node that had to load something.
"""

import shutil
from pathlib import Path

from sandbox.cache import cache_root, changing
from sandbox.processes import run

_WAITING = "images: waiting for another node that copies them"


def lend(root: Path, cache: Path | None = None) -> None:
    """Give a containerd that never ran the images of the last one; none where that was of another version or disk.

    Args:
        root: containerd's `root` directory, not made yet.
        cache: where the store is kept, `cache_root()` if not given.
    """
    part = _part(cache)
    with changing(part, _WAITING):
        if (kept := _kept(part)).is_dir():
            _link(kept, root)


def keep(root: Path, cache: Path | None = None) -> None:
    """Keep the images of a containerd that is stopped and has run no container, instead of those kept before.

    Nothing is kept where the cache lies on another disk.
    """
    part = _part(cache)
    with changing(part, _WAITING) as scratch:
        if _link(root, scratch / "new"):
            for old in part.glob("containerd-*"):
                old.rename(scratch / old.name)
            (scratch / "new").rename(_kept(part))


def version() -> str:
    """That of the machine's containerd: another one may keep its databases in another way."""
    return run("containerd", "--version").split()[2]


def _part(cache: Path | None) -> Path:
    return (cache or cache_root()) / "image-store"


def _kept(part: Path) -> Path:
    return part / f"containerd-{version()}"


def _link(source: Path, target: Path) -> bool:
    """Make a directory of links to all files of another one; False, and nothing made, where the disks differ."""
    if source.stat().st_dev != target.parent.stat().st_dev:
        return False
    try:
        run("cp", "--archive", "--link", str(source), str(target))
        for database in target.glob("io.containerd.*/*.db"):
            own = database.with_suffix(".own")
            shutil.copy2(database, own)
            own.replace(database)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    return True
