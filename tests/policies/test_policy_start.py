"""The pack as a process, started as the engine starts it."""

import os
import subprocess
import sys

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto.analyzer_pb2_grpc import AnalyzerStub

from policies.pack import RULES
from tests.policies.support import POLICIES


@pytest.mark.parametrize(
    "arguments",
    [
        [str(POLICIES), "127.0.0.1:1"],  # the language host's RunPlugin
        ["-m", "pulumi.policy", "127.0.0.1:1", str(POLICIES)],  # the executable pulumi-analyzer-policy-python
    ],
)
def test_the_pack_starts_as_the_engine_starts_it_and_prints_its_port_only(arguments: list[str]) -> None:
    command = [sys.executable, *arguments]
    environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    pack = subprocess.Popen(
        command, cwd="/", env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert pack.stdout
        port = int(pack.stdout.readline())
        with grpc.insecure_channel(f"127.0.0.1:{port}") as open_channel:
            info = AnalyzerStub(open_channel).GetAnalyzerInfo(Empty(), timeout=30)
        assert {each.name for each in info.policies} == {rule.name for rule in RULES}
    finally:
        pack.terminate()
        rest, errors = pack.communicate(timeout=30)
    assert (rest, errors) == ("", "")
