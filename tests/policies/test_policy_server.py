"""The pack over a real gRPC channel, with the messages that the engine sends."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import analyzer_pb2 as wire
from pulumi.runtime.proto.analyzer_pb2_grpc import AnalyzerStub

from policies.decode import UNKNOWN, Secret
from policies.pack import RULES
from policies.rule import Finding, Results, Rule, RuleSettings
from policies.server import Analyzer, start
from policies.view import Resource, Stack
from tests.policies.support import TODAY, Manifest, request, rule_named, stack_request

EXAMPLES = (rule_named("quota-covers-demand"), rule_named("gpu-runs-image-cuda"))
"""One rule of each scope: what the others find is no matter of the server."""
K80 = {"nvidia.com/gpu.product": "Tesla-K80"}
EXCEPTION = {
    "rule": "gpu-runs-image-cuda",
    "resource": "Pod/ns/notebook",
    "reason": "the image is rebuilt this week",
    "owner": "ml-team",
    "expires": "2026-12-31",
}


@contextmanager
def channel(folder: Path, rules: tuple[Rule, ...] = EXAMPLES, today: date = TODAY) -> Iterator[AnalyzerStub]:
    server, port = start(Analyzer(folder, rules, lambda: today))
    options = [("grpc.max_send_message_length", -1)]
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}", options) as open_channel:
            yield AnalyzerStub(open_channel)
    finally:
        server.stop(None)


def notebook(image: object = "rayproject/ray:2.52.0-gpu", **changed: Any) -> Manifest:
    container = {"name": "notebook", "image": image, "resources": {"limits": {"nvidia.com/gpu": 1}}}
    spec = {"nodeSelector": K80, "containers": [container]}
    metadata = {"name": "notebook", "namespace": "ns"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec} | changed


def configured(stub: AnalyzerStub, stack: str = "test", *, preview: bool = False) -> AnalyzerStub:
    stub.ConfigureStack(wire.AnalyzerStackConfigureRequest(stack=stack, dry_run=preview))
    return stub


def write(folder: Path, **content: object) -> Path:
    (folder / "test.json").write_text(json.dumps(content))
    return folder


def analyze(stub: AnalyzerStub, manifest: Manifest) -> list[wire.AnalyzeDiagnostic]:
    return list(stub.Analyze(request(manifest)).diagnostics)


def analyze_stack(stub: AnalyzerStub, *manifests: Manifest) -> list[wire.AnalyzeDiagnostic]:
    found = stack_request(list(manifests))
    return list(stub.AnalyzeStack(wire.AnalyzeStackRequest(resources=found)).diagnostics)


def test_the_pack_lists_its_rules_with_the_levels_that_the_stack_chose(tmp_path: Path) -> None:
    write(tmp_path, rules={"gpu-runs-image-cuda": {"level": "advisory"}})
    with channel(tmp_path, RULES) as stub:
        strict = {each.name: each.enforcementLevel for each in stub.GetAnalyzerInfo(Empty()).policies}
        info = configured(stub).GetAnalyzerInfo(Empty())
    chosen = {each.name: each.enforcementLevel for each in info.policies}
    assert set(strict.values()) == {wire.MANDATORY}
    assert chosen == strict | {"gpu-runs-image-cuda": wire.ADVISORY}
    assert not info.supportsConfig
    assert {each.policy_type for each in info.policies} == {
        wire.POLICY_TYPE_RESOURCE,
        wire.POLICY_TYPE_STACK,
    }


def test_the_calls_that_have_nothing_to_say_answer_all_the_same(tmp_path: Path) -> None:
    with channel(tmp_path) as stub:
        stub.Handshake(wire.AnalyzerHandshakeRequest(engine_address="127.0.0.1:1"))
        stub.Cancel(Empty())
        assert stub.GetPluginInfo(Empty()).version
        assert not stub.Remediate(request(notebook())).remediations
        stub.Configure(wire.ConfigureAnalyzerRequest())


def test_the_engines_own_configuration_is_refused_with_the_place_to_use(tmp_path: Path) -> None:
    chosen = wire.ConfigureAnalyzerRequest(policyConfig={"any": wire.PolicyConfig()})
    with channel(tmp_path) as stub, pytest.raises(grpc.RpcError) as refused:
        stub.Configure(chosen)
    assert "write policies/config/<stack>.json" in str(refused.value.details())


def test_a_mistake_in_the_file_stops_the_update(tmp_path: Path) -> None:
    write(tmp_path, rules={"gpu-runs-image-cud": {}})
    with channel(tmp_path) as stub, pytest.raises(grpc.RpcError) as refused:
        configured(stub)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "did you mean 'gpu-runs-image-cuda'?" in str(refused.value.details())


def test_a_violation_carries_rule_level_urn_and_message(tmp_path: Path) -> None:
    with channel(tmp_path) as stub:
        (found,) = analyze(stub, notebook())
    assert (found.policyName, found.enforcementLevel) == ("gpu-runs-image-cuda", wire.MANDATORY)
    assert found.urn == request(notebook()).urn
    assert "CUDA 12.1, which Tesla-K80 cannot run" in found.message


def test_an_advisory_rule_warns_and_a_disabled_one_is_silent(tmp_path: Path) -> None:
    for level, expected in (("advisory", [wire.ADVISORY]), ("disabled", [])):
        write(tmp_path, rules={"gpu-runs-image-cuda": {"level": level}})
        with channel(tmp_path) as stub:
            found = analyze(configured(stub), notebook())
        assert [each.enforcementLevel for each in found] == expected


def test_a_stack_that_the_engine_does_not_name_is_read_from_the_urn(tmp_path: Path) -> None:
    (tmp_path / "dev.json").write_text('{"rules": {"gpu-runs-image-cuda": {"level": "disabled"}}}')
    with channel(tmp_path) as stub:
        assert analyze(stub, notebook()) == []
    (tmp_path / "dev.json").write_text('{"rule": {}}')
    with channel(tmp_path) as stub, pytest.raises(grpc.RpcError, match="did you mean 'rules'"):
        analyze(stub, notebook())


def test_dispatch_is_on_the_body_and_not_on_the_type_token(tmp_path: Path) -> None:
    patch = request(notebook())
    patch.type = "kubernetes:core/v1:PodPatch"
    with channel(tmp_path) as stub:
        assert stub.Analyze(patch).diagnostics
        assert not analyze(stub, notebook(kind="Widget"))


def test_the_elements_of_a_list_are_judged_one_by_one(tmp_path: Path) -> None:
    typed = {key: value for key, value in notebook().items() if key not in ("apiVersion", "kind")}
    with channel(tmp_path) as stub:
        for kind, items in (("List", [notebook(), notebook()]), ("PodList", [typed, typed])):
            assert len(analyze(stub, {"apiVersion": "v1", "kind": kind, "items": items})) == 2


@pytest.mark.parametrize(
    ("strict", "preview", "level"),
    [
        (True, True, wire.ADVISORY),
        (True, False, wire.MANDATORY),
        (False, True, wire.ADVISORY),
        (False, False, wire.ADVISORY),
    ],
)
def test_an_undecided_rule_is_an_error_in_a_strict_update_only(
    tmp_path: Path, strict: bool, preview: bool, level: int
) -> None:
    write(tmp_path, strict=strict)
    with channel(tmp_path) as stub:
        (found,) = analyze(configured(stub, preview=preview), notebook(UNKNOWN))
    assert found.message.startswith("undecided: Pod/ns/notebook spec.containers[0].image")
    assert found.enforcementLevel == level


def test_an_object_whose_kind_is_not_known_is_not_passed_over(tmp_path: Path) -> None:
    with channel(tmp_path) as stub:
        (found,) = analyze(stub, notebook(kind=UNKNOWN))
    assert found.message.startswith("undecided: ?/ns/notebook kind")
    assert found.enforcementLevel == wire.MANDATORY


def test_a_secret_never_stands_in_a_message(tmp_path: Path) -> None:
    marker = "rayproject/marker-of-a-secret:2.52.0-cu121"
    with channel(tmp_path) as stub:
        (found,) = analyze(stub, notebook(Secret(marker)))
        (whole,) = analyze(stub, notebook(spec=Secret(notebook(marker)["spec"])))
    for each in (found, whole):
        assert "marker" not in each.message
        assert "CUDA 12.1" in each.message


def quoting(resource: Resource, _: RuleSettings) -> Results:
    """A careless rule: it quotes what it read."""
    quoted = resource.body.get("stringData", "token").text()
    yield Finding(resource, "stringData.token", f"found {quoted}", "nothing", "remove it")


def crashing(_: Resource | Stack, __: RuleSettings) -> Results:
    for value in ("marker-of-a-secret",):
        raise ValueError(f"the value is {value}")
    yield from ()


def rule(find: Callable[..., Results], scope: Any = "resource") -> Rule:
    return Rule("test-rule", scope, frozenset({("", "Secret")}), RuleSettings, find, "A rule.")


SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "s"},
    "stringData": {"token": "marker-of-a-secret"},
}


def test_even_a_careless_rule_does_not_leak_what_a_secret_holds(tmp_path: Path) -> None:
    with channel(tmp_path, (rule(quoting),)) as stub:
        (found,) = analyze(stub, SECRET)
    assert "found [secret]" in found.message


def test_what_stands_outside_of_secrets_too_may_be_quoted(tmp_path: Path) -> None:
    with channel(tmp_path, (rule(quoting),)) as stub:
        (found,) = analyze(stub, SECRET | {"metadata": {"name": "marker-of-a-secret"}})
    assert "found marker-of-a-secret" in found.message


@pytest.mark.parametrize("scope", ["resource", "stack"])
def test_a_rule_that_crashes_stops_the_update_without_quoting_a_value(tmp_path: Path, scope: str) -> None:
    call = analyze if scope == "resource" else analyze_stack
    with channel(tmp_path, (rule(crashing, scope),)) as stub, pytest.raises(grpc.RpcError) as failed:
        call(stub, SECRET)
    assert failed.value.code() is grpc.StatusCode.INTERNAL
    assert "rule test-rule failed on" in str(failed.value.details())
    assert "ValueError at test_policy_server.py" in str(failed.value.details())
    assert "marker" not in str(failed.value.details())


def test_an_exception_that_holds_turns_the_violation_into_a_warning(tmp_path: Path) -> None:
    write(tmp_path, exceptions=[EXCEPTION])
    with channel(tmp_path) as stub:
        (found,) = analyze(configured(stub), notebook())
        assert analyze_stack(stub, notebook()) == []
    assert found.enforcementLevel == wire.ADVISORY
    assert "Excepted until 2026-12-31 by ml-team: the image is rebuilt" in found.message


def test_an_expired_exception_excuses_nothing_and_is_a_violation(tmp_path: Path) -> None:
    write(tmp_path, exceptions=[EXCEPTION])
    with channel(tmp_path, today=date(2027, 1, 1)) as stub:
        (violation,) = analyze(configured(stub), notebook())
        (stale,) = analyze_stack(stub, notebook())
    assert violation.enforcementLevel == stale.enforcementLevel == wire.MANDATORY
    assert "Pod/ns/notebook (owner ml-team) expired on 2026-12-31" in stale.message


@pytest.mark.parametrize("rest", [[], [notebook("nvidia/cuda:11.4.3-base")]])
def test_an_exception_that_nothing_needs_is_a_violation(tmp_path: Path, rest: list[Manifest]) -> None:
    write(tmp_path, exceptions=[EXCEPTION])
    with channel(tmp_path) as stub:
        (stale,) = analyze_stack(configured(stub), *rest)
    assert stale.enforcementLevel == wire.MANDATORY
    assert "excuses nothing" in stale.message


def test_an_exception_for_a_stack_rule_holds_for_the_object_of_the_finding(tmp_path: Path) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "q", "namespace": "ns"},
        "spec": {"hard": {"pods": 0}},
    }
    exception = EXCEPTION | {"rule": "quota-covers-demand", "resource": "ResourceQuota/ns/q"}
    write(tmp_path, exceptions=[exception])
    with channel(tmp_path) as stub:
        (found,) = analyze_stack(configured(stub), quota, notebook())
    assert (found.policyName, found.enforcementLevel) == ("quota-covers-demand", wire.ADVISORY)


def after_itself(stack: Stack, _: RuleSettings) -> Results:
    """Finds each Secret that the engine makes after another one."""
    for later in stack.resources:
        if any(stack.comes_after(later, earlier) for earlier in stack.resources):
            yield Finding(later, "", "it comes later", "nothing", "remove it")


def test_a_stack_rule_knows_what_comes_after_what(tmp_path: Path) -> None:
    first, second = ({**SECRET, "pulumi": said} for said in ({"name": "first"}, {"name": "second", "after": ["first"]}))
    with channel(tmp_path, (rule(after_itself, "stack"),)) as stub:
        (found,) = analyze_stack(stub, first, second)
    assert found.urn.endswith("::second")


def test_what_the_program_declares_no_more_does_not_count_though_a_refresh_sends_it(tmp_path: Path) -> None:
    gone, stays = ({**SECRET, "pulumi": {"name": name}} for name in ("gone", "stays"))
    each_once = rule(
        lambda stack, _: (Finding(one, "", "is there", "nothing", "go") for one in stack.resources), "stack"
    )
    with channel(tmp_path, (each_once,)) as stub:
        analyze(stub, stays)
        (found,) = analyze_stack(stub, gone, stays)
        assert found.urn.endswith("::stays")
    with channel(tmp_path, (each_once,)) as stub:
        # Nothing was asked about by itself: all is judged, not nothing.
        assert len(analyze_stack(stub, gone, stays)) == 2


def test_a_crd_of_419_kb_is_passed_over_in_milliseconds(tmp_path: Path) -> None:
    fields = {f"field{index}": {"type": "string", "description": "x" * 60} for index in range(4000)}
    crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "spec": fields}
    asked = request(crd)
    assert asked.ByteSize() > 419_000
    with channel(tmp_path) as stub:
        stub.Analyze(asked)
        times = []
        for _ in range(5):
            began = time.perf_counter()
            assert not stub.Analyze(asked).diagnostics
            times.append(time.perf_counter() - began)
    # Both ends of the channel are in this process: the engine's own serialisation is in the time.
    assert min(times) < 0.05, times
