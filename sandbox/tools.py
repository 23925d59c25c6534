"""The tools of the sandbox, each in the one version that `tools.toml` pins.

`install` obtains what is missing and returns a `Toolbox`. A tool comes from the cache, from PATH, from
its publisher or from a build with `go`, in this order; see `sandbox.sources`.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox import sources
from sandbox.cache import cache_root, changing
from sandbox.sources import Run, Tool, WayError

LOCK = Path(__file__).with_name("tools.toml")
"""The pins of every tool; the folders it names lie in `build` beside it."""

CRDS = "kuberay-crds"

GO_CACHE = "go"
"""What a build leaves that failed, in the cache."""

WAYS = (
    ("on PATH", "from PATH", sources.from_path),
    ("download", "downloaded", sources.download),
    ("build", "built", sources.build),
)


class ToolError(Exception):
    """A tool could not be obtained or is not there; the text names it, what was tried and why it failed."""


@dataclass(frozen=True)
class Toolbox:
    """The installed tools.

    `bin` is one directory for PATH. The provider plugins are not in it, because the engine would prefer
    them there to the ones of `link_plugins`, and warn about it. `homes` maps a tool to its directory.
    """

    bin: Path
    homes: Mapping[str, Path]
    tools: Collection[Tool]

    def binary(self, name: str) -> Path:
        """The path of one installed file, by its name; ToolError if no installed tool has it."""
        for tool in self.tools:
            if name in tool.files:
                return self.homes[tool.name] / name
        raise ToolError(f"{name} is not among the installed tools")

    @property
    def crds(self) -> Path:
        """The directory with the four CRD files of KubeRay; ToolError if they are not installed."""
        if CRDS not in self.homes:
            raise ToolError(f"{CRDS} is not among the installed tools")
        return self.homes[CRDS]

    def link_plugins(self, pulumi_home: Path) -> None:
        """Lay the provider plugins out in a PULUMI_HOME of our own, and keep the CLI's log out of it.

        The engine takes `plugins/resource-NAME-vVERSION/` for installed unless a `.partial` file lies
        beside it (sdk/go/common/workspace/plugins.go). CLI 3.259 always writes a large verbose log, with
        every property in it, to the directory `logs`; it goes on without where a plain file has that name.

        Raises:
            ToolError: the CLI has already logged to this PULUMI_HOME.
        """
        for tool in filter(_is_plugin, self.tools):
            kind = tool.name.removeprefix("pulumi-")
            plugin = pulumi_home / "plugins" / f"{kind}-v{tool.version}"
            plugin.mkdir(parents=True, exist_ok=True)
            plugin.with_name(plugin.name + ".partial").unlink(missing_ok=True)
            link = plugin / tool.name
            link.unlink(missing_ok=True)
            link.symlink_to(self.homes[tool.name] / tool.name)
        pulumi_home.mkdir(parents=True, exist_ok=True)
        log = pulumi_home / "logs"
        if log.is_dir():
            raise ToolError(f"{log} holds logs of the Pulumi CLI: take another PULUMI_HOME or remove them")
        log.touch()


def load(lock: Path = LOCK) -> dict[str, Tool]:
    """Every tool of a lock file by name, in its order."""
    return {name: Tool.parse(name, entry) for name, entry in tomllib.loads(lock.read_text()).items()}


def wanted(*, real: bool, lock: Path = LOCK) -> list[str]:
    """The tools of a sandbox with simulated nodes only, or of one with a real node beside them."""
    return [name for name, tool in load(lock).items() if (real or not tool.real) and not tool.optional]


def key(tool: Tool, lock: Path = LOCK) -> str:
    """Twelve hex digits that change with the tool's lock entry, its build folders and the processor."""
    digest = hashlib.sha256(json.dumps(tomllib.loads(lock.read_text())[tool.name], sort_keys=True).encode())
    digest.update(os.uname().machine.encode())
    builds = lock.parent / "build"
    for folder in sorted({step.folder for step in tool.build}):
        for path in sources.inputs(builds / folder):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(builds)} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:12]


def install(
    names: Collection[str] | None = None,
    *,
    lock: Path = LOCK,
    cache: Path | None = None,
    keep_go_cache: bool = False,
) -> Toolbox:
    """Obtain tools in their pinned versions and say in one line each how they came.

    Args:
        names: the tools wanted (what they need is added); without, those of a sandbox of simulated nodes.
        lock: the file with the pins, its build folders beside it.
        cache: where to keep the tools, `cache_root()` if not given.
        keep_go_cache: leave Go's caches (tens of GB) after a build that worked; they always stay after
            one that failed, so that the next run goes on quickly.

    Raises:
        ToolError: a name is unknown, or tools could not be obtained: all of them, with every reason.
    """
    known = load(lock)
    if unknown := sorted(set(names or ()) - set(known)):
        raise ToolError(f"tools.toml has no {', '.join(unknown)}; it has {', '.join(known)}")
    asked = set(wanted(real=False, lock=lock) if names is None else names)
    asked |= {need for name in asked for need in known[name].needs}
    root = cache or cache_root()
    box = _toolbox([tool for tool in known.values() if tool.name in asked], lock, root)
    if not (box.bin.is_dir() and all(_ready(tool, box.homes[tool.name]) for tool in box.tools)):
        with changing(root, "tools: waiting for another run that installs them") as scratch:
            _obtain(box.tools, Run(lock.parent / "build", scratch, root / GO_CACHE, box.homes), keep_go_cache)
            _link_binaries(box, scratch)
    print(f"tools: {len(box.tools)} ready", flush=True)
    return box


def pinned(*, lock: Path = LOCK, cache: Path | None = None) -> Toolbox:
    """Every tool of a lock file where `install` puts it, whether it is there or not."""
    return _toolbox(load(lock).values(), lock, cache or cache_root())


def _toolbox(tools: Collection[Tool], lock: Path, root: Path) -> Toolbox:
    homes = {tool.name: _home(tool, lock, root) for tool in tools}
    names = "\n".join(sorted(home.name for home in homes.values()))
    return Toolbox(root / "bin" / hashlib.sha256(names.encode()).hexdigest()[:12], homes, tools)


def _is_plugin(tool: Tool) -> bool:
    return tool.name.startswith("pulumi-resource-")


def missing(names: Collection[str], *, lock: Path = LOCK, cache: Path | None = None) -> list[str]:
    """Those that `install` would have to obtain first."""
    known, root = load(lock), cache or cache_root()
    return [name for name in names if not _ready(known[name], _home(known[name], lock, root))]


def _home(tool: Tool, lock: Path, root: Path) -> Path:
    return root / "tools" / f"{tool.name}-{tool.version}-{key(tool, lock)}"


def _ready(tool: Tool, home: Path) -> bool:
    return all((home / name).is_file() for name in tool.files)


def _obtain(tools: Collection[Tool], run: Run, keep_go_cache: bool) -> None:
    """Obtain each missing tool; ToolError with all that failed, after all were tried."""
    failed: dict[str, str] = {}
    for tool in tools:
        if _ready(tool, run.homes[tool.name]):
            continue
        if lacking := [need for need in tool.needs if need in failed]:
            failed[tool.name] = f"{tool} needs {', '.join(lacking)}"
            continue
        started = time.monotonic()
        reasons = []
        for way, came, obtain in WAYS:
            stage = Path(tempfile.mkdtemp(dir=run.scratch))
            try:
                obtain(tool, stage, run)
                sources.check(tool, stage)
            except (WayError, OSError) as error:
                reasons.append(f"  {way}: {error}")
                continue
            _publish(stage, run.homes[tool.name])
            print(f"{tool}  {came}  {time.monotonic() - started:.0f} s", flush=True)
            break
        else:
            failed[tool.name] = "\n".join([f"{tool} could not be obtained", *reasons])
            print(f"{tool}  failed  {time.monotonic() - started:.0f} s", flush=True)
    if failed:
        raise ToolError("\n".join(failed.values()))
    if not keep_go_cache:
        shutil.rmtree(run.go_cache, ignore_errors=True)


def _publish(stage: Path, target: Path) -> None:
    """Move a complete directory to its place in one step, so that half a tool is never seen."""
    stage.chmod(0o755)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(target, ignore_errors=True)
    stage.rename(target)


def _link_binaries(box: Toolbox, scratch: Path) -> None:
    stage = Path(tempfile.mkdtemp(dir=scratch))
    for tool in box.tools:
        if not tool.sha256 and not _is_plugin(tool):  # pinned files are data
            for name in tool.files:
                (stage / name).symlink_to(box.homes[tool.name] / name)
    _publish(stage, box.bin)
