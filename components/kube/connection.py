"""The cluster that a kubeconfig context leads to, asked through kubectl: its ways of logging in are ours.

Source of the file format: Kubernetes, "Organizing Cluster Access Using kubeconfig Files".
"""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_BOUND_SECONDS = 20


class ConnectionFailedError(Exception):
    """The cluster cannot be reached as configured; the message says why and where."""


@dataclass(frozen=True)
class Connection:
    """A context of the kubeconfig that kubectl would use."""

    context: str

    @classmethod
    def to(cls, context: str) -> "Connection":
        """Look the context up, without asking the cluster anything.

        Raises:
            ConnectionFailedError: there is no such context, or a kubeconfig cannot be read.
        """
        paths = _kubeconfigs()
        known = sorted({name for path in paths for name in _contexts(path)})
        if context not in known:
            files = ", ".join(str(path) for path in paths)
            listed = ", ".join(known) or "none"
            raise ConnectionFailedError(f"there is no context '{context}' in {files} (contexts there: {listed})")
        return cls(context)

    def read(self, path: str) -> Mapping[str, Any] | None:
        """One answer of the API server, or None where it says that there is no such thing.

        Args:
            path: of the API, such as `/api/v1/namespaces/default`.

        Raises:
            ConnectionFailedError: it does not answer within its bound, or refuses.
        """
        answer = self._raw(path)
        return None if answer is None else dict(json.loads(answer))

    def log(self, namespace: str, pod: str, container: str, lines: int) -> str:
        """The end of a container's log; empty where there is none, or none can be had."""
        asked = f"container={container}&tailLines={lines}"
        try:
            return self._raw(f"/api/v1/namespaces/{namespace}/pods/{pod}/log?{asked}") or ""
        except ConnectionFailedError:
            return ""

    def _raw(self, path: str) -> str | None:
        command = ["kubectl", "--context", self.context, "get", "--raw", path, f"--request-timeout={_BOUND_SECONDS}s"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=2 * _BOUND_SECONDS)
        except FileNotFoundError:
            raise ConnectionFailedError("kubectl is not on PATH, and the cluster is read with it: install it") from None
        except subprocess.TimeoutExpired:
            raise ConnectionFailedError(f"context '{self.context}': no answer in {2 * _BOUND_SECONDS} s") from None
        if done.returncode == 0:
            return done.stdout
        if "(NotFound)" in done.stderr:
            return None
        reason = (done.stderr.strip().splitlines() or ["kubectl failed and printed nothing"])[-1]
        raise ConnectionFailedError(f"the cluster of context '{self.context}' does not answer: {reason}")


def _kubeconfigs() -> list[Path]:
    """The files that kubectl merges: KUBECONFIG, or the one in the home directory."""
    listed = [Path(part) for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return listed or [Path.home() / ".kube" / "config"]


def _contexts(path: Path) -> list[str]:
    try:
        loaded = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConnectionFailedError(f"the kubeconfig {path} cannot be read: {error}") from error
    entries = loaded.get("contexts") if isinstance(loaded, dict) else None
    listed = entries if isinstance(entries, list) else []
    return [str(entry["name"]) for entry in listed if isinstance(entry, dict) and "name" in entry]
