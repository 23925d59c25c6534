"""Stand-ins for tools: a script, a Go module of ten lines, a lock file of both."""

import json
from pathlib import Path
from typing import Any

ASK = {"args": ["version"], "answer": r"v(\S+)"}


def script(text: str = "v1.2.3") -> bytes:
    """A tool that tells its version."""
    return f"#!/bin/sh\necho demo {text}\n".encode()


def toml(value: object) -> str:
    """A value as a lock file has it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{key}" = {toml(item)}' for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return json.dumps(value)


def module(lock_file: Path, main: str = 'println("demo v" + version)', name: str = "demo") -> dict[str, Any]:
    """A Go module without dependencies as a build folder; returns the lock's part for it."""
    folder = lock_file.parent / "build" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "go.mod").write_text("module sandbox/demo\n\ngo 1.21\n")
    (folder / "go.sum").write_text("")
    (folder / "main.go").write_text(f"package main\n\nvar version string\n\nfunc main() {{ {main} }}\n")
    step = {"folder": name, "module": "sandbox/demo@v1.2.3", "package": ".", "output": "demo"}
    return {"build": [{**step, "ldflags": "-X main.version={version}"}]}


def left(cache: Path) -> list[str]:
    """The tools and the leftovers in a cache."""
    return [file.name for part in ("tools", "tmp") for file in sorted((cache / part).glob("*"))]
