"""HTTP to what runs in the cluster, as a client on another machine speaks it."""

import json
import os
import re
import subprocess
import threading
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Page

from sandbox.cluster import Cluster
from sandbox.workspace import ROOT


@contextmanager
def forwarded(cluster: Cluster, namespace: str, target: str, port: int) -> Iterator[str]:
    """The address on loopback of a Service or pod, for as long as the block runs."""
    command = [str(cluster.toolbox.binary("kubectl")), "--namespace", namespace, "port-forward", target, f":{port}"]
    env = {**os.environ, **cluster.kubectl_environment}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as forward:
        try:
            told = forward.stdout.readline() if forward.stdout else ""
            found = re.search(r"127\.0\.0\.1:(\d+)", told)
            assert found, told
            # It tells of every connection, and waits for whoever does not listen once the pipe is full.
            threading.Thread(target=deque, args=(forward.stdout, 0), daemon=True).start()
            yield f"http://127.0.0.1:{found[1]}"
        finally:
            forward.terminate()


def ask(
    url: str, body: Any = None, headers: Mapping[str, str] | None = None, method: str | None = None
) -> tuple[int, Any]:
    """Send one request; returns the status and the answer, decoded where it is JSON.

    Args:
        url: of what is asked.
        body: sent as JSON.
        headers: beside that of the content.
        method: POST where there is a body and GET without, unless it is given.
    """
    data = json.dumps(body).encode() if body is not None else None
    told = {"Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(url, data=data, headers=told, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text


def picture(page: Page, name: str) -> None:
    """Keep what a page shows as `docs/pictures/<name>.png`, where UPDATE_PICTURES asks for it."""
    if os.environ.get("UPDATE_PICTURES"):
        page.screenshot(path=ROOT / "docs" / "pictures" / f"{name}.png")
