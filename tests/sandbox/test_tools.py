"""The installer: what it keeps and when it obtains again, and the toolbox that it hands out."""

import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import tools
from sandbox.tools import ToolError
from tests.support.tools import ASK, left, module, script


def write(stage: Path) -> None:
    (stage / "demo").write_bytes(script())


# --- the cache ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("go")
def test_a_second_install_does_nothing_and_says_so_in_one_line(
    built: Callable[..., Path],
    cache: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lock_file = built(ask=ASK)
    first = tools.install(lock=lock_file, cache=cache, keep_go_cache=True).binary("demo").stat()
    capsys.readouterr()
    monkeypatch.setattr(tools, "WAYS", ())
    second = tools.install(lock=lock_file, cache=cache).binary("demo").stat()
    assert (first.st_ino, first.st_mtime_ns) == (second.st_ino, second.st_mtime_ns)
    assert capsys.readouterr().out == "tools: 1 ready\n"


def test_a_changed_go_sum_changes_the_key_of_just_that_tool(tmp_path: Path, lock: Callable[..., Path]) -> None:
    file = tmp_path / "lock" / "tools.toml"
    lock(one=module(file, name="one"), two=module(file, name="two"))

    def keys() -> list[str]:
        return [tools.key(tool, file) for tool in tools.load(file).values()]

    before = keys()
    (file.parent / "build" / "one" / "go.sum").write_text("example.org/a v1.0.0 h1:other=\n")
    after = keys()
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_what_a_build_writes_beside_its_inputs_does_not_change_the_key(built: Callable[..., Path]) -> None:
    file = built()
    (tool,) = tools.load(file).values()
    before = tools.key(tool, file)
    (file.parent / "build" / "demo" / "schema.json").write_text("{}")
    assert tools.key(tool, file) == before


def test_a_changed_pin_changes_the_key(lock: Callable[..., Path]) -> None:
    keys = set()
    for version in ("1.2.3", "1.2.4"):
        file = lock(demo={"version": version})
        keys |= {tools.key(tool, file) for tool in tools.load(file).values()}
    assert len(keys) == 2


@pytest.mark.usefixtures("path")
def test_an_interrupted_install_leaves_nothing(
    lock: Callable[..., Path], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_tool: object, stage: Path, _run: object) -> None:
        (stage / "demo").write_bytes(script())
        raise KeyboardInterrupt

    monkeypatch.setattr(tools, "WAYS", (("on PATH", "from PATH", interrupted),))
    with pytest.raises(KeyboardInterrupt):
        tools.install(lock=lock(demo={}), cache=cache)
    assert left(cache) == []


def test_leftovers_of_a_killed_run_are_removed_by_the_next(path: Path, lock: Callable[..., Path], cache: Path) -> None:
    (cache / "tmp" / "half").mkdir(parents=True)
    (path / "demo").write_bytes(script())
    (path / "demo").chmod(0o755)
    tools.install(lock=lock(demo={"ask": ASK}), cache=cache)
    assert "half" not in left(cache)


def test_a_second_run_at_the_same_time_waits_and_then_finds_all_done(
    lock: Callable[..., Path],
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    calls, first_is_in, go_on = [], threading.Event(), threading.Event()

    def slow(_tool: object, stage: Path, _run: object) -> None:
        calls.append(stage)
        write(stage)
        first_is_in.set()
        assert go_on.wait(5)

    monkeypatch.setattr(tools, "WAYS", (("on PATH", "from PATH", slow),))
    lock_file = lock(demo={})
    runs = [threading.Thread(target=tools.install, kwargs={"lock": lock_file, "cache": cache}) for _ in "ab"]
    runs[0].start()
    assert first_is_in.wait(5)
    runs[1].start()
    said, deadline = "", time.monotonic() + 5
    while "waiting for another run" not in said and time.monotonic() < deadline:
        time.sleep(0.01)
        said += capsys.readouterr().out
    go_on.set()
    for run in runs:
        run.join(5)
    assert "waiting for another run" in said
    assert len(calls) == 1


@pytest.mark.usefixtures("path")
def test_failures_of_several_tools_are_reported_together(lock: Callable[..., Path], cache: Path) -> None:
    part = {"build": [{"folder": "x", "module": "x@v1.2.3", "package": "."}]}
    with pytest.raises(ToolError) as caught:
        tools.install(lock=lock(one=part, two=part, three={"needs": ["one"]}), cache=cache)
    text = str(caught.value)
    assert text.count("build: go is not on PATH") == 2
    assert "three 1.2.3 needs one" in text


@pytest.mark.usefixtures("go")
def test_a_build_needs_no_more_go_caches_once_all_is_built(built: Callable[..., Path], cache: Path) -> None:
    (cache / "go").unlink()
    (cache / "go" / "mod").mkdir(parents=True)
    (cache / "go" / "mod" / "kept").touch()
    # Only the removal is under test, so the tool itself comes without a build.
    lock_file = built(ask=ASK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tools, "WAYS", (("build", "built", lambda _t, stage, _r: write(stage)),))
        tools.install(lock=lock_file, cache=cache, keep_go_cache=True)
        assert (cache / "go" / "mod" / "kept").exists()
        shutil.rmtree(cache / "tools")
        tools.install(lock=lock_file, cache=cache)
    assert not (cache / "go").exists()


# --- the toolbox -------------------------------------------------------------------------------------


@pytest.fixture
def box(path: Path, lock: Callable[..., Path], cache: Path) -> tools.Toolbox:
    """A CLI and a provider plugin, from PATH."""
    for name in ("pulumi", "pulumi-resource-demo"):
        (path / name).write_bytes(script())
        (path / name).chmod(0o755)
    return tools.install(lock=lock(**{"pulumi": {"ask": ASK}, "pulumi-resource-demo": {"ask": ASK}}), cache=cache)


def test_a_pulumi_home_gets_the_plugins_and_a_plain_file_for_the_log(box: tools.Toolbox, tmp_path: Path) -> None:
    home = tmp_path / "home"
    box.link_plugins(home)
    box.link_plugins(home)
    plugin = home / "plugins" / "resource-demo-v1.2.3"
    assert not plugin.is_symlink()
    assert subprocess.check_output([plugin / "pulumi-resource-demo"]) == b"demo v1.2.3\n"
    assert (home / "logs").is_file()
    assert sorted(file.name for file in home.iterdir()) == ["logs", "plugins"]


def test_a_half_installed_plugin_of_an_earlier_run_counts_as_whole_afterwards(
    box: tools.Toolbox, tmp_path: Path
) -> None:
    partial = tmp_path / "home" / "plugins" / "resource-demo-v1.2.3.partial"
    partial.parent.mkdir(parents=True)
    partial.touch()
    box.link_plugins(tmp_path / "home")
    assert not partial.exists()


def test_a_pulumi_home_with_logs_in_it_is_refused(box: tools.Toolbox, tmp_path: Path) -> None:
    (tmp_path / "home" / "logs").mkdir(parents=True)
    with pytest.raises(ToolError, match="holds logs of the Pulumi CLI"):
        box.link_plugins(tmp_path / "home")


def test_provider_plugins_are_not_on_path_where_the_engine_would_prefer_them(box: tools.Toolbox) -> None:
    assert [file.name for file in box.bin.iterdir()] == ["pulumi"]
    assert box.binary("pulumi-resource-demo").is_file()


def test_asking_for_what_is_not_installed_says_so(box: tools.Toolbox) -> None:
    with pytest.raises(ToolError, match="etcd is not among the installed tools"):
        box.binary("etcd")
    with pytest.raises(ToolError, match="kuberay-crds is not among the installed tools"):
        _ = box.crds


def test_an_unknown_name_is_refused_before_anything_is_done(lock: Callable[..., Path], cache: Path) -> None:
    with pytest.raises(ToolError, match=r"tools\.toml has no kubctl; it has kubectl"):
        tools.install(["kubctl"], lock=lock(kubectl={}), cache=cache)


def test_what_only_a_node_or_whoever_names_it_wants_is_obtained_there_only(lock: Callable[..., Path]) -> None:
    file = lock(demo={}, node={"real": True}, peer={"optional": True})
    assert tools.wanted(real=False, lock=file) == ["demo"]
    assert tools.wanted(real=True, lock=file) == ["demo", "node"]
    assert tools.load()["conftest"].optional


def test_what_is_not_in_the_cache_is_missing(lock: Callable[..., Path], cache: Path) -> None:
    file = lock(demo={}, other={})
    for name in ("demo", "other"):
        assert tools.missing([name], lock=file, cache=cache) == [name]
    home = cache / "tools" / f"demo-{tools.load(file)['demo'].version}-{tools.key(tools.load(file)['demo'], file)}"
    home.mkdir(parents=True)
    assert tools.missing(["demo", "other"], lock=file, cache=cache) == ["demo", "other"]
    (home / "demo").touch()
    assert tools.missing(["demo", "other"], lock=file, cache=cache) == ["other"]
