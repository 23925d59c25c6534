"""A Prometheus as its users ask it: over HTTP."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tests.support.engine import Stack, eventually
from tests.support.web import ask, forwarded


@dataclass(frozen=True)
class Prometheus:
    """Where it answers."""

    url: str

    def api(self, path: str, **asked: str) -> Any:
        """What one of its APIs answers.

        Raises:
            AssertionError: it refuses.
        """
        status, answer = ask(f"{self.url}/api/v1/{path}?{urlencode(asked)}")
        assert status == 200, answer
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an expression has now, each with `metric` and `value`."""
        found: list[dict[str, Any]] = self.api("query", query=expression)["result"]
        return found

    def past(self, expression: str, seconds: float = 900, step: float = 15) -> list[dict[str, Any]]:
        """The series that an expression had of late, each with `metric` and `values`."""
        now = time.time()
        span = {"start": str(now - seconds), "end": str(now), "step": str(step)}
        found: list[dict[str, Any]] = self.api("query_range", query=expression, **span)["result"]
        return found

    def targets(self) -> list[dict[str, Any]]:
        """What it scrapes."""
        found: list[dict[str, Any]] = self.api("targets", state="active")["activeTargets"]
        return found

    def alerts(self) -> dict[str, str]:
        """`pending` or `firing`, by the name of each alert that is one of them."""
        found = self.api("alerts")["alerts"]
        return {
            each["labels"]["alertname"]: each["state"]
            for each in sorted(found, key=lambda each: str(each["state"]))[::-1]
        }

    def rules(self) -> list[dict[str, Any]]:
        """Every rule that it evaluates."""
        return [rule for group in self.api("rules")["groups"] for rule in group["rules"]]


@contextmanager
def prometheus(stack: Stack) -> Iterator[Prometheus]:
    """The Prometheus of a stack, found by nothing but its outputs."""
    where = stack.outputs()["observability"]["prometheus"]
    name = f"service/{where['host'].split('.')[0]}"
    with forwarded(stack.workspace.cluster, stack.namespace, name, where["port"]) as url:
        assert eventually(lambda: ask(f"{url}/-/ready")[0] == 200, seconds=60)
        yield Prometheus(url)
