"""Golden files: reviewed as a diff, rewritten by one switch (UPDATE_GOLDEN=1, `make golden`)."""

import json
import os
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parents[1] / "golden"


def check(name: str, found: Any) -> None:
    """Hold a value against its golden file.

    Args:
        name: of the file; its ending says whether it is YAML or JSON.
        found: plain values.

    Raises:
        AssertionError: they differ, or the file is not there.
    """
    file = FOLDER / name
    match file.suffix:
        case ".json":
            text = json.dumps(found, indent=2, sort_keys=True) + "\n"
        case ".yaml":
            text = yaml.safe_dump(found, sort_keys=True, width=120)
        case _:
            text = found
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text)
    assert file.exists(), f"{file.name} is not there: write it with `make golden`, and read it"
    assert text == file.read_text(), f"{file.name} differs: if you meant to, run `make golden` and read the diff"
