"""Ray's dashboard as a client of another machine sees it: over HTTP, with the token."""

import json
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.engine import Stack, eventually, stays
from tests.support.web import ask, forwarded

ENDED = {"SUCCEEDED", "FAILED", "STOPPED"}


@dataclass(frozen=True)
class Dashboard:
    """Address and token; an empty token sends none."""

    url: str
    token: str

    def ask(self, path: str, body: Any = None) -> tuple[int, Any]:
        """Send one request; returns the status and the answer, decoded where it is JSON."""
        return ask(f"{self.url}{path}", body, {"Authorization": f"Bearer {self.token}"} if self.token else {})

    def submit(self, script: Path) -> str:
        """Send a job; returns its id."""
        status, answer = self.ask("/api/jobs/", {"entrypoint": f"python -c {shlex.quote(script.read_text())}"})
        assert status == 200, answer
        return str(answer["submission_id"])

    @contextmanager
    def running(self, script: Path) -> Iterator[str]:
        """Send a job that does not end by itself, and stop it at the end of the block; gives its id."""
        job = self.submit(script)
        try:
            yield job
        finally:
            stopped = self.ask(f"/api/jobs/{job}/stop", {})
        assert stopped == (200, {"stopped": True})

    def logs(self, job: str) -> str:
        """What a job has printed up to now."""
        return str(self.ask(f"/api/jobs/{job}/logs")[1]["logs"])

    def result(self, job: str, seconds: float = 180) -> str:
        """Wait until a job has ended well; returns what it printed."""
        deadline = time.monotonic() + seconds
        while (state := self.ask(f"/api/jobs/{job}")[1])["status"] not in ENDED:
            assert time.monotonic() < deadline, state
            time.sleep(1)
        logs = self.logs(job)
        assert state["status"] == "SUCCEEDED", (state, logs)
        return logs

    def value(self, job: str, word: str, seconds: float = 180) -> Any:
        """Wait until a job has ended well; returns the value that it printed behind a word."""
        (line,) = [line for line in self.result(job, seconds).splitlines() if line.startswith(f"{word} ")]
        return json.loads(line.removeprefix(f"{word} "))


@contextmanager
def dashboard(stack: Stack, *, token: bool = True) -> Iterator[Dashboard]:
    """The dashboard of a stack, found by nothing but its outputs."""
    ray = stack.outputs()["ray"]
    where = ray["dashboard"]
    with forwarded(
        stack.workspace.cluster, stack.namespace, f"service/{where['host'].split('.')[0]}", where["port"]
    ) as url:
        found = Dashboard(url, stack.secret(ray["token"]["name"], ray["token"]["key"]) if token else "")
        assert eventually(lambda: found.ask("/api/version")[0] in {200, 401}, seconds=60)
        yield found


def head(stack: Stack) -> str:
    """The uid of the head that runs, or nothing."""
    pods = stack.get("pods", "--selector", "ray.io/node-type=head")["items"]
    return next((str(pod["metadata"]["uid"]) for pod in pods if stays(pod)), "")


def cpu_workers(stack: Stack) -> list[dict[str, Any]]:
    """The pods of the CPU workers, those that begin or end among them."""
    return list(stack.get("pods", "--selector", "ray.io/group=cpu")["items"])


def replaced(stack: Stack, before: str) -> None:
    """See that an update which is done has another head than `before`, ready, and workers with it.

    Raises:
        AssertionError: it has not.
    """
    assert _is_new(stack, before)


def comes_back(stack: Stack, before: str) -> None:
    """Wait until there is another head than `before`, which was lost, and workers with it.

    Raises:
        AssertionError: it takes longer than five minutes.
    """
    assert eventually(lambda: _is_new(stack, before), seconds=300)


def _is_new(stack: Stack, before: str) -> bool:
    pods = stack.get("pods", "--selector", "ray.io/cluster=ray-cluster")["items"]
    return head(stack) not in {"", before} and len([pod for pod in pods if stays(pod)]) >= 3
