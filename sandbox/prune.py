"""Frees the cache of tools, images and Python packages that this checkout does not pin.

Every change of a pin leaves what was pinned before, for checkouts of other commits. What is taken away is obtained
again by whoever wants it; what runs is left alone.
"""

import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from sandbox import images, tools
from sandbox.cache import cache_root, changing
from sandbox.processes import programs


@dataclass(frozen=True)
class Pruned:
    """A part of the cache that was taken away, and the bytes of disk that it took."""

    path: Path
    size: int


def prune(
    *, lock: Path = tools.LOCK, folder: Path = images.FOLDER, cache: Path | None = None, venv: Path = Path(sys.prefix)
) -> list[Pruned]:
    """Remove what is neither pinned here nor running; a run that obtains something is waited for.

    Args:
        lock: the pins of the tools.
        folder: the Containerfiles of the images.
        cache: where all lies, `cache_root()` if not given.
        venv: the Python packages of this checkout.

    Returns:
        What was removed, the largest first.

    Raises:
        ImageError: a Containerfile cannot be read.
    """
    root = cache or cache_root()
    toolbox = tools.pinned(lock=lock, cache=root)
    pinned = {*toolbox.homes.values(), *images.pinned(toolbox, folder=folder, cache=root), venv}
    kept = {path.resolve() for path in pinned}
    with (
        changing(root, "cache: waiting for another run that installs tools") as scratch,
        changing(images.part(root), "cache: waiting for another run that builds images"),
    ):
        running = programs()
        old = [path for path in _entries(root) if path.resolve() not in kept and not _used(path, running)]
        removed = [Pruned(path, _size(path)) for path in old]
        for number, path in enumerate(old):
            path.rename(scratch / str(number))  # in one step: half a tool is never seen
        for number, links in enumerate((root / "bin").glob("*")):
            if not all(link.exists() for link in links.iterdir()):
                links.rename(scratch / f"bin-{number}")
    return sorted(removed, key=lambda each: -each.size)


def _entries(root: Path) -> Iterator[Path]:
    """Everything that is kept by the hash of its pins, and what a build that failed has left."""
    yield from (root / "tools").glob("*")
    yield from images.part(root).glob("*.tar")
    yield from (root / "venv").glob("*")
    yield from root.glob(tools.GO_CACHE)


def _used(path: Path, running: Collection[Path]) -> bool:
    return any(program.is_relative_to(place) for program in running for place in (path, path.resolve()))


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_blocks * 512 for file in files if not file.is_dir())
