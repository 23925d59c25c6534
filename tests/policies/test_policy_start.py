"""The pack as a process, started as the engine starts it."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto.analyzer_pb2_grpc import AnalyzerStub

from policies.pack import RULES
from policies.server import LOOK_SECONDS
from tests.policies.support import POLICIES

Start = Callable[[list[str]], "subprocess.Popen[str]"]

WAYS = (
    [str(POLICIES), "ENGINE"],  # the language host's RunPlugin
    ["-m", "pulumi.policy", "ENGINE", str(POLICIES)],  # the executable pulumi-analyzer-policy-python
)


@pytest.fixture
def engine() -> Iterator[socket.socket]:
    """What answers at the address that a plugin is given."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def start(engine: socket.socket) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def run(arguments: list[str]) -> "subprocess.Popen[str]":
        address = f"127.0.0.1:{engine.getsockname()[1]}"
        command = [sys.executable, *(address if each == "ENGINE" else each for each in arguments)]
        environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, cwd="/", env=environment, stdout=pipe, stderr=pipe, text=True))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def port_of(pack: "subprocess.Popen[str]") -> int:
    assert pack.stdout
    return int(pack.stdout.readline())


@pytest.mark.parametrize("arguments", WAYS)
def test_the_pack_starts_as_the_engine_starts_it_and_prints_its_port_only(arguments: list[str], start: Start) -> None:
    pack = start(arguments)
    with grpc.insecure_channel(f"127.0.0.1:{port_of(pack)}") as open_channel:
        info = AnalyzerStub(open_channel).GetAnalyzerInfo(Empty(), timeout=30)
    assert {each.name for each in info.policies} == {rule.name for rule in RULES}
    pack.terminate()
    assert pack.communicate(timeout=30) == ("", "")


@pytest.mark.parametrize("arguments", WAYS)
def test_the_pack_stays_with_its_engine_and_ends_after_it(
    arguments: list[str], start: Start, engine: socket.socket
) -> None:
    pack = start(arguments)
    port_of(pack)
    for _ in range(2):  # it looks for the engine, and finds it
        engine.accept()[0].close()
    assert pack.poll() is None
    engine.close()  # as the kernel does with one that is killed
    assert pack.communicate(timeout=LOOK_SECONDS + 30) == ("", "")
    assert pack.returncode == 0
