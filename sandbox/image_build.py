"""One image, built from its Containerfile without a daemon and without a registry.

The Containerfile is followed step by step, in a directory of files with `chroot`; what it would pull is made with
debootstrap. Only this machine's own package managers reach out: its pip downloads the wheels, in whatever way it is
set up here, and the image's pip installs them without a network.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sandbox import layers, packages
from sandbox.containerfile import Containerfile, ContainerfileError, Step
from sandbox.processes import ClusterError
from sandbox.sources import WayError
from sandbox.tools import Toolbox, ToolError

PYTHON = "python:3.11-slim-bookworm"
"""The one image from outside that is replaced: by Debian of the same release with its own Python 3.11."""

DEBIAN, PACKAGES = "bookworm", ("ca-certificates", "python3", "python3-venv")
"""Release and packages of the replacement."""

HEARTBEAT = 30.0
"""Seconds between two signs of life of a long step."""

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PRIVATE = ("unshare", "--fork", "--pid", "--kill-child", "--mount", "--mount-proc")
# What runs in it ends with it, and so do the mounts it makes.
_MORTAL = ("setpriv", "--pdeathsig", "KILL")
# A build that is killed takes its command with it, which would go on to write where the next build clears up.
_DEVICES = {"null": 3, "zero": 5, "random": 8, "urandom": 9}
_STEADY = {"LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": "0"}
# With the latter, Python's byte code is bound to the hash of its source, not to a time that a layer does not keep.


class ImageError(Exception):
    """An image could not be built; the text names it, the step and why."""


def tool_file(image: str, name: str, toolbox: Toolbox) -> Path:
    """The file of a tool that `COPY --from=tools` names.

    Raises:
        ImageError: it is not among these tools.
    """
    try:
        return toolbox.binary(name)
    except ToolError as error:
        raise ImageError(f"image {image}: {error}") from error


def mode_of(path: Path) -> int:
    """All that git keeps of a file's mode."""
    return 0o755 if path.stat().st_mode & 0o100 else 0o644


class ImageBuild:
    """One image in the making: its files, and what its configuration says so far.

    Args:
        folder: its Containerfile and the files that it copies; the name of the folder is that of the image.
        reference: what it is loaded under.
        toolbox: where the binaries in it come from.
        work: an empty directory of its own.
    """

    def __init__(self, folder: Path, reference: str, toolbox: Toolbox, work: Path) -> None:
        self.name, self.folder, self.reference, self.toolbox = folder.name, folder, reference, toolbox
        self.work, self.root = work, work / "root"
        self.args: dict[str, str] = {}
        self.env: dict[str, str] = {}
        self.config: dict[str, Any] = {}
        self.began = time.monotonic()

    def run(self, recipe: Containerfile, below: Path | None, target: Path) -> None:
        """Follow the recipe and put the archive into its place: all of it or nothing.

        Args:
            recipe: its Containerfile.
            below: the archive of the image that it starts from, where that is one of ours.
            target: where the archive goes.

        Raises:
            ImageError: a step cannot be followed, or fails.
        """
        print(f"image {self.name}  building", flush=True)
        usual = os.umask(0o022)
        try:
            self.root.mkdir(mode=0o755)
            if below:
                layers.unpack(below, self.root)
                self.config = layers.describe(below)[2]
                self.env = dict(pair.split("=", 1) for pair in self.config.get("Env", []))
            before = layers.stamps(self.root)
            if recipe.base == PYTHON:
                self._bootstrap()
            for step in recipe.steps:
                self._follow(step)
            self.config["Env"] = [f"{name}={value}" for name, value in self.env.items()]
            layers.pack(self.root, before, self.work / "layer")
            layers.save(self.work / "image", self.reference, self.config, self.work / "layer", below)
            shutil.rmtree(self.root)
            (self.work / "image").rename(target)
        except (ClusterError, ContainerfileError, OSError, WayError) as error:
            raise ImageError(f"image {self.name}: {error}") from error
        finally:
            os.umask(usual)
        size = layers.size(layers.describe(target)[1])
        print(f"image {self.name}  built  {time.monotonic() - self.began:.0f} s  {size / 1e6:.0f} MB", flush=True)

    def _bootstrap(self) -> None:
        """Debian with Python, in place of the image that would be pulled."""
        if not shutil.which("debootstrap"):
            packages.install("debootstrap", "debian-archive-keyring")
        include = f"--include={','.join(PACKAGES)}"
        command = [*_PRIVATE, "debootstrap", "--variant=minbase", "--force-check-gpg", include, DEBIAN, str(self.root)]
        self._call(command, f"debootstrap {DEBIAN}", {**os.environ, **_STEADY})
        self.env["PATH"] = _PATH

    def _follow(self, step: Step) -> None:
        known = {**self.args, **self.env}
        match step.word:
            case "ARG":
                self.args |= step.pairs(known)
            case "ENV":
                self.env |= step.pairs(known)
            case "COPY":
                self._copy(step, step.expanded(known))
            case "RUN":
                self._chroot(step)
            case "USER":
                self.config["User"] = step.expanded(known)
            case "WORKDIR":
                self.config["WorkingDir"] = where = step.expanded(known)
                self._inside(step, where).mkdir(parents=True, exist_ok=True)
            case "ENTRYPOINT":
                self.config["Entrypoint"] = json.loads(step.text)

    def _copy(self, step: Step, text: str) -> None:
        *flags, given, where = text.split()
        source = tool_file(self.name, given, self.toolbox) if flags else self.folder / given
        if not source.is_file():
            raise step.wrong(f"there is no file {source}")
        target = self._inside(step, where + Path(given).name if where.endswith("/") else where)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        target.chmod(mode_of(source))

    def _inside(self, step: Step, where: str) -> Path:
        """A path in the image as one of this machine."""
        found = (self.root / where.lstrip("/")).resolve()
        if not found.is_relative_to(self.root.resolve()):
            raise step.wrong(f"{where} leads out of the image")
        return found

    def _chroot(self, step: Step) -> None:
        """Run a command in the image."""
        wheels = self.root / "wheels"
        pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        if (self.folder / "requirements.txt").exists() and not wheels.exists():
            self._download(wheels)
        for name in ("dev", "etc", "proc", "tmp"):
            (self.root / name).mkdir(exist_ok=True)
        for name, minor in _DEVICES.items():
            device = self.root / "dev" / name
            if not device.exists():
                os.mknod(device, 0o20666, os.makedev(1, minor))
                device.chmod(0o666)
        shutil.copyfile("/etc/resolv.conf", self.root / "etc" / "resolv.conf")
        proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
        env = {"PATH": _PATH, "DEBIAN_FRONTEND": "noninteractive", **_STEADY, **proxies, **pip, **self.args, **self.env}
        inside = [f"--root={self.root}", f"--wd={self.config.get('WorkingDir', '/')}"]
        self._call([*_PRIVATE, *inside, "/bin/sh", "-c", step.text], f"RUN {step.text}", env)

    def _download(self, target: Path) -> None:
        """Fetch the wheels of `requirements.txt` with this machine's pip; the image's compares the digests again."""
        wanted = ["--requirement", str(self.folder / "requirements.txt"), "--dest", str(target)]
        strict = ["--require-hashes", "--no-deps", "--only-binary=:all:"]
        command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", *strict, *wanted]
        self._call(command, "download of requirements.txt", dict(os.environ))

    def _call(self, command: Sequence[str], step: str, env: Mapping[str, str]) -> None:
        """Run one command, with a sign of life now and then; ImageError with its last lines if it fails."""
        programs = {name: shutil.which(name) for name in (_MORTAL[0], command[0])}
        if lacking := [name for name, path in programs.items() if not path]:
            raise ImageError(f"image {self.name}: {step}: {', '.join(lacking)} is not on PATH")
        full = [str(programs[_MORTAL[0]]), *_MORTAL[1:], str(programs[command[0]]), *command[1:]]
        with (
            tempfile.TemporaryFile("w+", errors="replace") as log,
            subprocess.Popen(full, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as process,
        ):
            try:
                while process.poll() is None:
                    try:
                        process.wait(HEARTBEAT)
                    except subprocess.TimeoutExpired:
                        since = time.monotonic() - self.began
                        print(f"image {self.name}  building, {since:.0f} s so far", flush=True)
            except BaseException:
                process.kill()
                raise
            if process.returncode:
                log.seek(0)
                tail = "\n".join(f"    {line}" for line in log.read().splitlines()[-20:])
                raise ImageError(f"image {self.name}: {step}: ended with {process.returncode}, its last lines:\n{tail}")
