"""The ways to a tool: a script on PATH, a publisher on loopback, a Go module of ten lines."""

import hashlib
import io
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

import pytest

from sandbox import sources, tools
from sandbox.tools import ToolError
from tests.support.tools import ASK, left, module, script


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


def release(publisher: Publisher, body: bytes, checksums: str = "sums", **more: str) -> dict[str, str]:
    publisher.files["/1.2.3/demo"] = body
    return {"url": publisher.url + "/{version}/{file}", "checksums": f"{publisher.url}/{checksums}", **more}


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
