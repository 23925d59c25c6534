"""The lock file of the project: every tool can be built, every download is checked, every module is pinned."""

import re

import pytest

from sandbox import sources, tools

LOCKED = tools.load()
BUILDS = tools.LOCK.parent / "build"


@pytest.mark.parametrize("tool", LOCKED.values(), ids=str)
def test_every_tool_can_be_built_into_all_its_files(tool: sources.Tool) -> None:
    made = {name for step in tool.build for name in ([step.output or tool.name] if step.package else [])}
    assert made | {name for step in tool.build for name in step.copy} == set(tool.files)


@pytest.mark.parametrize("tool", LOCKED.values(), ids=str)
def test_every_download_is_held_against_a_checksum_over_https(tool: sources.Tool) -> None:
    if tool.download:
        assert tool.download.url.startswith("https://")
        assert tool.download.checksums or set(tool.sha256) == set(tool.files)


@pytest.mark.parametrize("tool", LOCKED.values(), ids=str)
def test_every_folder_pins_the_module_of_the_lock_in_go_mod_and_go_sum(tool: sources.Tool) -> None:
    for step in tool.build:
        path, version = step.module.split("@")
        required = re.findall(rf"^(?:require)?\s*{re.escape(path)} (\S+)", _mod(step.folder), re.MULTILINE)
        assert required == [version]
        assert f"{path} {version} h1:" in (BUILDS / step.folder / "go.sum").read_text()


@pytest.mark.parametrize("tool", LOCKED.values(), ids=str)
def test_the_first_module_of_a_tool_has_the_version_of_the_tool(tool: sources.Tool) -> None:
    version = tool.build[0].module.split("@")[1]
    if tool.build[0].folder == "prometheus":
        # https://github.com/prometheus/prometheus#using-prometheus-as-a-go-library
        major, minor, patch = tool.version.split(".")
        assert version == f"v0.{major}{minor:0>2}.{patch}"
    elif tool.build[0].folder == "jaeger":
        # Both generations came out together from v1.63.0 on, which was v2.0.0 (CHANGELOG.md of Jaeger).
        major, minor, patch = tool.version.split(".")
        assert (major, version) == ("2", f"v1.{int(minor) + 63}.{patch}")
    # A commit between releases has a time and a hash for a version and says nothing about the release.
    elif not re.search(r"\d{14}-[0-9a-f]{12}$", version):
        assert version == f"v{tool.version}"


def test_every_build_folder_is_used() -> None:
    used = {step.folder for tool in LOCKED.values() for step in tool.build}
    assert used == {folder.name for folder in BUILDS.iterdir() if folder.is_dir()}


def test_every_need_is_a_tool_that_comes_earlier() -> None:
    names = list(LOCKED)
    for tool in LOCKED.values():
        assert all(names.index(need) < names.index(tool.name) for need in tool.needs)


def test_no_folder_switches_the_checksum_of_a_module_off() -> None:
    for folder in BUILDS.iterdir():
        assert "GONOSUM" not in _mod(folder.name)
        assert (folder / "go.sum").stat().st_size > 0


def _mod(folder: str) -> str:
    return (BUILDS / folder / "go.mod").read_text()
