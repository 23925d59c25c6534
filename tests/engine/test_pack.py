"""The pack fails closed: where it is missing, does not start, crashes or is misconfigured, nothing is created."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.workspace import ROOT
from tests.support.engine import Outcome, Stack, pack_copy

CRASH = """
from dataclasses import replace

def _crash(*_):
    raise ValueError("marker")

RULES = tuple(replace(rule, find=_crash) for rule in RULES)
"""


def crashes(pack: Path) -> None:
    with (pack / "pack.py").open("a") as file:
        file.write(CRASH)


def imports_nothing(pack: Path) -> None:
    (pack / "pack.py").write_text("import nothing_of_this_name\n")


def is_no_python(pack: Path) -> None:
    (pack / "rule.py").write_text("def (:\n")


def is_gone(pack: Path) -> None:
    shutil.rmtree(pack)


def ends_at_once(pack: Path) -> None:
    (pack / "server.py").write_text("import os\nos._exit(0)\n")


def has_a_misspelt_rule(pack: Path) -> None:
    (pack / "config" / "dev.json").write_text(json.dumps({"rules": {"quota-covers-demnd": {"level": "advisory"}}}))


def has_an_exception_that_ran_out(pack: Path) -> None:
    choice = json.loads((pack / "config" / "dev.json").read_text())
    old = {"rule": "quota-covers-demand", "resource": "ResourceQuota/data-platform/data-platform-quota"}
    old |= {"reason": "until the new nodes are there", "owner": "platform", "expires": "2026-01-31"}
    (pack / "config" / "dev.json").write_text(json.dumps({**choice, "exceptions": [old]}))


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    return pack_copy(tmp_path)


@pytest.fixture(scope="module")
def dev(new_stack: Callable[[str, str], Stack]) -> Stack:
    return new_stack("dev", "closed")


CANNOT_START = [
    (imports_nothing, "nothing_of_this_name"),
    (is_no_python, "SyntaxError"),
    (is_gone, "policies"),
    (ends_at_once, "policies"),
    (has_a_misspelt_rule, "did you mean 'quota-covers-demand'?"),
]


@pytest.mark.parametrize("flags", [(), ("--skip-preview",)], ids=["up", "skip-preview"])
@pytest.mark.parametrize(("broken", "said"), CANNOT_START)
def test_a_pack_that_does_not_start_stops_the_update(
    broken: Callable[[Path], None], said: str, flags: tuple[str, ...], dev: Stack, pack: Path
) -> None:
    broken(pack)
    stopped(dev, dev.pulumi("up", "--yes", *flags, "--policy-pack", str(pack)), said)


def test_a_rule_that_crashes_stops_the_preview_and_quotes_nothing(dev: Stack, pack: Path) -> None:
    crashes(pack)
    done = dev.pulumi("up", "--yes", "--policy-pack", str(pack))
    stopped(dev, done, "failed on")
    assert "marker" not in done.text


def stopped(stack: Stack, done: Outcome, said: str) -> None:
    assert done.code != 0, done.text
    assert said in done.text, done.text
    assert stack.objects() == set()


def test_an_exception_that_ran_out_stops_the_preview(dev: Stack, pack: Path) -> None:
    has_an_exception_that_ran_out(pack)
    done = dev.pulumi("preview", "--policy-pack", str(pack))
    assert done.code != 0, done.text
    assert "expired on 2026-01-31" in done.text


def test_the_copy_as_it_is_lets_the_stack_pass(dev: Stack, pack: Path) -> None:
    """The twin of all above: what stops them is what was broken."""
    done = dev.pulumi("preview", "--policy-pack", str(pack))
    assert done.code == 0, done.text


QUOTA_ALONE = """
RULES = tuple(rule for rule in RULES if rule.name == "quota-present")
"""

BOUNDED = """
import os

import pulumi_kubernetes as k8s

space = k8s.core.v1.Namespace("space", metadata={"name": "bounded"})
inside = {"namespace": space.metadata["name"]}
if os.environ["BOUNDED"] == "yes":
    keys = ("requests.cpu", "requests.memory", "limits.memory", "requests.storage", "persistentvolumeclaims", "pods")
    k8s.core.v1.ResourceQuota("quota", metadata={"name": "quota", **inside}, spec={"hard": dict.fromkeys(keys, "0")})
template = {"metadata": {"labels": {"app": "none"}}, "spec": {"containers": [{"name": "none", "image": "none"}]}}
spec = {"replicas": 0, "selector": {"matchLabels": {"app": "none"}}, "template": template}
k8s.apps.v1.Deployment("none", metadata={"name": "none", **inside}, spec=spec)
"""


def test_a_quota_that_is_taken_out_of_the_program_is_missed_though_the_refresh_has_seen_it(
    new_stack: Callable[[str, str], Stack], pack: Path, tmp_path: Path
) -> None:
    """The engine sends what it refreshed along with what stays: a rule must not be content with what is about to go."""
    with (pack / "pack.py").open("a") as file:
        file.write(QUOTA_ALONE)
    (pack / "config" / "dev.json").write_text("{}")
    program = tmp_path / "program"
    program.mkdir()
    shutil.copy(ROOT / "Pulumi.yaml", program)
    (program / "__main__.py").write_text(BOUNDED)
    stack = replace(new_stack("dev", "bounded"), config={})

    def pulumi(command: str, bounded: str) -> Outcome:
        flags = ["preview", "--refresh"] if command == "preview" else [command, "--yes"]
        judged = [] if command == "destroy" else ["--policy-pack", str(pack)]
        return stack.pulumi(*flags, *judged, program=program, env={"BOUNDED": bounded})

    done = pulumi("up", "yes")
    assert done.code == 0, done.text
    try:
        less = pulumi("preview", "no")
    finally:
        gone = pulumi("destroy", "yes")
    assert gone.code == 0, gone.text
    assert less.code != 0, less.text
    assert "no ResourceQuota bounds requests.cpu" in less.text
