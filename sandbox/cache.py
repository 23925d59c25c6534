"""The cache that checkouts share: where it lies, and how one run at a time changes a part of it."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_root() -> Path:
    """Where tools and images are kept between checkouts: ML_PLATFORM_CACHE, or ~/.cache/ml-platform."""
    given = os.environ.get("ML_PLATFORM_CACHE")
    return Path(given).absolute() if given else Path.home() / ".cache" / "ml-platform"


@contextmanager
def changing(part: Path, waiting: str) -> Iterator[Path]:
    """Hold the lock of a part of the cache; a second run waits for the first.

    Args:
        part: a directory, made if it is new.
        waiting: what to say where another run holds the lock.

    Yields:
        A scratch directory on the same disk; what a killed run left there is gone.
    """
    part.mkdir(parents=True, exist_ok=True)
    scratch = part / "tmp"
    with (part / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(waiting, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
