"""A Jaeger as its users ask it: over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.engine import Stack
from tests.support.web import ask, forwarded


@dataclass(frozen=True)
class Jaeger:
    """Where it answers."""

    url: str

    def trace(self, number: str) -> dict[str, set[str]]:
        """The operations of a trace, by who told of them; nothing where there is none.

        Raises:
            AssertionError: it refuses.
        """
        status, answer = ask(f"{self.url}/api/traces/{number}")
        if status == 404:
            return {}
        assert status == 200, answer
        found: dict[str, set[str]] = {}
        for trace in answer["data"]:
            for span in trace["spans"]:
                teller = trace["processes"][span["processID"]]["serviceName"]
                found.setdefault(teller, set()).add(span["operationName"])
        return found


@contextmanager
def jaeger(stack: Stack) -> Iterator[Jaeger]:
    """The Jaeger of a stack, found by nothing but its outputs."""
    found = stack.outputs()["observability"]["jaeger"]
    with forwarded(
        stack.workspace.cluster, stack.namespace, f"service/{found['host'].split('.')[0]}", found["port"]
    ) as url:
        yield Jaeger(url)
