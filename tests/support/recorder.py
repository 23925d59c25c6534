"""Runs the whole program of a stack on a recorder: every raw registration, options included, without an engine."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import pulumi
import pulumi.runtime
from pulumi.runtime import mocks, rpc
from pulumi.runtime import stack as runtime_stack
from pulumi.runtime.proto.analyzer_pb2 import AnalyzerResource, AnalyzerResourceOptions

from components.kube.connection import Connection
from components.outputs import PlatformOutputs
from components.platform import Platform
from components.settings import Settings
from components.target import Target
from tests.policies.support import struct


@dataclass
class Registration:
    """One resource as the program registered it."""

    urn: str
    type: str
    name: str
    parent: str
    custom: bool
    provider: str
    dependencies: list[str]
    property_dependencies: dict[str, list[str]]
    protect: bool
    timeouts: dict[str, float]
    aliases: list[str]
    inputs: dict[str, Any]
    outputs_registered: bool = False

    @property
    def is_kubernetes(self) -> bool:
        """Whether it is a Kubernetes object."""
        return self.type.startswith("kubernetes:")


@dataclass
class Recording:
    """All that one run of the program registered, by URN, and what it exported."""

    resources: dict[str, Registration] = field(default_factory=dict)
    exports: dict[str, Any] = field(default_factory=dict)

    def of_type(self, kind: str) -> list[Registration]:
        """Registrations whose type ends with `:kind`."""
        return [resource for resource in self.resources.values() if resource.type.endswith(f":{kind}")]

    @property
    def kubernetes(self) -> list[Registration]:
        """Every Kubernetes object."""
        return [resource for resource in self.resources.values() if resource.is_kubernetes]


def _seconds(timeouts: Any) -> dict[str, float]:
    """The bounds of the program in seconds, by operation; `Component.child_options` writes them as `600s`."""
    said = {field.name: value for field, value in timeouts.ListFields()}
    return {operation: float(bound.removesuffix("s")) for operation, bound in said.items()}


class _Mocks(mocks.Mocks):
    def __init__(self, stack_outputs: Mapping[str, Any]) -> None:
        self._stack_outputs = stack_outputs

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        if args.typ == "pulumi:pulumi:StackReference":
            return args.name, {**args.inputs, "outputs": dict(self._stack_outputs)}
        if args.typ == "random:index/randomPassword:RandomPassword":
            return args.name, {**args.inputs, "result": "recorded-" + "x" * 39}
        return f"{args.name}-id", dict(args.inputs)

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"the program calls {args.token}, which this recorder does not know")


class _Monitor(mocks.MockMonitor):
    def __init__(self, recording: Recording, stack_outputs: Mapping[str, Any]) -> None:
        super().__init__(_Mocks(stack_outputs))
        self._recording = recording

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 the name is the protocol's
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type != "pulumi:pulumi:Stack":
            if response.urn in self._recording.resources:
                raise AssertionError(f"two resources have the URN {response.urn}")
            self._recording.resources[response.urn] = Registration(
                urn=response.urn,
                type=request.type,
                name=request.name,
                parent=request.parent,
                custom=request.custom,
                provider=request.provider,
                dependencies=list(request.dependencies),
                property_dependencies={
                    key: list(depends.urns) for key, depends in request.propertyDependencies.items()
                },
                protect=request.protect,
                timeouts=_seconds(request.customTimeouts),
                aliases=list(request.aliasURNs),
                inputs=dict(rpc.deserialize_properties(request.object)),
            )
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 the name is the protocol's
        if registration := self._recording.resources.get(request.urn):
            registration.outputs_registered = True
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]


def record(
    settings: Settings,
    *,
    stack: str = "dev",
    live: Mapping[str, Any] | None = None,
    crds: str | None = None,
    preview: bool = False,
) -> Recording:
    """Run the program once.

    Args:
        settings: of the stack.
        stack: its name.
        live: the RayCluster that the cluster already has.
        crds: what the CRD stack publishes; the release that the settings want by default.
        preview: whether the run is a preview.
    """
    recording = Recording()
    target = Target(
        Connection("recorded"),
        f"organization/ml-platform-crds/{stack}",
        live,
        frozenset(),
        {"views.py": "views = []"},
        [("192.0.2.1", 6443)],
    )
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        pulumi.runtime.settings.reset_options(project="ml-platform", stack=stack, organization="organization")
        mocks.set_mocks(
            _Mocks({}),
            project="ml-platform",
            stack=stack,
            preview=preview,
            organization="organization",
            monitor=_Monitor(recording, {"kuberay": crds or settings.ray.kuberay_version}),
        )
        # A recorder has no engine that could call a hook back.
        with patch("components.platform.pods_hook", return_value=None):
            loop.run_until_complete(runtime_stack.run_pulumi_func(lambda: _run(settings, target, recording)))
    finally:
        loop.close()
        asyncio.set_event_loop(None)
    return recording


def sent(recording: Recording) -> list[AnalyzerResource]:
    """What a run registered, as the engine sends it to a policy pack."""
    return [
        AnalyzerResource(
            urn=each.urn,
            type=each.type,
            name=each.name,
            properties=struct(each.inputs),
            dependencies=each.dependencies,
            options=AnalyzerResourceOptions(
                protect=each.protect,
                parent=each.parent,
                customTimeouts=AnalyzerResourceOptions.CustomTimeouts(**each.timeouts),
            ),
        )
        for each in recording.resources.values()
    ]


def _run(settings: Settings, target: Target, recording: Recording) -> None:
    PlatformOutputs.publish(Platform(settings, target).outputs)
    root = pulumi.runtime.settings.get_root_resource()
    if not isinstance(root, runtime_stack.Stack):
        raise TypeError("the program ran without a stack")
    pulumi.Output.all(**root.outputs).apply(recording.exports.update)
