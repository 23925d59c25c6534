"""The check of a pull request on a checkout of its own: what it says of a change, and its exit status."""

import os
import sys
from pathlib import Path

import pytest

from tests.support.checkout import copy
from tests.support.engine import Outcome, run

GIT = ("/usr/bin/git", "-c", "user.name=tests", "-c", "user.email=tests@example.com")


@pytest.fixture(scope="module")
def proposed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A branch on which stack dev asks for more workers than there is quota."""
    checkout = copy(tmp_path_factory.mktemp("proposed") / "checkout")
    assert run(*GIT, "commit", "--quiet", "--message", "as it was", cwd=checkout).code == 0
    file = checkout / "Pulumi.dev.yaml"
    before = file.read_text()
    file.write_text(before.replace("maxReplicas: 5", "maxReplicas: 50", 1))
    assert file.read_text() != before
    return checkout


def check(checkout: Path, stack: str, report: Path, base: str) -> Outcome:
    """What `make check` does after its linters."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "GITHUB_", "CI_"))}
    env = {**kept, "BASE": base, "REPORT": str(report)}
    return run(sys.executable, "-m", "sandbox", "check", stack, cwd=checkout, env=env)


def test_a_change_that_breaks_a_rule_is_refused_and_the_report_says_why(proposed: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    done = check(proposed, "dev", report, "HEAD")
    assert done.code == 1, done.text
    text = report.read_text()
    assert text in done.text
    findings = [line for line in text.splitlines() if "| mandatory |" in line]
    assert findings
    count = f"{len(findings)} mandatory finding{'' if len(findings) == 1 else 's'}"
    assert text.startswith(f"<!-- ml-platform check dev -->\n\n## Stack `dev`: refused, {count}\n")
    for finding in findings:
        assert finding.startswith("| [quota-covers-demand](docs/rules/quota-covers-demand.md) | mandatory | ")
        assert "ml-platform:tenancy.quota" in finding
    assert "  - `spec.workerGroupSpecs[0].maxReplicas`: `5` → `50`" in text
    (limits,) = (line for line in text.splitlines() if line.startswith("| limits.cpu of "))
    before, after, allowed = (float(cell.split()[0]) for cell in limits.split("|")[2:5])
    assert before <= allowed < after
    assert not (proposed / ".sandbox").exists()


def test_a_stack_of_a_cluster_that_is_not_here_is_checked_as_well(proposed: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    done = check(proposed, "prod", report, "HEAD")
    assert done.code == 0, done.text
    text = report.read_text()
    assert "## Stack `prod`: may be deployed" in text
    assert "0 new, 0 changed, 0 removed, " in text
    assert "| mandatory |" not in text


def test_a_base_that_is_no_commit_is_refused_in_plain_words(proposed: Path, tmp_path: Path) -> None:
    done = check(proposed, "dev", tmp_path / "report.md", "no-such-branch")
    assert done.code == 1
    assert "BASE is 'no-such-branch', which is no commit of this repository" in done.text
    assert "Traceback" not in done.text
    assert not (tmp_path / "report.md").exists()
