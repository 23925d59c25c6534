"""MLflow's server as a client of another machine sees it, and a job that logs to it."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.engine import Stack, eventually
from tests.support.ray import dashboard
from tests.support.web import ask, forwarded

TRACK = Path(__file__).parent.parent / "e2e" / "jobs" / "track.py"


@dataclass(frozen=True)
class Server:
    """Address and login of a tracking server."""

    url: str
    user: str
    password: str

    @property
    def headers(self) -> dict[str, str]:
        """What a request needs."""
        login = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return {"Authorization": f"Basic {login}"}

    def ask(self, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Send one request; returns the status and the answer."""
        return ask(f"{self.url}{path}", body, {**self.headers, **headers})

    def run(self, run_id: str) -> dict[str, Any]:
        """What the server knows of a run."""
        status, answer = self.ask(f"/api/2.0/mlflow/runs/get?run_id={run_id}")
        assert status == 200, answer
        return dict(answer["run"])


def password(stack: Stack, user: str) -> str:
    return base64.b64decode(stack.get("secret", "mlflow-auth")["data"][user]).decode()


@contextmanager
def tracking(stack: Stack, target: str = "service/mlflow", user: str = "admin") -> Iterator[Server]:
    """The server, found by the stack's outputs, or one pod of it."""
    port = stack.outputs()["mlflow"]["tracking"]["port"]
    with forwarded(stack.workspace.cluster, stack.namespace, target, port) as url:
        server = Server(url, user, password(stack, user))
        assert eventually(lambda: ask(f"{url}/health")[0] == 200, seconds=60)
        yield server


def logged(stack: Stack) -> str:
    """The id of a run that a job on Ray has logged, with an artifact that it has read back."""
    with dashboard(stack) as owner:
        job = owner.submit(TRACK)
        assert owner.value(job, "TEXT") == "from a worker of Ray"
        return str(owner.value(job, "RUN"))
