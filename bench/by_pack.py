"""The pack itself: in this process, from the bytes that the engine would send, and as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn, cast

import grpc
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto.analyzer_pb2 import (
    AnalyzeRequest,
    AnalyzeResponse,
    AnalyzerResource,
    AnalyzerStackConfigureRequest,
    AnalyzeStackRequest,
)
from pulumi.runtime.proto.analyzer_pb2_grpc import AnalyzerStub

import policies
from bench.corpus import request
from bench.verdicts import Verdict
from policies.manifests import read
from policies.pack import RULES
from policies.rule import Finding, Rule, as_far_as_readable
from policies.server import Analyzer
from policies.wire_view import resources

FOLDER: Final = Path(policies.__file__).parent


class _Context:
    """A call that nobody waits for."""

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        """What the engine would stop the update for."""
        raise RuntimeError(f"{code.name}: {details}")


def pack(stack: str = "", rules: tuple[Rule, ...] = RULES) -> Analyzer:
    """The server of the pack, configured as the engine does it; without a stack, with the defaults."""
    server = Analyzer(FOLDER / "config", rules)
    server.ConfigureStack(AnalyzerStackConfigureRequest(stack=stack), cast("grpc.ServicerContext", _Context()))
    return server


def asking(server: Any, found: Sequence[AnalyzerResource], *, stack: bool = True) -> Callable[[], int]:
    """What an engine asks a pack in one update, as a function that returns the number of findings.

    Args:
        server: the servicer of a pack, ours or the SDK's.
        found: the resources of the update.
        stack: whether they are judged together too.
    """
    context = _Context()
    each_alone = [request(resource).SerializeToString() for resource in found]
    together = AnalyzeStackRequest(resources=found).SerializeToString()

    def ask() -> int:
        answers: list[AnalyzeResponse] = [
            server.Analyze(AnalyzeRequest.FromString(sent), context) for sent in each_alone
        ]
        if stack:
            answers.append(server.AnalyzeStack(AnalyzeStackRequest.FromString(together), context))
        return sum(len(answer.diagnostics) for answer in answers)

    return ask


def start() -> None:
    """Start the pack as the engine's language host does, ask what it holds, and end it."""
    command = [sys.executable, str(FOLDER), "127.0.0.1:1"]
    with subprocess.Popen(command, cwd="/", env=os.environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            port = int(process.stdout.readline()) if process.stdout else 0
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                AnalyzerStub(channel).GetAnalyzerInfo(Empty(), timeout=60)
        finally:
            process.kill()


def verdicts(files: Sequence[Path], rules: Sequence[Rule]) -> tuple[set[Verdict], set[tuple[str, str]]]:
    """What resource rules, with their default settings, find in files of one object each.

    Returns:
        The verdicts, and the pairs of file and rule where a rule could not read the object.
    """
    wanted = frozenset(kind for rule in rules for kind in rule.kinds)
    found: set[Verdict] = set()
    unread: set[tuple[str, str]] = set()
    for file in files:
        for resource in (each for asked in read([file]) for each in resources(asked, wanted)):
            for rule in rules:
                if rule.wants(resource.group, resource.kind):
                    for result in as_far_as_readable([rule.find(resource, rule.defaults)]):
                        if isinstance(result, Finding):
                            found.add(Verdict(file.name, rule.name, result.path))
                        else:
                            unread.add((file.name, rule.name))
    return found, unread
