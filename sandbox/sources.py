"""The three ways a tool comes: found on PATH, downloaded from its publisher, built from Go modules.

Each way fills an empty directory with the files of a tool, or says in plain words why it cannot.
"""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import tarfile
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import Any, Self
from urllib.parse import urlsplit

HEARTBEAT = 30.0
"""Seconds between two signs of life of a long build."""

REACH = 3.0
"""Seconds a download host has to answer at all, asked once in a run."""

STALL = 60.0
"""Seconds without a byte after which a download is given up."""


class WayError(Exception):
    """One way to a tool is closed; the text says why."""


@dataclass(frozen=True)
class Ask:
    """How to ask a binary for its version: arguments, and a pattern whose one group is the answer."""

    args: Sequence[str]
    answer: str


@dataclass(frozen=True)
class Download:
    """Where the publisher has the release; `{version}`, `{arch}` and `{file}` are filled in.

    `member` is the path inside a tar archive (none: the address is the file itself), `checksums` the
    publisher's list of digests, `arch` the publisher's names where they differ from Go's.
    """

    url: str
    checksums: str = ""
    member: str = ""
    arch: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Build:
    """One step of a build in `build/<folder>`, a Go module with its go.sum.

    `module` is the `path@version` that the folder pins; `embed` are its files to lay beside our main
    package, `copy` maps files of the tool to files of the module; `generate` is a package of the folder
    with the arguments to run it with before `package` is built into `output`; `tags` are Go's build tags.
    """

    folder: str
    module: str
    package: str = ""
    output: str = ""
    tags: str = ""
    ldflags: str = ""
    embed: Sequence[str] = ()
    generate: Sequence[str] = ()
    copy: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Tool:
    """One entry of the lock: a version, the files it consists of, and how to obtain them.

    `real` marks what only a real node wants, `optional` what only who names it obtains.
    """

    name: str
    version: str
    files: Sequence[str]
    build: Sequence[Build]
    ask: Ask | None = None
    download: Download | None = None
    sha256: Mapping[str, str] = field(default_factory=dict)
    needs: Sequence[str] = ()
    real: bool = False
    optional: bool = False

    @classmethod
    def parse(cls, name: str, entry: Mapping[str, Any]) -> Self:
        """Read one table of the lock; an unknown key is a TypeError."""
        more = dict(entry)
        for key, kind in (("ask", Ask), ("download", Download)):
            if key in more:
                more[key] = kind(**more[key])
        more["build"] = [Build(**step) for step in more.get("build", [])]
        return cls(name=name, **{"files": [name], **more})

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass
class Run:
    """What one installation remembers between its tools."""

    builds: Path
    scratch: Path
    go_cache: Path
    homes: Mapping[str, Path]
    hosts: dict[str, str] = field(default_factory=dict)
    fetched: dict[str, Path] = field(default_factory=dict)


def arch() -> str:
    """Go's name for this machine's processor; WayError where no release and no build is meant for it."""
    names = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
    system, machine = platform.system(), platform.machine()
    if system != "Linux" or machine.lower() not in names:
        raise WayError(f"only for Linux on amd64 or arm64, this is {system} on {machine}")
    return names[machine.lower()]


def inputs(folder: Path) -> list[Path]:
    """The files a build starts from; what the installer writes beside them is not one of them."""
    return sorted(path for path in folder.rglob("*") if path.suffix in {".go", ".mod", ".sum"})


def check(tool: Tool, stage: Path) -> None:
    """Hold the files against the pinned digests, then against the version; WayError if they differ."""
    for name in tool.files:
        if not (stage / name).is_file():
            raise WayError(f"{name} is missing")
        pinned = tool.sha256.get(name)
        if pinned and (found := _digest(stage / name)) != pinned:
            raise WayError(f"{name} has sha256 {found}, pinned is {pinned}")
        (stage / name).chmod(0o644 if Path(name).suffix else 0o755)
    if tool.ask and (said := _version(tool.ask, stage / tool.files[0])) != tool.version:
        raise WayError(f"{tool.files[0]} calls itself {said}")


def from_path(tool: Tool, stage: Path, _run: Run) -> None:
    """Copy the tool from PATH, where the version there is exactly the pinned one."""
    if tool.ask is None:
        raise WayError("it cannot be asked for its version")
    found = shutil.which(tool.files[0])
    if not found:
        raise WayError("not there")
    said = _version(tool.ask, Path(found))
    if said != tool.version:
        raise WayError(f"{found} is {said}")
    homes = (Path(found).parent, Path(found).resolve().parent)
    whole = [home for home in homes if all((home / name).is_file() for name in tool.files)]
    if not whole:
        raise WayError(f"{found} has not all of {', '.join(tool.files)} beside it")
    for name in tool.files:
        shutil.copyfile(whole[0] / name, stage / name)


def download(tool: Tool, stage: Path, run: Run) -> None:
    """Fetch the release from its publisher; nothing is unpacked before its digest was compared."""
    source = tool.download
    if source is None:
        raise WayError("no release with checksums is published")
    vendor = source.arch.get(arch(), arch())
    for name in tool.files:
        words = {"version": tool.version, "arch": vendor, "file": name}
        url = source.url.format(**words)
        release = _fetch(url, run)
        if source.checksums:
            wanted = _published(source.checksums.format(url=url, **words), PurePosixPath(url).name, run)
            if (found := _digest(release)) != wanted:
                raise WayError(f"{url} has sha256 {found}, its publisher says {wanted}")
        elif name not in tool.sha256:
            raise WayError(f"there is no checksum for {name}")
        if source.member:
            _unpack(release, source.member.format(**words), stage / name)
        else:
            shutil.copyfile(release, stage / name)


def build(tool: Tool, stage: Path, run: Run) -> None:
    """Build the tool with `go build`, each step in a copy of its folder; go.sum guards every module."""
    arch()
    go = shutil.which("go")
    if not go:
        raise WayError("go is not on PATH")
    print(f"{tool}  building", flush=True)
    started = time.monotonic()
    env = {
        **os.environ,
        "PATH": os.pathsep.join([*(str(run.homes[need]) for need in tool.needs), os.environ["PATH"]]),
        "GOMODCACHE": str(run.go_cache / "mod"),
        "GOCACHE": str(run.go_cache / "build"),
        # Without what `-s -w` leaves out again, and without looking for garbage in processes that end soon: together a
        # third less processor time (redis-exporter, 40 to 26 s).
        "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false -modcacherw -gcflags=all=-dwarf=false",
        "GOGC": "off",
        "GOMEMLIMIT": "2GiB",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
    }
    for step in tool.build:
        with tempfile.TemporaryDirectory(dir=run.scratch) as made:
            folder = Path(made)
            for path in inputs(run.builds / step.folder):
                target = folder / path.relative_to(run.builds / step.folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)

            def call(*args: str, folder: Path = folder) -> str:
                return _command(args, f"{tool}  building", folder, env, started)

            if step.embed or step.copy:
                found = json.loads(call(go, "mod", "download", "-json", step.module.split("@")[0]))
                module = Path(found["Dir"])
                for name in step.embed:
                    shutil.copyfile(module / name, folder / Path(name).name)
                for name, origin in step.copy.items():
                    shutil.copyfile(module / origin, stage / name)
            flags = ["-ldflags", "-s -w " + step.ldflags.format(version=tool.version)]
            flags += [f"-tags={step.tags}"] if step.tags else []
            if step.generate:
                call(go, "build", *flags, "-o", "generator", step.generate[0])
                call(str(folder / "generator"), *step.generate[1:])
            if step.package:
                output = str(stage / (step.output or tool.name))
                call(go, "build", *flags, "-o", output, step.package)


def _version(ask: Ask, binary: Path) -> str:
    """What the binary answers, or in plain words that it does not."""
    try:
        done = subprocess.run([binary, *ask.args], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"of no known version ({error})"
    found = re.search(ask.answer, done.stdout + done.stderr)
    return found[1] if found else "of no known version"


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _published(url: str, name: str, run: Run) -> str:
    """The digest that a publisher's list gives for a file; a list of one word is that digest."""
    lines = [line.split() for line in _fetch(url, run).read_text("utf-8", "replace").splitlines()]
    for words in lines:
        if words and (len(words) == 1 or words[-1].lstrip("*").removeprefix("./") == name):
            return words[0].lower()
    raise WayError(f"{url} has no line for {name}")


def _fetch(url: str, run: Run) -> Path:
    """The body of an address as a file, fetched once in a run."""
    if url in run.fetched:
        return run.fetched[url]
    host = urlsplit(url).netloc
    if host not in run.hosts:
        run.hosts[host] = _unreachable(f"{urlsplit(url).scheme}://{host}/")
    if run.hosts[host]:
        raise WayError(f"{host} cannot be reached ({run.hosts[host]})")
    target = run.scratch / f"download-{len(run.fetched)}"
    try:
        with urllib.request.urlopen(url, timeout=STALL) as body, target.open("wb") as file:  # noqa: S310
            shutil.copyfileobj(body, file)
    except urllib.error.HTTPError as error:
        raise WayError(f"{url} answered {error.code}") from error
    except (OSError, HTTPException) as error:
        run.hosts[host] = str(error)
        raise WayError(f"{url} broke off ({error})") from error
    run.fetched[url] = target
    return target


def _unreachable(origin: str) -> str:
    """Why a host does not answer; empty when it does, with whatever status."""
    why = [f"no answer in {REACH:.0f} s"]

    def ask() -> None:
        try:
            urllib.request.urlopen(  # noqa: S310
                urllib.request.Request(origin, method="HEAD"),  # noqa: S310
                timeout=REACH,
            ).close()
            why[0] = ""
        except urllib.error.HTTPError:
            why[0] = ""
        except (OSError, HTTPException) as error:
            why[0] = str(getattr(error, "reason", error))

    # A name lookup knows no time-out, so the bound is on a thread that may be left behind.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(REACH)
    return why[0]


def _unpack(archive: Path, member: str, target: Path) -> None:
    """Write one member of a tar archive, and nothing else of it."""
    try:
        with tarfile.open(archive) as tar:
            for entry in tar:
                if str(PurePosixPath(entry.name)) == member and (body := tar.extractfile(entry)):
                    with body, target.open("wb") as file:
                        shutil.copyfileobj(body, file)
                    return
    except tarfile.TarError as error:
        raise WayError(f"the archive cannot be read ({error})") from error
    raise WayError(f"the archive has no {member}")


def _command(args: Sequence[str], label: str, cwd: Path, env: Mapping[str, str], since: float) -> str:
    """Run one build command and return its output, with a sign of life and the time `since` then."""
    with (
        tempfile.TemporaryFile("w+", errors="replace") as out,
        tempfile.TemporaryFile("w+", errors="replace") as log,
        subprocess.Popen(args, cwd=cwd, env=env, stdout=out, stderr=log) as process,
    ):
        try:
            while process.poll() is None:
                try:
                    process.wait(HEARTBEAT)
                except subprocess.TimeoutExpired:
                    print(f"{label}, {time.monotonic() - since:.0f} s so far", flush=True)
        except BaseException:
            process.kill()
            raise
        out.seek(0)
        log.seek(0)
        text = out.read()
        if process.returncode:
            tail = "\n".join(f"    {line}" for line in (text + log.read()).splitlines()[-20:])
            shown = " ".join([Path(args[0]).name, *args[1:]])
            raise WayError(f"`{shown}` ended with {process.returncode}, its last lines:\n{tail}")
        return text
