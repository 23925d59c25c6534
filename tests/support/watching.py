"""Those who watch stack dev: to build their tools takes time that a run with a limit (WATCHING=no) may not have."""

import os
from pathlib import Path

import yaml

from sandbox.images import WATCHING, tools
from sandbox.tools import missing
from tests.support.configuration import stack_config


def left_out() -> str:
    """Why this run does without them; empty where it does not."""
    lacking = sorted(missing(tools(WATCHING)))
    return f"{', '.join(lacking)} would have to be built first" if lacking and "WATCHING" in os.environ else ""


def leave_out(checkout: Path) -> None:
    """Let nobody watch stack dev of a checkout."""
    (checkout / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": stack_config("dev", watched=False)}))
