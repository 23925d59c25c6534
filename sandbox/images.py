"""The images of the sandbox: which there are, where they lie, and that each is built when it is not there yet.

An image is kept by the hash of all that it is made of. Two builds of the same inputs are equal as long as Debian's
packages are: these are the newest of the release, not pinned ones.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox import containerfile, image_build, layers
from sandbox.cache import cache_root, changing
from sandbox.containerfile import Containerfile, ContainerfileError
from sandbox.image_build import PYTHON, ImageBuild, ImageError, mode_of, tool_file
from sandbox.tools import Toolbox, load

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

BUILDER = 1
"""Part of every key: raise it when the same inputs would make another image."""


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
                    ImageBuild(folder / name, REFERENCES[name], toolbox, work).run(recipes[name], below, archive)
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
    tools = [tool_file(folder.name, name, toolbox).parent.name for name in recipe.tools]  # with the key of the tool
    below_it = below.name if below else [image_build.DEBIAN, image_build.PACKAGES] if recipe.base == PYTHON else ""
    parts = [BUILDER, os.uname().machine, REFERENCES[folder.name], below_it, tools]
    digest = hashlib.sha256(json.dumps(parts).encode())
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        content = path.read_bytes()
        digest.update(f"{path.name} {mode_of(path)} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:12]


def _image(name: str, archive: Path) -> Image:
    digest, manifest, _ = layers.describe(archive)
    return Image(name, REFERENCES[name], archive, digest, layers.size(manifest))
