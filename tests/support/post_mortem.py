"""What a failed deployment leaves to be read, before the cluster that it was on is gone."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.engine import Stack

_LINES = 40


def post_mortem(stack: "Stack") -> str:
    """Pods, events, logs of what is not ready and of what the network and the mesh depend on."""
    return "\n".join(f"--- {title}\n{text}" for title, text in _parts(stack))


def _parts(stack: "Stack") -> Iterator[tuple[str, str]]:
    for what in (("pods", "--output=wide"), ("events", "--sort-by=.lastTimestamp")):
        yield what[0], stack.kubectl("get", *what, check=False)
    for pod in _not_ready(stack):
        yield f"pod {pod}", stack.kubectl("describe", "pod", pod, check=False)
        asked = ("logs", pod, "--all-containers", "--prefix", "--ignore-errors", f"--tail={_LINES}")
        yield f"logs of {pod}", stack.kubectl(*asked, check=False)
    cluster = stack.workspace.cluster
    istiod = ("logs", "--namespace=istio-system", "deployment/istiod", f"--tail={_LINES}")
    yield "istiod", cluster.kubectl(*istiod, check=False)
    for component in cluster.status():
        if component.log.is_file():
            yield component.name, _end(component.log.read_text(errors="replace"))


def _not_ready(stack: "Stack") -> list[str]:
    return [
        pod["metadata"]["name"]
        for pod in stack.get("pods")["items"]
        if pod["status"].get("phase") != "Succeeded"
        and not any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in pod["status"].get("conditions", [])
        )
    ]


def _end(text: str) -> str:
    return "\n".join(text.splitlines()[-_LINES:])
