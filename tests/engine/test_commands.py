"""The commands behind `make`, on a clean checkout of its own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.tools import install
from tests.support.checkout import copy, left_over, make
from tests.support.engine import Outcome, run
from tests.support.machine import kill, processes_of


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    target = copy(tmp_path_factory.mktemp("clean") / "checkout")
    yield target
    make(target, "down")


def run_pulumi(checkout: Path, *args: str, env: dict[str, str]) -> Outcome:
    return run(str(install().binary("pulumi")), *args, "--non-interactive", cwd=checkout, env={**os.environ, **env})


@pytest.mark.timeout(600)
def test_up_deploys_again_changes_nothing_survives_a_crash_and_down_leaves_nothing(
    checkout: Path, tmp_path: Path
) -> None:
    home = {"HOME": str(tmp_path), "SANDBOX": "simulated"}
    first = make(checkout, "up", env=home)
    assert first.code == 0, first.text
    assert "created" in first.text
    assert "make down" in first.text
    again = make(checkout, "up", env=home)
    assert again.code == 0, again.text
    assert "unchanged" in again.text
    assert "created" not in again.text.rsplit("Resources:", 1)[1]
    status = make(checkout, "status", env=home)
    assert status.code == 0, status.text
    assert status.text.count("running") >= 7
    assert make(checkout, "preview", env=home).code == 0
    kill(processes_of(checkout))
    assert make(checkout, "status", env=home).code != 0
    recovered = make(checkout, "up", env=home)
    assert recovered.code == 0, recovered.text
    down = make(checkout, "down", env=home)
    assert down.code == 0, down.text
    assert left_over(checkout) == ""
    assert processes_of(checkout) == set()
    assert not {".kube", ".pulumi"} & {path.name for path in tmp_path.iterdir()}  # the user's own is untouched


def test_prod_without_a_context_is_refused_before_anything_is_done(checkout: Path) -> None:
    done = make(checkout, "up", "STACK=prod")
    assert done.code != 0
    assert "Pulumi.prod.yaml: kubernetes:context: is missing" in done.text
    assert "pulumi config set kubernetes:context NAME --stack prod" in done.text
    assert "Traceback" not in done.text
    assert not (checkout / ".sandbox").exists()


def test_a_wrong_passphrase_is_refused_with_what_to_do(checkout: Path, tmp_path: Path) -> None:
    prod = checkout / "Pulumi.prod.yaml"
    before = prod.read_text()
    (tmp_path / "state").mkdir()
    backend = {"PULUMI_BACKEND_URL": (tmp_path / "state").as_uri(), "PULUMI_HOME": str(tmp_path / "home")}
    try:
        prod.write_text(before.replace("config:", "config:\n  kubernetes:context: mine", 1))
        assert (
            run_pulumi(checkout, "stack", "init", "prod", env={**backend, "PULUMI_CONFIG_PASSPHRASE": "right"}).code
            == 0
        )
        done = make(checkout, "preview", "STACK=prod", env={**backend, "PULUMI_CONFIG_PASSPHRASE": "wrong"})
    finally:
        prod.write_text(before)
    assert done.code != 0
    assert "the passphrase does not open Pulumi.prod.yaml (key encryptionsalt)" in done.text
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" in done.text
    assert "Traceback" not in done.text


def test_a_stack_that_does_not_exist_is_refused_with_those_that_do(checkout: Path) -> None:
    done = make(checkout, "up", "STACK=test")
    assert done.code != 0
    assert "Pulumi.test.yaml does not exist (stacks here: dev, prod)" in done.text


def test_removing_what_is_not_there_is_fine(checkout: Path) -> None:
    done = make(checkout, "down")
    assert done.code == 0
    assert "nothing to remove" in done.text
    assert make(checkout, "status").code != 0


def test_a_cluster_of_the_users_is_never_removed(checkout: Path) -> None:
    done = make(checkout, "down", "STACK=prod")
    assert done.code != 0
    assert "pulumi destroy --stack prod" in done.text


def test_a_stack_file_that_is_no_yaml_is_refused(checkout: Path) -> None:
    file = checkout / "Pulumi.broken.yaml"
    file.write_text("config: {")
    done = make(checkout, "up", "STACK=broken")
    file.unlink()
    assert done.code != 0
    assert "Pulumi.broken.yaml is not valid YAML" in done.text
    assert "Traceback" not in done.text


def test_help_names_every_command(checkout: Path) -> None:
    text = make(checkout, "help").text
    for target in ("up", "preview", "down", "status", "test", "lint"):
        assert f"make {target}" in text
