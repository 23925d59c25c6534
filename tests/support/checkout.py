"""A clean checkout of its own, and the commands that a person types there."""

import os
import shutil
import subprocess
from pathlib import Path

from sandbox.cache import cache_root
from sandbox.workspace import ROOT
from tests.support.engine import Outcome, run


def copy(target: Path) -> Path:
    """A copy of what git tracks."""
    listed = subprocess.run(["/usr/bin/git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["/usr/bin/git", *command], cwd=target, check=True)
    return target


def make(checkout: Path, *args: str, env: dict[str, str] | None = None) -> Outcome:
    """`make` as a person would call it; the cache of tools is that of the tests, wherever the home is."""
    ours = ("PULUMI_", "KUBECONFIG", "MAKE", "SANDBOX", "ML_PLATFORM_SANDBOX")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    full = {**kept, "ML_PLATFORM_CACHE": str(cache_root()), **(env or {})}
    return run("/usr/bin/make", "--no-print-directory", *args, cwd=checkout, env=full)


def left_over(checkout: Path) -> str:
    """Files of the checkout that git does not track, ignored ones included."""
    done = run("/usr/bin/git", "status", "--short", "--ignored", "--untracked-files=all", cwd=checkout)
    return "\n".join(line for line in done.text.splitlines() if line.startswith(("??", "!!")))
