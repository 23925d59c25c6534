"""Conftest, with the rules of `rego/`: each says what one rule of the pack says."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.verdicts import Verdict
from policies.pack import RULES

REGO: Final = Path(__file__).with_name("rego")
SHARED: Final = tuple(rule for rule in RULES if (REGO / f"{rule.name.replace('-', '_')}.rego").is_file())
"""The rules of the pack that are written in Rego too."""


class ConftestError(Exception):
    """Conftest has failed; the text is its own."""


@dataclass(frozen=True)
class Conftest:
    """The binary, which starts anew for each test."""

    binary: Path

    def test(self, folder: Path) -> str:
        """Judge every file in a folder; the report is JSON."""
        command = [str(self.binary), "test", "--policy", str(REGO), "--output", "json", "--no-fail", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ConftestError(done.stderr or done.stdout)
        return done.stdout


def verdicts(report: str) -> set[Verdict]:
    """What a report in JSON says was found."""
    return {
        Verdict(Path(tested["filename"]).name, failure["metadata"]["rule"], failure["metadata"]["path"])
        for tested in json.loads(report)
        for failure in tested.get("failures", ())
    }
