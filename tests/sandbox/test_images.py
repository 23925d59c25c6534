"""The image builder on small images: what it follows, what it writes, when it builds again. None needs a network."""

import contextlib
import fcntl
import hashlib
import json
import multiprocessing
import os
import re
import shutil
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox import image_build, images, layers
from sandbox.image_build import ImageError
from sandbox.sources import Tool
from sandbox.tools import Toolbox

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="images are built by root")

LOW = """
ARG BASE=scratch
FROM ${BASE}
COPY greeting /etc/greeting
COPY --from=tools demo /usr/bin/
"""
HIGH = """
# A comment
ARG BASE=example/low:1
FROM ${BASE}
ARG HOME=/srv
COPY run.sh ${HOME}/app/run
ENV PLACE=${HOME}/app WORDS="two words"
ENV PATH=${PLACE}/bin
USER 1000:1000
WORKDIR ${PLACE}
ENTRYPOINT ["/srv/app/run", "--now"]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(images, "REFERENCES", {"high": "quay.io/example/high:2", "low": "example/low:1"})
    for name, text in (("low", LOW), ("high", HIGH)):
        (tmp_path / "images" / name).mkdir(parents=True)
        (tmp_path / "images" / name / "Containerfile").write_text(text)
    (tmp_path / "images/low/greeting").write_text("hello\n")
    (tmp_path / "images/high/run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "images/high/run.sh").chmod(0o700)
    return tmp_path / "images"


@pytest.fixture
def tools(tmp_path: Path) -> Toolbox:
    return toolbox(tmp_path / "tools" / "demo-1.0-abc")


def toolbox(home: Path) -> Toolbox:
    home.mkdir(parents=True)
    (home / "demo").write_text("binary")
    (home / "demo").chmod(0o755)
    return Toolbox(home, {"demo": home}, [Tool("demo", "1.0", ["demo"], [])])


Build = Callable[..., dict[str, images.Image]]


@pytest.fixture
def build(folder: Path, tools: Toolbox, tmp_path: Path) -> Build:
    def run(*names: str, cache: str = "cache", box: Toolbox = tools) -> dict[str, images.Image]:
        return images.build(box, names or None, folder=folder, cache=tmp_path / cache)

    return run


def blob(archive: Path, digest: str) -> bytes:
    with tarfile.open(archive) as tar:
        file = tar.extractfile(f"blobs/{digest.replace(':', '/')}")
        assert file
        return file.read()


def unpacked(image: images.Image, target: Path) -> Path:
    target.mkdir()
    layers.unpack(image.archive, target)
    return target


# Archives


@needs_root
def test_an_archive_is_an_oci_layout_whose_digests_are_true(build: Build) -> None:
    for image in build().values():
        with tarfile.open(image.archive) as tar:
            names = tar.getnames()
            for name in names:
                if name.startswith("blobs/"):
                    file = tar.extractfile(name)
                    assert file
                    assert hashlib.sha256(file.read()).hexdigest() == name.rpartition("/")[2]
            index = tar.extractfile("index.json")
            assert index
            (entry,) = json.load(index)["manifests"]
        assert {"oci-layout", "index.json"} <= set(names)
        assert entry["digest"] == image.digest
        manifest = json.loads(blob(image.archive, image.digest))
        config = json.loads(blob(image.archive, manifest["config"]["digest"]))
        # Not compressed: what containerd compares after unpacking is the digest of the layer itself.
        assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]
        assert all(len(blob(image.archive, layer["digest"])) == layer["size"] for layer in manifest["layers"])
        assert image.size == sum(layer["size"] for layer in manifest["layers"])
        assert entry["annotations"]["io.containerd.image.name"] == layers.full_name(image.reference)


@needs_root
def test_an_image_shares_the_layers_of_the_one_it_starts_from(build: Build) -> None:
    built = build("high")
    assert list(built) == ["low", "high"]
    manifests = [json.loads(blob(image.archive, image.digest)) for image in built.values()]
    assert manifests[1]["layers"][:-1] == manifests[0]["layers"]
    assert len(manifests[1]["layers"]) == 2


@needs_root
def test_the_configuration_is_that_of_the_containerfile(build: Build) -> None:
    _, manifest, config = layers.describe(build()["high"].archive)
    assert config == {
        "Env": ["PLACE=/srv/app", "WORDS=two words", "PATH=/srv/app/bin"],
        "User": "1000:1000",
        "WorkingDir": "/srv/app",
        "Entrypoint": ["/srv/app/run", "--now"],
    }
    assert manifest["schemaVersion"] == 2


@needs_root
def test_files_have_their_modes_and_owners(build: Build, tmp_path: Path) -> None:
    usual = os.umask(0o077)
    try:
        image = build()["high"]
    finally:
        os.umask(usual)
    root = unpacked(image, tmp_path / "root")
    modes = {path: f"{status.st_mode & 0o7777:o} {status.st_uid}:{status.st_gid}" for path, status in layers.walk(root)}
    assert modes == {
        "etc": "755 0:0",
        "etc/greeting": "644 0:0",
        "srv": "755 0:0",
        "srv/app": "755 0:0",
        "srv/app/run": "755 0:0",
        "usr": "755 0:0",
        "usr/bin": "755 0:0",
        "usr/bin/demo": "755 0:0",
    }


# Building


@needs_root
def test_a_second_build_does_nothing(build: Build, capsys: pytest.CaptureFixture[str]) -> None:
    first = build()
    said = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[:2] for line in said if "built" in line] == [
        ["image low", "built"],
        ["image high", "built"],
    ]
    times = [image.archive.stat().st_mtime_ns for image in first.values()]
    assert build() == first
    assert [image.archive.stat().st_mtime_ns for image in first.values()] == times
    assert capsys.readouterr().out == "images: 2 ready\n"


@needs_root
def test_the_same_inputs_make_the_same_bytes(build: Build) -> None:
    first, second = build(), build(cache="another")
    for name, image in first.items():
        assert image.archive != second[name].archive
        assert image.archive.read_bytes() == second[name].archive.read_bytes()


def change_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del monkeypatch
    (folder / "low/greeting").write_text("hallo\n")


def change_mode(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del monkeypatch
    (folder / "low/greeting").chmod(0o755)


def change_containerfile(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del monkeypatch
    (folder / "low/Containerfile").write_text(f"{LOW}\nENV A=1\n")


def change_builder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del folder
    monkeypatch.setattr(images, "BUILDER", images.BUILDER + 1)


@needs_root
@pytest.mark.parametrize("change", [change_file, change_mode, change_containerfile, change_builder])
def test_every_input_makes_another_archive_of_the_image_and_of_those_above(
    change: Callable[[Path, pytest.MonkeyPatch], None], build: Build, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build()
    change(folder, monkeypatch)
    second = build()
    assert all(first[name].archive != second[name].archive for name in first)


@needs_root
def test_another_version_of_a_tool_makes_another_archive(build: Build, tmp_path: Path) -> None:
    first, second = build(), build(box=toolbox(tmp_path / "tools" / "demo-1.1-def"))
    assert all(first[name].archive != second[name].archive for name in first)


@needs_root
def test_an_image_that_others_start_from_does_not_follow_them(build: Build, folder: Path) -> None:
    first = build()
    (folder / "high/run.sh").write_text("#!/bin/sh\necho\n")
    second = build()
    assert first["low"] == second["low"]
    assert first["high"].digest != second["high"].digest


@pytest.fixture
def shell(folder: Path) -> str:
    """Steps that put this machine's shell and `sleep` into the image `low`."""
    listed = subprocess.run(["/usr/bin/ldd", "/bin/sh"], capture_output=True, text=True, check=True).stdout
    steps = []
    for path in ["/bin/sh", "/bin/sleep", *re.findall(r"(/\S+) \(0x", listed)]:
        shutil.copyfile(path, folder / "low" / Path(path).name)
        (folder / "low" / Path(path).name).chmod(0o755)
        steps.append(f"COPY {Path(path).name} {path}")
    return "\n".join(steps)


@needs_root
def test_commands_run_inside_the_image(build: Build, folder: Path, shell: str, tmp_path: Path) -> None:
    run = 'RUN echo "$$ $NAME $PWD" > said \\\n && test -e /proc/1 && echo > /dev/null && echo gone > /tmp/scrap'
    (folder / "low/Containerfile").write_text(f"{LOW}{shell}\nARG NAME=ray\nWORKDIR /srv\n{run}\n")
    root = unpacked(build("low")["low"], tmp_path / "root")
    assert (root / "srv/said").read_text() == "1 ray /srv\n"
    assert (root / "dev").is_dir()
    assert list((root / "tmp").iterdir()) == []
    assert not (root / "etc/resolv.conf").exists()


@needs_root
def test_a_command_that_fails_is_told_with_its_last_lines(
    build: Build, folder: Path, shell: str, tmp_path: Path
) -> None:
    run = "RUN i=0; while [ $i -lt 30 ]; do echo line $i; i=$((i+1)); done; exit 3"
    (folder / "low/Containerfile").write_text(f"{LOW}{shell}\n{run}\n")
    with pytest.raises(ImageError) as caught:
        build("low")
    lines = str(caught.value).splitlines()
    assert lines[0] == f"image low: {run}: ended with 3, its last lines:"
    assert [line.strip() for line in lines[1:]] == [f"line {number}" for number in range(10, 30)]
    assert [path.name for path in (tmp_path / "cache/images").iterdir()] == ["lock"]


@needs_root
@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ("COPY absent /a", "there is no file"),
        ("COPY --from=tools absent /a", "absent is not among the installed tools"),
        ("COPY greeting /../../a", "leads out of the image"),
        ("WORKDIR $ABSENT", "ABSENT is not set"),
    ],
)
def test_a_step_that_cannot_be_followed_is_named(step: str, reason: str, build: Build, folder: Path) -> None:
    (folder / "low/Containerfile").write_text(f"{LOW}{step}\n")
    with pytest.raises(ImageError, match=rf"image low: .*{reason}"):
        build("low")


def test_an_unknown_image_is_told_with_those_there_are(build: Build) -> None:
    with pytest.raises(ImageError, match="there is no image lo; there are high, low"):
        build("lo")


def test_a_base_that_only_a_registry_has_is_told(build: Build, folder: Path) -> None:
    (folder / "low/Containerfile").write_text("FROM ubuntu:24.04\n")
    with pytest.raises(ImageError, match=r"image low: FROM ubuntu:24\.04 needs a registry"):
        build("low")


def test_without_root_it_says_so(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ImageError, match="only root can build images"):
        build()


@needs_root
def test_without_debootstrap_and_apt_it_says_so(
    build: Build, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "low/Containerfile").write_text(f"FROM {image_build.PYTHON}\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ImageError, match=r"image low: debootstrap, .*: not installed, and there is no apt-get"):
        build("low")


@needs_root
def test_the_release_and_packages_of_debian_are_an_input(
    build: Build, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (folder / "low/Containerfile").write_text(f"FROM {image_build.PYTHON}\n")

    def stand_in(making: Any) -> None:
        (making.root / "made").write_text("by debootstrap")

    monkeypatch.setattr(image_build.ImageBuild, "_bootstrap", stand_in)
    first = build("low")["low"]
    assert (unpacked(first, tmp_path / "root") / "made").exists()
    monkeypatch.setattr(image_build, "PACKAGES", (*image_build.PACKAGES, "another"))
    assert build("low")["low"].archive != first.archive


@needs_root
def test_a_second_run_waits_for_the_first(build: Build, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "cache/images"
    root.mkdir(parents=True)
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        running = threading.Thread(target=build)
        running.start()
        said: list[str] = []

        def waiting() -> bool:
            said.append(capsys.readouterr().out)
            return "".join(said) == "images: waiting for another run that builds them\n"

        wait_for(waiting)
        assert not list(root.glob("*.tar"))
    running.join(20)
    assert len(list(root.glob("*.tar"))) == 2


@needs_root
def test_a_build_that_is_killed_leaves_no_process_and_does_not_disturb_the_next(
    build: Build, folder: Path, shell: str, tmp_path: Path
) -> None:
    command = f"sleep 300.{os.getpid()}"
    (folder / "low/Containerfile").write_text(f"{LOW}{shell}\nRUN {command}\n")
    building = multiprocessing.get_context("fork").Process(target=build, args=("low",))
    building.start()
    wait_for(lambda: command in processes())
    building.kill()
    building.join()
    wait_for(lambda: command not in processes())
    assert (tmp_path / "cache/images/tmp").exists()
    (folder / "low/Containerfile").write_text(LOW)
    build("low")
    assert not (tmp_path / "cache/images/tmp").exists()


def processes() -> set[str]:
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.add(path.read_text(errors="replace").replace("\0", " ").strip())
    return found


def wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
