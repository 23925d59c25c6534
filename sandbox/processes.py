"""The processes of a sandbox: they outlive the command that starts them, and are found again by their pid files."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO


class ClusterError(Exception):
    """The cluster did not come up or go down; the message says which part, why, and where its log lies."""


@dataclass(frozen=True)
class Component:
    """A process of the sandbox as `status` shows it; memory in MiB, 0 where it does not run."""

    name: str
    pid: int | None
    memory: int
    log: Path

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self.pid is not None


def component(name: str, pidfile: Path, log: Path, directory: Path) -> Component:
    """The process of a pid file, if it is alive and was started for `directory`: pids are used again."""
    pid, memory = memory_of(_entered(_pid_of(pidfile, directory)))
    return Component(name, pid, memory, log)


def start(command: Sequence[str], pidfile: Path, log: Path, *, cwd: Path, env: Mapping[str, str] | None = None) -> int:
    """Start a process in a session of its own, with its output in `log`; returns its pid."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=cwd,
            env=env,
            start_new_session=True,
        )
    pidfile.write_text(str(process.pid))
    return process.pid


def children(pid: int) -> list[int]:
    """The processes that a process has started and that are its own."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def programs() -> set[Path]:
    """What this machine's processes run: their programs, as they were called and without links."""
    found: set[Path] = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found.add(Path(os.fsdecode((process / "cmdline").read_bytes().split(b"\0")[0])))
            found.add((process / "exe").readlink())
    return found


def memory_of(pid: int | None) -> tuple[int | None, int]:
    """A living process and its resident memory in MiB; (None, 0) for one that ended."""
    try:
        status = Path("/proc", str(pid), "status").read_text()
    except OSError:
        return None, 0
    fields: Mapping[str, str] = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    if fields.get("State", "").strip().startswith(("Z", "X")):
        return None, 0
    return pid, int(fields.get("VmRSS", "0 kB").split()[0]) // 1024


def end(components: Iterable[Component], *, patience: float = 10.0) -> None:
    """End processes that we started: asked first, forced after `patience` seconds."""
    alive = {component.pid for component in components if component.pid}
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + patience
        while alive and time.monotonic() < deadline:
            alive = {pid for pid in alive if memory_of(pid)[0] is not None}
            time.sleep(0.02)


def stopped(components: Callable[[], Iterable[Component]], patience: float = 1.0) -> list[str]:
    """Names of the components that do not run; a new process shows what it is only a moment after it was started."""
    deadline = time.monotonic() + patience
    while (found := [each.name for each in components() if not each.running]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def wait(check: Callable[[], bool], seconds: float, failure: str) -> None:
    """Wait until a check comes true; ClusterError with `failure` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            raise ClusterError(f"{failure} (waited {seconds:.0f} s)")
        time.sleep(0.05)


def run(*command: str, stdin: IO[bytes] | None = None) -> str:
    """Run a tool of the machine and return what it prints.

    Raises:
        ClusterError: it failed; the message is its last line.
    """
    try:
        done = subprocess.run(command, stdin=stdin or subprocess.DEVNULL, capture_output=True, check=False, timeout=900)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ClusterError(f"`{' '.join(command[:8])}` failed: {error}") from error
    if done.returncode:
        told = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines() or ["it printed nothing"]
        raise ClusterError(f"`{' '.join(command[:8])}` failed: {told[-1]}")
    return done.stdout.decode(errors="replace")


def _pid_of(pidfile: Path, directory: Path) -> int | None:
    try:
        pid = int(pidfile.read_text())
        process = Path("/proc", str(pid))
        told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        told += str((process / "cwd").readlink()).encode()
    except (OSError, ValueError):
        return None
    return pid if str(directory).encode() in told else None


def _entered(pid: int | None) -> int | None:
    """What runs inside: `nsenter` and `unshare` only wait for the process they started."""
    try:
        waits = Path(f"/proc/{pid}/comm").read_text().strip() in {"nsenter", "unshare"}
    except OSError:
        return None
    return next(iter(children(pid)), None) if pid and waits else pid
