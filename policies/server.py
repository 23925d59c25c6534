# ruff: noqa: N802 - the method names are the protocol's
"""The pack as a server of Pulumi's public Analyzer protocol.

It decodes each resource once for all rules, and those that no rule reads not at all; `pulumi_policy` decodes once
per policy. The engine calls ConfigureStack before GetAnalyzerInfo, so levels are known by then; `pulumi policy
analyze` does not call it, and there the first URN names the stack. An error from any call stops the update,
except UNIMPLEMENTED, which the engine takes for an older pack: no call here returns it.
Source of the engine's side: pulumi v3.259.0 sdk/go/common/resource/plugin/analyzer_plugin.go.
"""

from __future__ import annotations

import os
import socket
import sys
from concurrent import futures
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final, NoReturn

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import analyzer_pb2 as wire
from pulumi.runtime.proto import analyzer_pb2_grpc, plugin_pb2

from policies import configuration, wire_view
from policies.judge import Diagnostic, Judge, RuleError
from policies.pack import RULES
from policies.view import Stack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from policies.rule import Level, Rule

NAME: Final = "ml-platform"
VERSION: Final = "0.1.0"
MESSAGE_BYTES: Final = 400 * 1024 * 1024
"""The largest request, as in Pulumi's own SDKs (pulumi/runtime/_grpc_settings.py)."""
LOOK_SECONDS: Final = 5.0
"""How often the pack looks for its engine. Pulumi's own plugins do every five minutes (rpcutil.Healthcheck)."""
_LEVELS: Final[dict[Level, wire.EnforcementLevel.ValueType]] = {
    "advisory": wire.ADVISORY,
    "mandatory": wire.MANDATORY,
    "disabled": wire.DISABLED,
}


def _today() -> date:
    return datetime.now(UTC).date()


class Analyzer(analyzer_pb2_grpc.AnalyzerServicer):
    """One pack in one run of the engine; strict with default settings until a stack is named."""

    def __init__(self, folder: Path, rules: tuple[Rule, ...] = RULES, today: Callable[[], date] = _today) -> None:
        self._folder, self._rules, self._today = folder, rules, today
        self._configuration = configuration.Configuration()
        self._configured = False
        self._preview = False
        self._declared: set[str] = set()
        self._wanted = frozenset(kind for rule in rules for kind in rule.kinds)

    def Handshake(
        self, request: wire.AnalyzerHandshakeRequest, context: grpc.ServicerContext
    ) -> wire.AnalyzerHandshakeResponse:
        """Nothing to agree on."""
        del request, context
        return wire.AnalyzerHandshakeResponse()

    def ConfigureStack(
        self, request: wire.AnalyzerStackConfigureRequest, context: grpc.ServicerContext
    ) -> wire.AnalyzerStackConfigureResponse:
        """Read the stack's file; a mistake in it stops the update."""
        self._configure(request.stack, context)
        self._preview = request.dry_run
        return wire.AnalyzerStackConfigureResponse()

    def Configure(self, request: wire.ConfigureAnalyzerRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Refuse `--policy-pack-config`: two places for one choice, and a typo in it would pass."""
        if request.policyConfig:
            message = "--policy-pack-config is not read: write policies/config/<stack>.json instead"
            _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, message)
        return empty_pb2.Empty()

    def GetAnalyzerInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> wire.AnalyzerInfo:
        """The pack and its rules, with the levels that the stack chose."""
        del request, context
        return wire.AnalyzerInfo(
            name=NAME, displayName="ML platform", version=VERSION, supportsConfig=False,
            policies=[self._info(rule) for rule in self._rules],
        )  # fmt: skip

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        """The version of the pack."""
        del request, context
        return plugin_pb2.PluginInfo(version=VERSION)

    def Analyze(self, request: wire.AnalyzeRequest, context: grpc.ServicerContext) -> wire.AnalyzeResponse:
        """Judge one resource before it is created or changed."""
        self._declared.add(request.urn)
        judge = self._judge(request.urn, context)
        found: list[Diagnostic] = []
        try:
            for resource in wire_view.resources(request, self._wanted):
                found += judge.resource(resource)
            if wire_view.kind_is_unreadable(request):
                found += judge.unreadable_kind(wire_view.whole(request))
        except RuleError as crash:
            _refuse(context, grpc.StatusCode.INTERNAL, str(crash))
        return wire.AnalyzeResponse(diagnostics=[_diagnostic(each) for each in found])

    def AnalyzeStack(self, request: wire.AnalyzeStackRequest, context: grpc.ServicerContext) -> wire.AnalyzeResponse:
        """Judge all resources together, at the end of a preview or an update.

        With a refresh the engine also sends what the program has no more: `RefreshStep` leaves its state in
        `deployment.news`, and nothing takes it out (pkg/resource/deploy/step_executor.go and step_generator.go,
        `AnalyzeResources`). A quota that is about to go would still count. What the program declares, the engine has
        asked about before, each by itself.
        """
        found: list[Diagnostic] = []
        urn = request.resources[0].urn if request.resources else ""
        staying = [each for each in request.resources if each.urn in self._declared or not self._declared]
        try:
            resources = [each for one in staying for each in wire_view.resources(one, self._wanted)]
            stack = Stack(tuple(resources), wire_view.order(staying))
            found = self._judge(urn, context).stack(stack)
        except RuleError as crash:
            _refuse(context, grpc.StatusCode.INTERNAL, str(crash))
        return wire.AnalyzeResponse(diagnostics=[_diagnostic(each) for each in found])

    def Remediate(self, request: wire.AnalyzeRequest, context: grpc.ServicerContext) -> wire.RemediateResponse:
        """Change nothing, ever: the program is repaired, not its result."""
        del request, context
        return wire.RemediateResponse()

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Nothing to stop: every call is short."""
        del request, context
        return empty_pb2.Empty()

    def _configure(self, stack: str, context: grpc.ServicerContext) -> None:
        try:
            self._configuration = configuration.load(self._folder, stack, self._rules)
        except configuration.ConfigurationError as error:
            _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
        self._configured = True

    def _judge(self, urn: str, context: grpc.ServicerContext) -> Judge:
        if not self._configured and urn:
            self._configure(urn.split(":")[2], context)  # urn:pulumi:<stack>::<project>::...
        return Judge(self._rules, self._configuration, self._preview, self._today())

    def _info(self, rule: Rule) -> wire.PolicyInfo:
        scope = wire.POLICY_TYPE_STACK if rule.scope == "stack" else wire.POLICY_TYPE_RESOURCE
        level = _LEVELS[self._configuration.level(rule)]
        return wire.PolicyInfo(name=rule.name, description=rule.description, enforcementLevel=level, policy_type=scope)


def _diagnostic(found: Diagnostic) -> wire.AnalyzeDiagnostic:
    return wire.AnalyzeDiagnostic(
        policyName=found.rule.name,
        policyPackName=NAME,
        policyPackVersion=VERSION,
        description=found.rule.description,
        message=found.message,
        enforcementLevel=_LEVELS[found.level],
        urn=found.urn,
    )


def _refuse(context: grpc.ServicerContext, code: grpc.StatusCode, message: str) -> NoReturn:
    context.abort(code, message)
    raise AssertionError("abort raises")


def start(analyzer: Analyzer) -> tuple[grpc.Server, int]:
    """Serve on a free local port. The engine calls Analyze in parallel, and the rules are pure."""
    options = [(f"grpc.max_{way}_message_length", MESSAGE_BYTES) for way in ("receive", "send")]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 1), options=options)
    analyzer_pb2_grpc.add_AnalyzerServicer_to_server(analyzer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


def serve(folder: Path, engine: str) -> None:
    """Serve until the engine ends this process, or is gone: one that was killed ends nobody.

    The only line on stdout is the port.

    Args:
        folder: of the configuration.
        engine: the address, HOST:PORT, at which the engine that started this process answers its plugins.
    """
    server, port = start(Analyzer(folder))
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    while server.wait_for_termination(LOOK_SECONDS) and _answers(engine):
        pass
    server.stop(None)


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=LOOK_SECONDS).close()
    except ConnectionRefusedError:
        return False
    except OSError:
        pass  # such as a busy machine: no reason to leave an update without its pack
    return True
