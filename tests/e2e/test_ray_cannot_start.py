"""Real pods that cannot start: `pulumi up` ends in time and says which pod, which container and why.

The first `up` of a stack is refused; those after it meet what it left, as someone's does who mends one fault and makes
another.
"""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.engine import Outcome, Stack

READY = 40
"""Seconds that the cluster is given."""

BESIDE = 90
"""Seconds for what comes before the cluster, and for what is under way beside it when it fails."""

pytestmark = pytest.mark.timeout(600)

NOTHING_THERE = "registry.invalid/ray:2.60.0"
WITHOUT_RAY = "ml-platform/base:bookworm"


@pytest.fixture(scope="module")
def stack(new_stack: Callable[[str], Stack]) -> Iterator[Stack]:
    made = new_stack("cannot").with_config(ray={"readyTimeoutSeconds": READY})
    yield made
    gone = made.destroy()
    assert gone.code == 0, gone.text


def refused(stack: Stack, **config: Any) -> Outcome:
    """What an `up` without policies tells that must fail in time; with them, much of it is refused at preview."""
    began = time.monotonic()
    done = stack.with_config(**config).pulumi("up", "--yes", "--skip-preview")
    assert done.code != 0, done.text
    assert time.monotonic() - began < READY + BESIDE
    assert "ray-cluster in namespace" in done.text
    assert "Traceback" not in done.text
    return done


def lines(done: Outcome, word: str) -> list[str]:
    return [line for line in done.text.splitlines() if word in line]


def test_missing_image_is_named_with_its_pod(stack: Stack) -> None:
    done = refused(stack, images={"ray": NOTHING_THERE})
    told = lines(done, "pod ray-cluster-head-")
    assert told, done.text
    assert "container ray-head" in told[0]
    assert "ImagePullBackOff" in told[0] or "ErrImagePull" in told[0]
    assert NOTHING_THERE in told[0]


def test_quota_that_is_too_small_is_named_with_what_it_lacks(stack: Stack) -> None:
    # Only the head asks for more than there is: a quota that stops the stores is told of them, and not of Ray.
    quota = {**stack.config["ml-platform:tenancy"]["quota"], "requestsMemory": "20Gi"}
    size = {"cpu": 1, "memory": "100Gi"}
    head = {**stack.config["ml-platform:ray"]["head"], "resources": {"requests": size, "limits": size}}
    done = refused(stack, tenancy={"quota": quota}, ray={"head": head})
    told = lines(done, "exceeded quota: data-platform-quota")
    assert told, done.text
    assert "requests.memory" in told[0]


def test_command_that_exits_is_named_with_its_code_and_last_words(stack: Stack) -> None:
    done = refused(stack, images={"ray": WITHOUT_RAY})
    told = lines(done, "ray: command not found")
    assert told, done.text
    # The operator removes the pod and makes a new one; what it says about it, it may have said too often to be heard.
    assert re.search(r"ray-cluster-head-.*(exit code |ExitCode:)127", told[0]), told
