"""A second program, of another team, deploys a Ray job with nothing but the stack's outputs."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.workspace import ROOT
from tests.support.engine import Stack, eventually

CONSUMER = Path(__file__).with_name("consumer")


@pytest.fixture(scope="module")
def platform(new_stack: Callable[[str, str], Stack]) -> Stack:
    stack = new_stack("dev", "contract")
    done = stack.up()
    assert done.code == 0, done.text
    return stack


def job(platform: Stack) -> dict[str, dict[str, str]]:
    found = json.loads(
        platform.kubectl("get", "rayjobs.ray.io", "train", "--ignore-not-found", "--output", "json") or "{}"
    )
    return dict(found)


def test_a_job_of_another_team_reaches_the_cluster(platform: Stack) -> None:
    done = platform.pulumi("up", "--yes", program=CONSUMER)
    assert done.code == 0, done.text
    assert f"http://ray-head.{platform.namespace}.svc.cluster.local:8265" in done.text

    def submitted() -> bool:
        return bool(platform.get("pods", "--selector", "job-name=train")["items"])

    assert eventually(submitted, seconds=60), job(platform)
    (pod,) = platform.get("pods", "--selector", "job-name=train")["items"]
    (container,) = pod["spec"]["containers"]
    env = {variable["name"]: variable for variable in container["env"]}
    # KubeRay found the platform's cluster by its name, and gave the submitter the address of its dashboard.
    assert job(platform)["status"]["rayClusterName"] == "ray-cluster"
    assert env["RAY_DASHBOARD_ADDRESS"]["value"].startswith(
        f"ray-cluster-head-svc.{platform.namespace}.svc.cluster.local:8265"
    )
    assert env["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"] == {"name": "ray-auth-token", "key": "auth_token"}
    assert pod["spec"]["priorityClassName"] == f"{platform.namespace}-batch"
    assert platform.pulumi("destroy", "--yes", program=CONSUMER).code == 0


def test_a_stack_that_publishes_nothing_is_refused_in_plain_words(new_stack: Callable[[str, str], Stack]) -> None:
    empty = new_stack("dev", "nothing")
    empty.workspace.prepare(ROOT, "dev")  # the stack exists, and nothing was ever deployed
    done = empty.pulumi("up", "--yes", program=CONSUMER)
    assert done.code != 0
    assert "the stack organization/ml-platform/dev publishes no platform contract" in done.text
    assert "Traceback" not in done.text


def test_the_platform_goes_when_nobody_uses_it(platform: Stack) -> None:
    done = platform.destroy()
    assert done.code == 0, done.text
    assert eventually(lambda: not platform.objects())
