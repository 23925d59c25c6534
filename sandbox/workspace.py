"""Where the sandbox runs Pulumi: its own home, its own state, its own passphrase, and the very same commands.

Nothing of the user's is touched: `~/.pulumi`, the kubeconfig and the stack files of the checkout stay as they are.
"""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sandbox.cluster import CONTEXT, Cluster, ClusterError
from sandbox.tools import Toolbox, load

ROOT = Path(__file__).resolve().parent.parent
"""The checkout: the program is the one that a user would run."""

CRDS = ROOT / "crds"
PACKAGES = ROOT / ".venv"
POLICIES = ("--policy-pack", str(ROOT / "policies"))
"""Flags of every command that plans."""


@dataclass(frozen=True)
class Workspace:
    """State of the stacks on an embedded cluster.

    Attributes:
        directory: everything that Pulumi keeps: home, state, passphrase, stack files.
        cluster: where the stacks live.
    """

    directory: Path
    cluster: Cluster

    @property
    def toolbox(self) -> Toolbox:
        """The pinned tools, the cluster's own."""
        return self.cluster.toolbox

    def environment(self) -> dict[str, str]:
        """What `pulumi` finds in its environment; prepares what it points at."""
        link_packages()
        home, state = self.directory / "pulumi", self.directory / "state"
        state.mkdir(parents=True, exist_ok=True)
        self.toolbox.link_plugins(home)
        passphrase = self.directory / "passphrase"
        if not passphrase.exists():
            passphrase.touch(mode=0o600)
            passphrase.write_text(secrets.token_urlsafe(32))
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
        return {
            **kept,
            **tool_path(self.toolbox),
            **self.cluster.kubectl_environment,
            "PULUMI_HOME": str(home),
            "PULUMI_BACKEND_URL": state.as_uri(),
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(passphrase),
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "PULUMI_ERROR_OUTPUT_STRING": "1",
            **crds_environment(self.toolbox, CONTEXT),
        }

    def config_file(self, program: Path, stack: str) -> Path:
        """The stack's configuration, with the encryption salt that Pulumi would write into the checkout's file."""
        project = str(yaml.safe_load((program / "Pulumi.yaml").read_text())["name"])
        folder = self.directory / "stacks" / project
        return folder / f"Pulumi.{stack}.yaml"

    def prepare(self, program: Path, stack: str, config: str | None = None) -> Path:
        """Create the stack if it is new, and lay its configuration out.

        Args:
            program: directory of the program, with its Pulumi.yaml.
            stack: name of the stack.
            config: text of the stack file; the program's own `Pulumi.<stack>.yaml` by default.

        Returns:
            The file for `--config-file`.
        """
        file = self.config_file(program, stack)
        salt = file.with_suffix(".salt")
        if not salt.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            (file.parent / "Pulumi.yaml").write_text((program / "Pulumi.yaml").read_text())
            file.unlink(missing_ok=True)
            self._run(["stack", "init", stack, "--no-select"], file.parent, capture=True)
            salt.write_text(yaml.safe_load(file.read_text())["encryptionsalt"])
        own = program / file.name
        text = config if config is not None else own.read_text() if own.exists() else ""
        file.write_text(f"{text.rstrip()}\nencryptionsalt: {salt.read_text()}\n".lstrip())
        return file

    def pulumi(
        self,
        command: Sequence[str],
        stack: str,
        *,
        program: Path = ROOT,
        config: str | None = None,
        capture: bool = False,
        extra_env: Mapping[str, str] | None = None,
    ) -> "subprocess.CompletedProcess[str]":
        """Run one Pulumi command on a stack of this workspace.

        Args:
            command: such as `["up", "--yes"]`.
            stack: name of the stack, made if it is new.
            program: directory of the program.
            config: text of the stack file, where it is not the program's own.
            capture: keep what it prints instead of showing it.
            extra_env: overrides of the environment.
        """
        file = self.prepare(program, stack, config)
        full = [*command, "--stack", stack, "--config-file", str(file)]
        return self._run(full, program, capture=capture, check=False, extra_env=extra_env)

    def outputs(self, stack: str, *, program: Path = ROOT) -> dict[str, Any]:
        """What a stack publishes."""
        done = self._run(["stack", "output", "--json", "--stack", stack], program, capture=True)
        return dict(json.loads(done.stdout))

    def apply_crds(self, stack: str, *, again: bool = False, capture: bool = False) -> bool:
        """Apply the cluster's CRDs where this release has not been applied yet.

        Returns:
            Whether they are there.
        """
        applied = self.cluster.directory / f"{stack}-{self.toolbox.crds.name}.applied"
        if applied.exists() and not again:
            return True
        done = self.pulumi(
            ["up", "--yes", "--skip-preview", "--refresh", *POLICIES], stack, program=CRDS, capture=capture
        )
        if done.returncode == 0:
            applied.touch()
        return done.returncode == 0

    def _run(
        self,
        command: Sequence[str],
        directory: Path,
        *,
        capture: bool,
        check: bool = True,
        extra_env: Mapping[str, str] | None = None,
    ) -> "subprocess.CompletedProcess[str]":
        color = "never" if capture else "auto"
        done = subprocess.run(
            [str(self.toolbox.binary("pulumi")), *command, "--non-interactive", "--color", color],
            cwd=directory,
            env={**self.environment(), **(extra_env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=capture,
            text=True,
            check=False,
        )
        if check and done.returncode:
            told = (done.stderr or done.stdout or "see above").strip()
            raise ClusterError(f"`pulumi {' '.join(command[:2])}` failed: {told}")
        return done


def run_shown(command: Sequence[str], directory: Path, env: Mapping[str, str]) -> int:
    """Run a command for a person to see; where Pulumi says too little, say what to do.

    Returns:
        Its exit status.
    """
    with subprocess.Popen(command, cwd=directory, env=env, stderr=subprocess.PIPE, text=True) as process:
        told = ""
        for line in process.stderr or ():
            sys.stderr.write(line)
            told += line
    if "incorrect passphrase" in told:
        stack = command[command.index("--stack") + 1] if "--stack" in command else "the stack"
        where = f"Pulumi.{stack}.yaml (key encryptionsalt)"
        remedy = "set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE to the one the stack was created with"
        sys.stderr.write(f"error: the passphrase does not open {where}: {remedy}; nothing was changed\n")
    return process.returncode


def link_packages() -> None:
    """Make this interpreter's environment the checkout's `.venv`, where it has none of its own.

    Pulumi starts a policy pack with the interpreter that `PulumiPolicy.yaml` names, and with no other.
    """
    if not PACKAGES.exists():
        PACKAGES.unlink(missing_ok=True)
        PACKAGES.symlink_to(sys.prefix)


def tool_path(toolbox: Toolbox) -> dict[str, str]:
    """PATH with this interpreter and the pinned tools first."""
    return {"PATH": os.pathsep.join([str(Path(sys.executable).parent), str(toolbox.bin), os.environ.get("PATH", "")])}


def crds_environment(toolbox: Toolbox, context: str) -> dict[str, str]:
    """What the program in `crds/` reads."""
    return {
        "KUBERAY_CRDS": str(toolbox.crds),
        "KUBERAY_VERSION": load()["kuberay-operator"].version,
        "CRDS_CONTEXT": context,
    }
