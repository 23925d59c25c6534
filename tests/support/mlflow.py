"""MLflow's server as a client of another machine sees it, and a job that logs to it."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.clients import ended, python, start
from tests.support.engine import Stack, eventually
from tests.support.ray import dashboard
from tests.support.web import ask, forwarded

TRACK = Path(__file__).parent.parent / "e2e" / "jobs" / "track.py"


LOAD = """
import base64, json, os, time, urllib.request
login = base64.b64encode(f"platform:{os.environ['PASSWORD']}".encode()).decode()
url = "http://mlflow:5000/api/2.0/mlflow/experiments/get?experiment_id=0"
failed, answered = [], 0
while not os.path.exists("/tmp/stop"):
    request = urllib.request.Request(url, headers={"Authorization": f"Basic {login}"})
    try:
        urllib.request.urlopen(request, timeout=30).read()
        answered += 1
    except Exception as error:
        failed.append(repr(error))
    time.sleep(0.1)
print(json.dumps({"answered": answered, "failed": failed}))
"""
"""Asks without a pause, each time over a connection of its own, until it is told to stop."""


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

    def ask(self, path: str, body: Any = None, method: str | None = None, **headers: str) -> tuple[int, Any]:
        """Send one request; returns the status and the answer."""
        return ask(f"{self.url}{path}", body, {**self.headers, **headers}, method)

    def run(self, run_id: str) -> dict[str, Any]:
        """What the server knows of a run."""
        status, answer = self.ask(f"/api/2.0/mlflow/runs/get?run_id={run_id}")
        assert status == 200, answer
        return dict(answer["run"])


@contextmanager
def tracking(stack: Stack, target: str = "service/mlflow", user: str = "admin") -> Iterator[Server]:
    """The server, found by the stack's outputs, or one pod of it."""
    port = stack.outputs()["mlflow"]["tracking"]["port"]
    with forwarded(stack.workspace.cluster, stack.namespace, target, port) as url:
        server = Server(url, user, stack.secret("mlflow-auth", user))
        assert eventually(lambda: ask(f"{url}/health")[0] == 200, seconds=60)
        yield server


def logged(stack: Stack) -> str:
    """The id of a run that a job on Ray has logged, with an artifact that it has read back."""
    with dashboard(stack) as owner:
        job = owner.submit(TRACK)
        assert owner.value(job, "TEXT") == "from a worker of Ray"
        return str(owner.value(job, "RUN"))


@dataclass
class Load:
    """What a client in the namespace has met: how often it was answered, and what went wrong, in order."""

    answered: int = 0
    failed: list[str] = field(default_factory=list)


@contextmanager
def under_load(stack: Stack) -> Iterator[Load]:
    """A client that asks as long as the block runs, with the password that holds when it starts."""
    load = Load()
    pod = start(stack, python(LOAD), PASSWORD=("mlflow-auth", "platform"))
    stack.kubectl("wait", "--for=condition=Ready", f"pod/{pod}", "--timeout=60s")
    yield load
    stack.kubectl("exec", pod, "--", "touch", "/tmp/stop")  # noqa: S108 in the pod
    told = json.loads(ended(stack, pod))
    load.answered, load.failed = told["answered"], told["failed"]
