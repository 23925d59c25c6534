"""A Loki as its users ask it: over HTTP."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from tests.support.engine import Stack, eventually
from tests.support.web import ask, forwarded


@dataclass(frozen=True)
class Loki:
    """Where it answers."""

    url: str

    def lines(self, query: str, seconds: float = 3600) -> list[str]:
        """The lines of the last hour that a LogQL expression finds, newest first.

        Raises:
            AssertionError: it refuses.
        """
        asked = {"query": query, "start": f"{time.time() - seconds:.0f}", "limit": "1000"}
        status, answer = ask(f"{self.url}/loki/api/v1/query_range?{urlencode(asked)}")
        assert status == 200, answer
        return [line for stream in answer["data"]["result"] for _, line in stream["values"]]


@contextmanager
def loki(stack: Stack) -> Iterator[Loki]:
    """The Loki of a stack, found by nothing but its outputs."""
    where = urlsplit(stack.outputs()["observability"]["logs"]["url"])
    service = f"service/{str(where.hostname).split('.')[0]}"
    with forwarded(stack.workspace.cluster, stack.namespace, service, where.port or 80) as url:
        assert eventually(lambda: ask(f"{url}/ready")[0] == 200, seconds=120)
        yield Loki(url)
