"""The installer against stand-ins: a publisher on loopback, scripts on PATH, a Go module of ten lines."""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sandbox import sources, tools
from sandbox.tools import ToolError

ASK = {"args": ["version"], "answer": r"v(\S+)"}
GO = shutil.which("go") or "go"


def script(text: str = "v1.2.3") -> bytes:
    return f"#!/bin/sh\necho demo {text}\n".encode()


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def tar_gz(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, body in members.items():
            entry = tarfile.TarInfo(f"./release/{name}")
            entry.size = len(body)
            tar.addfile(entry, io.BytesIO(body))
    return packed.getvalue()


class Publisher:
    """A release server on loopback: what it holds, and what it was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        publisher = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                publisher.asked.append(f"{self.command} {self.path}")
                body = publisher.files.get(self.path)
                self.send_response(404 if body is None else 200)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body or b"")

            do_HEAD = do_GET  # noqa: N815 - the name is http.server's

            def log_message(self, *_args: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    made = Publisher()
    serving = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    serving.join()


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory as the whole PATH, so that only the way under test is open."""
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def go(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{path}{os.pathsep}{Path(GO).parent}{os.pathsep}/usr/bin{os.pathsep}/bin")


@pytest.fixture
def lock(tmp_path: Path) -> Callable[..., Path]:
    """Writes a lock file; a value of a tool is any part of its entry."""

    def write(**entries: dict[str, Any]) -> Path:
        file = tmp_path / "lock" / "tools.toml"
        file.parent.mkdir(exist_ok=True)
        lines = []
        for name, entry in entries.items():
            lines.append(f'["{name}"]')
            lines += [f"{key} = {toml(value)}" for key, value in {"version": "1.2.3", **entry}.items()]
        file.write_text("\n".join(lines))
        return file

    return write


def toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{key}" = {toml(item)}' for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return json.dumps(value)


def module(lock_file: Path, main: str = 'println("demo v" + version)', name: str = "demo") -> dict[str, Any]:
    """A Go module without dependencies as a build folder; returns the lock's part for it."""
    folder = lock_file.parent / "build" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "go.mod").write_text("module sandbox/demo\n\ngo 1.21\n")
    (folder / "go.sum").write_text("")
    (folder / "main.go").write_text(f"package main\n\nvar version string\n\nfunc main() {{ {main} }}\n")
    step = {"folder": name, "module": "sandbox/demo@v1.2.3", "package": ".", "output": "demo"}
    return {"build": [{**step, "ldflags": "-X main.version={version}"}]}


@pytest.fixture
def built(tmp_path: Path, lock: Callable[..., Path]) -> Callable[..., Path]:
    """A lock whose one tool is built from a Go module."""

    def write(**more: Any) -> Path:
        return lock(demo={**module(tmp_path / "lock" / "tools.toml"), **more})

    return write


@pytest.fixture(scope="session")
def go_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One Go build cache for all tests, filled with the standard library once."""
    return tmp_path_factory.mktemp("go-cache")


@pytest.fixture
def cache(tmp_path: Path, go_cache: Path) -> Path:
    root = tmp_path / "cache"
    root.mkdir()
    (root / "go").symlink_to(go_cache)
    return root


def _write(stage: Path) -> None:
    (stage / "demo").write_bytes(script())


def left(cache: Path) -> list[str]:
    """The tools and the leftovers in a cache."""
    return [file.name for part in ("tools", "tmp") for file in sorted((cache / part).glob("*"))]


def release(publisher: Publisher, body: bytes, checksums: str = "sums", **more: str) -> dict[str, str]:
    publisher.files["/1.2.3/demo"] = body
    return {"url": publisher.url + "/{version}/{file}", "checksums": f"{publisher.url}/{checksums}", **more}


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
        _write(stage)
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


# --- on PATH -----------------------------------------------------------------------------------------


def test_a_tool_on_path_in_the_pinned_version_is_taken_with_all_its_files(
    path: Path, lock: Callable[..., Path], cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("demo", "demo-exec"):
        (path / name).write_bytes(script())
        (path / name).chmod(0o755)
    box = tools.install(lock=lock(demo={"ask": ASK, "files": ["demo", "demo-exec"]}), cache=cache)
    shutil.rmtree(path)
    assert subprocess.check_output([box.bin / "demo"]) == b"demo v1.2.3\n"
    assert (box.bin / "demo-exec").is_file()
    assert re.match(r"demo 1\.2\.3  from PATH  \d+ s\ntools: 1 ready\n$", capsys.readouterr().out)


def test_a_tool_on_path_in_another_version_is_left_alone(path: Path, lock: Callable[..., Path], cache: Path) -> None:
    (path / "demo").write_bytes(script("v1.2.30"))
    (path / "demo").chmod(0o755)
    with pytest.raises(ToolError, match=re.escape(f"on PATH: {path}/demo is 1.2.30")):
        tools.install(lock=lock(demo={"ask": ASK}), cache=cache)
    assert left(cache) == []


@pytest.mark.usefixtures("path")
def test_another_system_is_told_plainly_that_there_is_no_release_for_it(
    lock: Callable[..., Path], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Plan9")
    with pytest.raises(ToolError, match="only for Linux on amd64 or arm64, this is Plan9"):
        tools.install(lock=lock(demo={"ask": ASK, "download": {"url": "http://127.0.0.1:1/"}}), cache=cache)


# --- download ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("line", ["{digest}\n", "{digest}  demo\n", "0  other\n{digest} *./demo\n"])
def test_a_plain_binary_is_downloaded_and_held_against_the_published_checksum(
    publisher: Publisher, lock: Callable[..., Path], cache: Path, line: str
) -> None:
    publisher.files["/sums"] = line.format(digest=sha256(script())).encode()
    box = tools.install(lock=lock(demo={"ask": ASK, "download": release(publisher, script())}), cache=cache)
    assert subprocess.check_output([box.binary("demo")]) == b"demo v1.2.3\n"


@pytest.mark.usefixtures("path")
def test_an_archive_is_fetched_once_for_all_its_files_and_its_host_is_asked_once(
    publisher: Publisher, lock: Callable[..., Path], cache: Path
) -> None:
    archive = tar_gz(demo=script(), tail=b"more", unwanted=b"x")
    publisher.files |= {
        "/demo-x64.tar.gz": archive,
        "/sums": f"{sha256(archive)}  demo-x64.tar.gz".encode(),
    }
    source = {
        "url": publisher.url + "/demo-{arch}.tar.gz",
        "checksums": publisher.url + "/sums",
        "member": "release/{file}",
        "arch": {"amd64": "x64", "arm64": "x64"},
    }
    files = ["demo", "tail"]
    box = tools.install(lock=lock(demo={"ask": ASK, "files": files, "download": source}), cache=cache)
    assert sorted(file.name for file in box.homes["demo"].iterdir()) == files
    assert box.binary("tail").read_bytes() == b"more"
    assert publisher.asked == ["HEAD /", "GET /demo-x64.tar.gz", "GET /sums"]


@pytest.mark.usefixtures("path")
def test_a_wrong_checksum_is_refused_and_leaves_nothing_in_the_cache(
    publisher: Publisher, lock: Callable[..., Path], cache: Path, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    publisher.files["/sums"] = f"{sha256(b'other')}  demo\n".encode()
    source = release(publisher, f"#!/bin/sh\ntouch {ran}\n".encode())
    with pytest.raises(ToolError, match=f"its publisher says {sha256(b'other')}"):
        tools.install(lock=lock(demo={"ask": ASK, "download": source}), cache=cache)
    assert left(cache) == []
    assert not ran.exists()


@pytest.mark.usefixtures("path")
def test_a_checksum_list_without_the_file_is_refused(
    publisher: Publisher, lock: Callable[..., Path], cache: Path
) -> None:
    publisher.files["/sums"] = f"{sha256(script())}  demo2\n".encode()
    with pytest.raises(ToolError, match="/sums has no line for demo"):
        tools.install(lock=lock(demo={"download": release(publisher, script())}), cache=cache)
    assert left(cache) == []


@pytest.mark.usefixtures("path")
def test_a_download_without_any_checksum_is_refused(
    publisher: Publisher, lock: Callable[..., Path], cache: Path
) -> None:
    source = {"url": release(publisher, script())["url"]}
    with pytest.raises(ToolError, match="there is no checksum for demo"):
        tools.install(lock=lock(demo={"download": source}), cache=cache)


@pytest.mark.usefixtures("path")
def test_a_file_with_a_pinned_digest_is_held_against_it(
    publisher: Publisher, lock: Callable[..., Path], cache: Path
) -> None:
    source = {"url": release(publisher, b"kind: Demo")["url"]}
    with pytest.raises(ToolError, match=r"demo has sha256 .* pinned is"):
        tools.install(lock=lock(demo={"download": source, "sha256": {"demo": sha256(b"")}}), cache=cache)
    pins = {"demo": sha256(b"kind: Demo")}
    box = tools.install(lock=lock(demo={"download": source, "sha256": pins}), cache=cache)
    assert box.binary("demo").read_bytes() == b"kind: Demo"


@pytest.mark.usefixtures("path")
def test_a_binary_that_calls_itself_another_version_is_refused(
    publisher: Publisher, lock: Callable[..., Path], cache: Path
) -> None:
    publisher.files["/sums"] = sha256(script("v1.2.2")).encode()
    with pytest.raises(ToolError, match=r"download: demo calls itself 1\.2\.2"):
        tools.install(lock=lock(demo={"ask": ASK, "download": release(publisher, script("v1.2.2"))}), cache=cache)


@pytest.mark.usefixtures("go")
def test_a_release_that_is_not_there_falls_to_the_build(
    publisher: Publisher, built: Callable[..., Path], cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = {"url": publisher.url + "/gone", "checksums": publisher.url + "/sums"}
    tools.install(lock=built(ask=ASK, download=source), cache=cache, keep_go_cache=True)
    assert "GET /gone" in publisher.asked
    assert "demo 1.2.3  built  " in capsys.readouterr().out


@pytest.mark.usefixtures("path")
def test_an_unreachable_host_is_asked_once_for_all_tools_and_named(
    lock: Callable[..., Path], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def unreachable(origin: str) -> str:
        asked.append(origin)
        return real(origin)

    real = sources._unreachable
    monkeypatch.setattr(sources, "_unreachable", unreachable)
    source = {"url": "http://127.0.0.1:1/{file}", "checksums": "http://127.0.0.1:1/sums"}
    with pytest.raises(ToolError, match=r"127\.0\.0\.1:1 cannot be reached \(.*refused\)"):
        tools.install(lock=lock(one={"download": source}, two={"download": source}), cache=cache)
    assert asked == ["http://127.0.0.1:1/"]


def test_a_host_that_is_silent_is_given_up_in_a_short_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "REACH", 0.2)
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as silent:
        assert sources._unreachable(f"http://127.0.0.1:{silent.server_port}/") != ""


# --- build -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("go")
def test_a_module_is_built_with_its_version_and_the_checkout_stays_clean(
    built: Callable[..., Path], cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock_file = built(ask=ASK)
    before = sorted(lock_file.parent.rglob("*"))
    box = tools.install(lock=lock_file, cache=cache, keep_go_cache=True)
    done = subprocess.run([box.bin / "demo"], capture_output=True, text=True, check=True)
    assert done.stderr == "demo v1.2.3\n"
    assert sorted(lock_file.parent.rglob("*")) == before
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "demo 1.2.3  building"
    assert re.fullmatch(r"demo 1\.2\.3  built  \d+ s", lines[1])


@pytest.mark.usefixtures("go")
def test_a_module_is_built_with_its_tags(tmp_path: Path, lock: Callable[..., Path], cache: Path) -> None:
    part = module(tmp_path / "lock" / "tools.toml", main="println(size)")
    folder = tmp_path / "lock" / "build" / "demo"
    for size, condition in (("small", "agent && lean"), ("big", "!agent || !lean")):
        (folder / f"{size}.go").write_text(f'//go:build {condition}\n\npackage main\n\nconst size = "{size}"\n')
    part["build"][0]["tags"] = "agent,lean"
    box = tools.install(lock=lock(demo=part), cache=cache, keep_go_cache=True)
    assert subprocess.run([box.binary("demo")], capture_output=True, text=True, check=True).stderr == "small\n"


@pytest.mark.usefixtures("go")
def test_a_generator_runs_before_the_build_with_the_needed_tools_on_path(
    tmp_path: Path, path: Path, lock: Callable[..., Path], cache: Path
) -> None:
    (path / "helper").write_bytes(script())
    (path / "helper").chmod(0o755)
    part = module(tmp_path / "lock" / "tools.toml")
    folder = tmp_path / "lock" / "build" / "demo"
    (folder / "main.go").write_text(
        'package main\n\nimport _ "embed"\n\n//go:embed made.txt\nvar made string\n\nfunc main() { print(made) }\n'
    )
    (folder / "gen").mkdir()
    (folder / "gen" / "main.go").write_text(
        'package main\n\nimport ("os"; "os/exec")\n\nfunc main() {\n'
        '\tout, err := exec.Command("helper").Output()\n\tif err != nil { panic(err) }\n'
        "\tos.WriteFile(os.Args[1], out, 0o644)\n}\n"
    )
    part["build"][0]["generate"] = ["./gen", "made.txt"]
    box = tools.install(
        ["demo"],
        lock=lock(helper={"ask": ASK}, demo={**part, "needs": ["helper"]}),
        cache=cache,
        keep_go_cache=True,
    )
    done = subprocess.run([box.binary("demo")], capture_output=True, text=True, check=True)
    assert done.stderr == "demo v1.2.3\n"


@pytest.mark.usefixtures("go")
def test_a_failed_build_names_the_tool_the_ways_and_the_last_lines(
    tmp_path: Path, lock: Callable[..., Path], cache: Path
) -> None:
    part = module(tmp_path / "lock" / "tools.toml", main="no such thing")
    with pytest.raises(ToolError) as caught:
        tools.install(lock=lock(demo={"ask": ASK, **part}), cache=cache)
    text = str(caught.value)
    assert text.startswith("demo 1.2.3 could not be obtained\n  on PATH: not there\n  download: no release")
    assert "build: `go build -ldflags" in text
    assert "main.go:5:18: syntax error" in text
    assert left(cache) == []
    assert (cache / "go").exists()


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
        patch.setattr(tools, "WAYS", (("build", "built", lambda _t, stage, _r: _write(stage)),))
        tools.install(lock=lock_file, cache=cache, keep_go_cache=True)
        assert (cache / "go" / "mod" / "kept").exists()
        shutil.rmtree(cache / "tools")
        tools.install(lock=lock_file, cache=cache)
    assert not (cache / "go").exists()


def test_a_long_command_gives_signs_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sources, "HEARTBEAT", 0.05)
    command = ["/bin/sh", "-c", "sleep 0.2; echo done"]
    said = sources._command(command, "demo  building", tmp_path, os.environ, time.monotonic() - 60)
    assert said == "done\n"
    assert "demo  building, 60 s so far" in capsys.readouterr().out


def test_only_the_last_twenty_lines_of_a_failure_are_shown(tmp_path: Path) -> None:
    failing = "i=0; while [ $i -lt 50 ]; do i=$((i+1)); echo line $i; done; exit 3"
    with pytest.raises(sources.WayError, match="ended with 3") as caught:
        sources._command(["/bin/sh", "-c", failing], "demo", tmp_path, os.environ, 0)
    shown = [line for line in str(caught.value).splitlines() if line.startswith("    line")]
    assert shown == [f"    line {number}" for number in range(31, 51)]


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
    assert LOCKED["conftest"].optional


def test_what_is_not_in_the_cache_is_missing(lock: Callable[..., Path], cache: Path) -> None:
    file = lock(demo={}, other={})
    for name in ("demo", "other"):
        assert tools.missing([name], lock=file, cache=cache) == [name]
    home = cache / "tools" / f"demo-{tools.load(file)['demo'].version}-{tools.key(tools.load(file)['demo'], file)}"
    home.mkdir(parents=True)
    assert tools.missing(["demo", "other"], lock=file, cache=cache) == ["demo", "other"]
    (home / "demo").touch()
    assert tools.missing(["demo", "other"], lock=file, cache=cache) == ["other"]


# --- the lock file of the project --------------------------------------------------------------------

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
