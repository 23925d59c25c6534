"""The real Pulumi CLI and Kubernetes provider on a cluster that the tests start themselves."""

import base64
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from components.settings import Settings
from sandbox.cluster import CONTEXT, Cluster
from sandbox.workspace import ROOT, Workspace
from tests.support.configuration import load_with, stack_config
from tests.support.post_mortem import post_mortem


@dataclass(frozen=True)
class Outcome:
    """What one Pulumi command did.

    Attributes:
        code: exit status.
        text: all that it printed.
    """

    code: int
    text: str

    @property
    def changes(self) -> dict[str, int]:
        """The summary under `Resources:`, such as {"created": 22}."""
        summary = self.text.rsplit("\nResources:", 1)[-1]
        return {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", summary.split("Duration")[0])}


@dataclass(frozen=True)
class Stack:
    """One stack of the platform in a namespace of its own.

    Attributes:
        workspace: where its state is kept.
        name: `dev` or `prod`.
        config: that of its stack file, changed as the test wants it.
        pack: the policy pack that judges it.
    """

    workspace: Workspace
    name: str
    config: dict[str, Any]
    pack: Path = ROOT / "policies"

    @property
    def policies(self) -> tuple[str, str]:
        """Flags of every command that is judged."""
        return "--policy-pack", str(self.pack)

    @property
    def namespace(self) -> str:
        """Where the stack's objects live."""
        return str(self.config.get("ml-platform:tenancy", {}).get("namespace", "data-platform"))

    def with_config(self, **values: Any) -> "Stack":
        """The same stack with other settings: `ray={...}` is merged into `ml-platform:ray`."""
        changed = json.loads(json.dumps(self.config))
        for key, value in values.items():
            full = f"ml-platform:{key}"
            changed[full] = {**changed.get(full, {}), **value} if isinstance(value, dict) else value
        return replace(self, config=changed)

    def judged_with(self, directory: Path, **rules: dict[str, list[Any]]) -> "Stack":
        """The same stack, judged by a copy of the pack in which lists of settings are longer.

        `no_dangling={"foreignPods": [...]}` names pods beside those that the stack's own choice names.
        """
        pack = pack_copy(directory)
        file = pack / "config" / f"{self.name}.json"
        choice = json.loads(file.read_text())
        for rule, values in rules.items():
            own = choice["rules"][rule.replace("_", "-")].setdefault("settings", {})
            for key, more in values.items():
                own[key] = [*own.get(key, []), *more]
        file.write_text(json.dumps(choice))
        return replace(self, pack=pack)

    def pulumi(self, *command: str, program: Path = ROOT, env: dict[str, str] | None = None) -> Outcome:
        """Run a command on the stack."""
        text = yaml.safe_dump({"config": self.config})
        done = self.workspace.pulumi(
            list(command), self.name, program=program, config=text, capture=True, extra_env=env
        )
        return Outcome(done.returncode, done.stdout + done.stderr)

    def up(self, *flags: str) -> Outcome:
        """`pulumi up` with the policy pack, as `make up` does it."""
        return self.pulumi("up", "--yes", *self.policies, *flags)

    def preview(self, *flags: str) -> Outcome:
        """`pulumi preview` with the policy pack."""
        return self.pulumi("preview", *self.policies, *flags)

    def destroy(self) -> Outcome:
        """`pulumi destroy`."""
        return self.pulumi("destroy", "--yes")

    def state(self) -> str:
        """Everything that Pulumi keeps about the stack on disk, as text: state, backups, history."""
        files = [path for path in (self.workspace.directory / "state").rglob("*") if path.is_file()]
        return "\n".join(path.read_text(errors="replace") for path in files)

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs."""
        return self.workspace.outputs(self.name)

    def kubectl(self, *args: str, stdin: str | None = None, check: bool = True) -> str:
        """kubectl in the stack's namespace."""
        return self.workspace.cluster.kubectl("--namespace", self.namespace, *args, stdin=stdin, check=check)

    def create(self, *objects: dict[str, Any]) -> None:
        """Create objects in the stack's namespace, as someone does who lives beside the platform."""
        listed = {"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", **each} for each in objects]}
        self.kubectl("create", "--filename", "-", stdin=json.dumps(listed))

    def secret(self, name: str, key: str) -> str:
        """What a key of a Secret holds."""
        return base64.b64decode(self.get("secret", name)["data"][key]).decode()

    def get(self, *args: str) -> Any:
        """An object, or a list of objects, as kubectl returns it."""
        return json.loads(self.kubectl("get", *args, "--output", "json"))

    def objects(self) -> set[str]:
        """Every object that carries the platform's label, cluster-wide."""
        kinds = "namespaces,priorityclasses,all,secrets,serviceaccounts,roles,rolebindings,resourcequotas,limitranges"
        kinds += ",networkpolicies"
        listed = self.workspace.cluster.kubectl(
            "get", kinds, "--all-namespaces", "--selector", "app.kubernetes.io/part-of=ml-platform", "--output", "json"
        )
        return {
            f"{item['kind']}/{item['metadata']['name']}"
            for item in json.loads(listed)["items"]
            if self.namespace in (item["metadata"].get("namespace"), item["metadata"]["name"])
            or item["metadata"]["name"].startswith(f"{self.namespace}-")
        }


def stack(base: Workspace, directory: Path, name: str, namespace: str, *, watched: bool = False) -> Stack:
    """A stack of the checkout, `dev` or `prod`, with a state of its own on a cluster that has the CRDs.

    Args:
        base: a workspace in which the CRDs have been applied.
        directory: where the state goes.
        name: of the stack.
        namespace: where its objects go.
        watched: whether dev has those who watch it; what is not about them is quicker without.
    """
    shutil.copytree(base.directory, directory, symlinks=True)
    config = stack_config(name, watched=watched or name != "dev")
    config["ml-platform:tenancy"] = {**config.get("ml-platform:tenancy", {}), "namespace": namespace}
    cluster = {**config.get("ml-platform:cluster", {}), "crdsStack": "organization/ml-platform-crds/dev"}
    config["ml-platform:cluster"] = cluster
    if cluster.get("kind") == "existing":
        config["kubernetes:context"] = CONTEXT
    return Stack(Workspace(directory, base.cluster), name, config)


def pack_copy(directory: Path) -> Path:
    """A copy of the policy pack, with the packages that it is started with."""
    shutil.copytree(ROOT / "policies", directory / "policies")
    (directory / ".venv").symlink_to(sys.prefix)
    return directory / "policies"


@contextmanager
def deployed(stack: Stack) -> Iterator[Stack]:
    """A stack from its first `up` to a `destroy` that leaves nothing.

    Raises:
        AssertionError: one of both failed, or something was left.
    """
    done = stack.up()
    assert done.code == 0, f"{done.text}\n{post_mortem(stack)}"
    yield stack
    gone = stack.destroy()
    assert gone.code == 0, gone.text
    assert eventually(lambda: not stack.objects(), seconds=60)


@contextmanager
def changed(stack: Stack, **config: Any) -> Iterator[Stack]:
    """The stack with other settings, for as long as the block runs.

    Raises:
        AssertionError: the change failed, or the way back.
    """
    other = stack.with_config(**config)
    done = other.up()
    assert done.code == 0, f"{done.text}\n{post_mortem(stack)}"
    try:
        yield other
    finally:
        back = stack.up()
    assert back.code == 0, back.text


def stays(pod: Any) -> bool:
    """Whether a pod is ready and not on its way out."""
    ready = {each["type"]: each["status"] for each in pod["status"].get("conditions", [])}.get("Ready")
    return ready == "True" and "deletionTimestamp" not in pod["metadata"]


def prepare(cluster: Cluster, directory: Path) -> Workspace:
    """A workspace whose cluster has the CRDs.

    Raises:
        AssertionError: they could not be applied.
    """
    workspace = Workspace(directory, cluster)
    done = workspace.apply_crds("dev", capture=True)
    assert done, "the CRDs were not applied"
    return workspace


def run(*command: str, cwd: Path = ROOT, env: dict[str, str] | None = None) -> Outcome:
    """Any command, with its output kept."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=900)
    return Outcome(done.returncode, done.stdout + done.stderr)


def settings(stack: Stack) -> Settings:
    """A stack's settings, typed."""
    return load_with(stack.config, stack.name)[0]


def eventually(check: Callable[[], bool], seconds: float = 30) -> bool:
    """Whether a check comes true within a bound."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.5)
    return False
