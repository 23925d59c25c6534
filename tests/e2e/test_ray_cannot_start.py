"""Real pods that cannot start: `pulumi up` ends in time and says which pod, which container and why."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.engine import Outcome, Stack

READY = 40
"""Seconds that the cluster is given."""

NOTHING_THERE = "registry.invalid/ray:2.60.0"
WITHOUT_RAY = "ml-platform/base:bookworm"


def refused(stack: Stack, **config: Any) -> Outcome:
    """What an `up` without policies tells that must fail in time; with them, much of it is refused at preview."""
    ray = {"readyTimeoutSeconds": READY, **config.pop("ray", {})}
    began = time.monotonic()
    done = stack.with_config(ray=ray, **config).pulumi("up", "--yes", "--skip-preview")
    assert done.code != 0, done.text
    assert time.monotonic() - began < READY + 60
    assert "ray-cluster in namespace" in done.text
    assert "Traceback" not in done.text
    return done


@pytest.fixture(scope="module", autouse=True)
def mended(dev: Stack) -> Iterator[None]:
    """The next `up` mends what failed ones have left."""
    yield
    done = dev.up()
    assert done.code == 0, done.text


def lines(done: Outcome, word: str) -> list[str]:
    return [line for line in done.text.splitlines() if word in line]


def test_missing_image_is_named_with_its_pod(dev: Stack) -> None:
    done = refused(dev, images={"ray": NOTHING_THERE})
    told = lines(done, "pod ray-cluster-head-")
    assert told, done.text
    assert "container ray-head" in told[0]
    assert "ImagePullBackOff" in told[0] or "ErrImagePull" in told[0]
    assert NOTHING_THERE in told[0]


def test_quota_that_is_too_small_is_named_with_what_it_lacks(dev: Stack) -> None:
    quota = {**dev.config["ml-platform:tenancy"]["quota"], "requestsMemory": "1Gi"}
    head = {**dev.config["ml-platform:ray"]["head"], "sharedMemory": "640Mi"}  # so that there are new pods to refuse
    done = refused(dev, tenancy={"quota": quota}, ray={"head": head})
    told = lines(done, "exceeded quota: data-platform-quota")
    assert told, done.text
    assert "requests.memory" in told[0]


def test_command_that_exits_is_named_with_its_code_and_last_words(dev: Stack) -> None:
    done = refused(dev, images={"ray": WITHOUT_RAY})
    told = lines(done, "ray: command not found")
    assert told, done.text
    # The operator may have removed the pod by then; what it said about it is told too.
    assert re.search(r"ray-cluster-head-.*(exit code |ExitCode:)127", told[0]), told
