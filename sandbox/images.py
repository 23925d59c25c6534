"""The images of the sandbox, built from `images/<name>/Containerfile` without a daemon and without a registry.

The Containerfile is followed step by step, in a directory of files with `chroot`; what it would pull is made with
debootstrap. Only this machine's own package managers reach out: its pip downloads the wheels, in whatever way it is
set up here, and the image's pip installs them without a network.

An image is kept by the hash of all that it is made of. Two builds of the same inputs are equal as long as Debian's
packages are: these are the newest of the release, not pinned ones.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import containerfile, layers, packages
from sandbox.cache import cache_root, changing
from sandbox.containerfile import Containerfile, ContainerfileError, Step
from sandbox.processes import ClusterError
from sandbox.sources import WayError
from sandbox.tools import Toolbox, ToolError, load

FOLDER = Path(__file__).resolve().parent.parent / "images"
"""One folder for each image: its Containerfile and the files that it copies."""

REFERENCES = {
    "base": "ml-platform/base:bookworm",
    "ray": "rayproject/ray:2.60.0",
    "postgres": "ml-platform/postgres:15",
    "redis": "ml-platform/redis:7.0",
    "object-store": "ml-platform/object-store:1.8.0",
    "store-client": "ml-platform/store-client:1",
    "mlflow": "ml-platform/mlflow:3.17.2",
    "feast": "ml-platform/feast:0.67.0",
    "mlflow-previous": "ml-platform/mlflow:3.16.1",
    "moto": "ml-platform/moto:5.2.5",
    "kuberay-operator": "quay.io/kuberay/operator:v1.6.2",
    "prometheus": "quay.io/prometheus/prometheus:v3.15.0",
    "prometheus-operator": "quay.io/prometheus-operator/prometheus-operator:v0.93.1",
    "prometheus-config-reloader": "quay.io/prometheus-operator/prometheus-config-reloader:v0.93.1",
    "kube-state-metrics": "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.20.0",
    "alertmanager": "quay.io/prometheus/alertmanager:v0.31.0",
    "loki": "grafana/loki:3.7.8",
    "jaeger": "jaegertracing/jaeger:2.13.0",
    "log-agent": "otel/opentelemetry-collector-contrib:0.160.0",
    "postgres-exporter": "quay.io/prometheuscommunity/postgres-exporter:v0.19.1",
    "redis-exporter": "oliver006/redis_exporter:v1.82.0",
    "pilot": "ml-platform/pilot:1.31-eed52ebb66ad",
    "proxyv2": "ml-platform/proxyv2:1.31-eed52ebb66ad",
}
"""Every image and the name it is loaded under: the one in the program's settings, or in istio.yaml.

The image of GPU workers is not among them: the sandbox's GPU nodes are simulated, no container runs there. The last two
before the operators are for tests: a release to upgrade from, and a stand-in for AWS S3. The last two are the mesh.
"""

WATCHING = frozenset(
    {
        *("prometheus", "prometheus-operator", "prometheus-config-reloader", "kube-state-metrics"),
        *("postgres-exporter", "redis-exporter", "alertmanager", "loki", "jaeger", "log-agent"),
    }
)
"""Those that only a stack runs which is watched: built by whoever names them, from optional tools."""

PYTHON = "python:3.11-slim-bookworm"
"""The one image from outside that is replaced: by Debian of the same release with its own Python 3.11."""

DEBIAN, PACKAGES = "bookworm", ("ca-certificates", "python3", "python3-venv")
"""Release and packages of the replacement."""

BUILDER = 1
"""Part of every key: raise it when the same inputs would make another image."""

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


@dataclass(frozen=True)
class Image:
    """One image: `archive` for `ctr images import`, the digest of its manifest, the bytes of its layers."""

    name: str
    reference: str
    archive: Path
    digest: str
    size: int


def build(
    toolbox: Toolbox, names: Collection[str] | None = None, *, folder: Path = FOLDER, cache: Path | None = None
) -> dict[str, Image]:
    """Build what is not there yet, and say in one line each how long it took.

    Args:
        toolbox: where the binaries in images come from.
        names: the images wanted (what they start from is added); all but WATCHING if not given.
        folder: their Containerfiles.
        cache: where to keep the archives, `cache_root()` if not given.

    Returns:
        The images by name, each after the one that it starts from.

    Raises:
        ImageError: a name is unknown, or an image cannot be built.
    """
    if unknown := sorted(set(names or ()) - set(REFERENCES)):
        raise ImageError(f"there is no image {', '.join(unknown)}; there are {', '.join(REFERENCES)}")
    recipes = _recipes(names if names is not None else [each for each in REFERENCES if each not in WATCHING], folder)
    root = part(cache)
    archives = _archives(recipes, toolbox, folder, root)
    if not all(archive.is_file() for archive in archives.values()):
        if os.geteuid() != 0:
            raise ImageError("only root can build images: their files belong to several users")
        with changing(root, "images: waiting for another run that builds them") as scratch:
            for name, archive in archives.items():
                if not archive.is_file():
                    work = Path(tempfile.mkdtemp(dir=scratch))
                    below = archives.get(_parent(name, recipes[name]) or "")
                    _Build(folder / name, toolbox, work).run(recipes[name], below, archive)
    print(f"images: {len(archives)} ready", flush=True)
    return {name: _image(name, archive) for name, archive in archives.items()}


def part(cache: Path | None = None) -> Path:
    """Where the archives lie in the cache."""
    return (cache or cache_root()) / "images"


def pinned(toolbox: Toolbox, *, folder: Path = FOLDER, cache: Path | None = None) -> set[Path]:
    """The archive of every image where `build` puts it, whether it is there or not.

    Raises:
        ImageError: a Containerfile cannot be read, or wants a tool that is not among these.
    """
    return set(_archives(_recipes(REFERENCES, folder), toolbox, folder, part(cache)).values())


def tools(names: Collection[str]) -> set[str]:
    """The tools whose files are in these images.

    Raises:
        ImageError: a Containerfile cannot be read.
    """
    files = {file for recipe in _recipes(names, FOLDER).values() for file in recipe.tools}
    return {tool.name for tool in load().values() if files & set(tool.files)}


def _archives(recipes: Mapping[str, Containerfile], toolbox: Toolbox, folder: Path, root: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for name, recipe in recipes.items():
        below = found.get(_parent(name, recipe) or "")
        found[name] = root / f"{name}-{_key(folder / name, recipe, below, toolbox)}.tar"
    return found


def _recipes(names: Collection[str], folder: Path) -> dict[str, Containerfile]:
    """The Containerfiles of images, each after that of the one it starts from."""
    recipes: dict[str, Containerfile] = {}
    for name in names:
        _collect(name, folder, recipes)
    return recipes


def _collect(name: str, folder: Path, recipes: dict[str, Containerfile]) -> None:
    """Read the Containerfile of an image after that of the one it starts from."""
    try:
        recipe = containerfile.read(folder / name / "Containerfile")
    except (ContainerfileError, OSError) as error:
        raise ImageError(f"image {name}: {error}") from error
    if (below := _parent(name, recipe)) and below not in recipes:
        _collect(below, folder, recipes)
    recipes[name] = recipe


def _parent(name: str, recipe: Containerfile) -> str | None:
    """The image of ours that a recipe starts from."""
    ours = {reference: known for known, reference in REFERENCES.items() if known != name}
    if recipe.base not in {*ours, PYTHON, "scratch"}:
        known = ", ".join([*ours, PYTHON, "scratch"])
        raise ImageError(f"image {name}: FROM {recipe.base} needs a registry; possible without one: {known}")
    return ours.get(recipe.base)


def _key(folder: Path, recipe: Containerfile, below: Path | None, toolbox: Toolbox) -> str:
    """Twelve hex digits that change with everything the image is made of."""
    tools = [_tool(folder.name, name, toolbox).parent.name for name in recipe.tools]  # with the key of the tool
    below_it = below.name if below else [DEBIAN, PACKAGES] if recipe.base == PYTHON else ""
    parts = [BUILDER, os.uname().machine, REFERENCES[folder.name], below_it, tools]
    digest = hashlib.sha256(json.dumps(parts).encode())
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        content = path.read_bytes()
        digest.update(f"{path.name} {_mode(path)} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:12]


def _tool(image: str, name: str, toolbox: Toolbox) -> Path:
    try:
        return toolbox.binary(name)
    except ToolError as error:
        raise ImageError(f"image {image}: {error}") from error


def _mode(path: Path) -> int:
    """All that git keeps of a file's mode."""
    return 0o755 if path.stat().st_mode & 0o100 else 0o644


def _image(name: str, archive: Path) -> Image:
    digest, manifest, _ = layers.describe(archive)
    return Image(name, REFERENCES[name], archive, digest, sum(layer["size"] for layer in manifest["layers"]))


class _Build:
    """One image in the making: its files, and what its configuration says so far."""

    def __init__(self, folder: Path, toolbox: Toolbox, work: Path) -> None:
        self.name, self.folder, self.toolbox = folder.name, folder, toolbox
        self.work, self.root = work, work / "root"
        self.args: dict[str, str] = {}
        self.env: dict[str, str] = {}
        self.config: dict[str, Any] = {}
        self.began = time.monotonic()

    def run(self, recipe: Containerfile, below: Path | None, target: Path) -> None:
        """Follow the recipe and put the archive into its place: all of it or nothing."""
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
            layers.save(self.work / "image", REFERENCES[self.name], self.config, self.work / "layer", below)
            shutil.rmtree(self.root)
            (self.work / "image").rename(target)
        except (ClusterError, ContainerfileError, OSError, WayError) as error:
            raise ImageError(f"image {self.name}: {error}") from error
        finally:
            os.umask(usual)
        size = _image(self.name, target).size / 1e6
        print(f"image {self.name}  built  {time.monotonic() - self.began:.0f} s  {size:.0f} MB", flush=True)

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
        source = _tool(self.name, given, self.toolbox) if flags else self.folder / given
        if not source.is_file():
            raise step.wrong(f"there is no file {source}")
        target = self._inside(step, where + Path(given).name if where.endswith("/") else where)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        target.chmod(_mode(source))

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
