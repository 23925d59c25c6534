"""The commands behind `make`: up, preview, check, down, status, crds, tools, images, prune, env."""

import argparse
import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from sandbox import addons, istio
from sandbox.cluster import CONTEXT, Cluster, ClusterError
from sandbox.forwards import open_addresses
from sandbox.health import health
from sandbox.image_build import ImageError
from sandbox.images import REFERENCES, WATCHING, build
from sandbox.images import tools as tools_of
from sandbox.machine import obstacle
from sandbox.prune import prune
from sandbox.tools import Toolbox, ToolError, install, wanted
from sandbox.workspace import (
    CRDS,
    PACKAGES,
    POLICIES,
    ROOT,
    Workspace,
    crds_environment,
    link_packages,
    run_shown,
    tool_path,
)

LOADED = (
    *("ray", "kuberay-operator", "postgres", "redis", "object-store", "store-client", "mlflow", "feast"),
    *istio.IMAGES,
)
"""The images that the platform runs, and those of the mesh; with WATCHING those of a platform that is watched."""

NO_TOOLS = Toolbox(Path(), {}, ())
"""To look at a sandbox and to remove it, none is needed."""


class Refused(Exception):  # noqa: N818 it is no failure of ours
    """The command cannot be carried out as asked; the message says why and what to do."""


def main() -> int:
    """Entry point; returns the exit status."""
    commands: dict[str, Callable[[str], int]] = {
        "up": up,
        "preview": preview,
        "check": check,
        "down": down,
        "status": status,
        "crds": crds,
        "tools": tools,
        "images": images,
        "prune": free_cache,
        "env": env,
    }
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("command", choices=commands)
    parser.add_argument("stack", nargs="?", default="dev")
    args = parser.parse_args()
    try:
        return commands[args.command](args.stack)
    except (ClusterError, ImageError, Refused, ToolError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def up(stack: str) -> int:
    """Tools, cluster, CRDs, platform; then what to try next."""
    began = time.monotonic()
    settings = _stack_file(stack)
    if _existing(settings):
        return _on_existing_cluster(["up", *POLICIES], stack, settings)
    workspace = _started(settings)
    code = _plan(workspace, ["up", "--yes"], stack)  # on a cluster of its own nobody has to be asked
    if code == 0:
        print(f"\nThe platform of stack {stack} is up after {time.monotonic() - began:.0f} s. Try:")
        print('  eval "$(make env)"                                    # kubectl and pulumi of the sandbox')
        print("  kubectl get rayclusters,pods -A -o wide               # the cluster and where its workers are")
        print(f"  pulumi stack output --stack {stack} --json                  # what other teams build on")
        if workspace.cluster.real:  # simulated pods answer nobody
            outputs = workspace.outputs(stack)
            _hand_on_logs(workspace.cluster, outputs)
            for name, address in _addresses(workspace.cluster, outputs).items():
                print(f"  {address:<53} # {name}")
            for name, command in _passwords(outputs).items():
                print(f"  {command}  # {name}")
        print("  make status                                           # health, memory, logs")
        print("  make down                                             # remove all of it")
    return code


def preview(stack: str) -> int:
    """What `up` would do, judged by the policy pack; nothing is created."""
    settings = _stack_file(stack)
    if _existing(settings):
        return _on_existing_cluster(["preview", *POLICIES], stack, settings)
    return _plan(_started(settings), ["preview"], stack)


def check(stack: str) -> int:
    """What a pull request needs: a preview with the policy pack, and a report in Markdown."""
    from sandbox import check as pull_request  # noqa: PLC0415 it takes in the whole pack: half a second

    config = _stack_file(stack)
    began, base = time.monotonic(), os.environ.get("BASE", "")
    with contextlib.redirect_stdout(sys.stderr):  # standard output is the report
        passed, text = pull_request.check(stack, config, install(wanted(real=False)), os.environ, base=base)
    print(text)
    if target := os.environ.get("REPORT"):
        Path(target).write_text(text)
    print(
        f"check of stack {stack}: {'passed' if passed else 'refused'}  {time.monotonic() - began:.0f} s",
        file=sys.stderr,
    )
    return 0 if passed else 1


def _plan(workspace: Workspace, command: list[str], stack: str) -> int:
    """Run one of Pulumi's commands on a stack of the sandbox, with the policy pack."""
    if not workspace.apply_crds(stack):
        raise Refused("the CRDs were not applied: see above")
    return workspace.pulumi([*command, *POLICIES], stack).returncode


def _started(settings: dict[str, Any]) -> Workspace:
    """The workspace with its cluster running as the stack wants it: its addons, and its images where pods are real."""
    real = _real()
    loaded = {*LOADED, *(WATCHING if "ml-platform:observability" in settings else ())} if real else set()
    toolbox = install({*wanted(real=real), *tools_of(loaded)})
    built = build(toolbox, loaded) if real else {}
    archives = [image.archive for image in built.values() if image.name in loaded]
    workspace = _workspace(toolbox, real=real)
    _step("cluster", lambda: workspace.cluster.up(images=archives))
    addons.install(workspace.cluster, addons.named(settings))
    return workspace


def _hand_on_logs(cluster: Cluster, outputs: dict[str, Any]) -> None:
    """Let the cluster's log agents bring what containers print to where the platform keeps logs."""
    if logs := _watching(outputs).get("logs"):
        addons.install_log_agents(cluster, str(logs["url"]))


def _real() -> bool:
    """Whether pods run for real: as SANDBOX says, else as what runs already does, else wherever it is possible."""
    choice = os.environ.get("SANDBOX", "")
    if choice not in {"", "real", "simulated"}:
        raise Refused(f"SANDBOX is '{choice}': set it to real or simulated, or leave it out")
    if not choice and (running := _workspace(NO_TOOLS).cluster).kubeconfig.exists():
        return running.node.exists
    if choice == "simulated":
        print("sandbox: simulated pods, as SANDBOX says", flush=True)
        return False
    reason = obstacle()
    if reason and choice:
        raise Refused(f"SANDBOX=real, but {reason}")
    which = f"simulated pods: {reason}" if reason else "real pods (SANDBOX=simulated is the other way)"
    print(f"sandbox: {which}", flush=True)
    return not reason


def _watching(outputs: dict[str, Any]) -> dict[str, Any]:
    """What a stack says of those who watch it; the engine leaves out what is null."""
    return dict(outputs.get("observability") or {})


def _addresses(cluster: Cluster, outputs: dict[str, Any]) -> dict[str, str]:
    """What a person can open, by the name of its Service."""
    addresses = {
        "ray-head": outputs["ray"]["dashboard"],
        "mlflow": outputs["mlflow"]["tracking"],
        "feast-server": outputs["feast"]["online"],
    }
    watching = _watching(outputs)
    addresses |= {name: address for name in ("prometheus", "alertmanager") if (address := watching.get(name))}
    ports = {service: int(address["port"]) for service, address in addresses.items()}
    return open_addresses(cluster, str(outputs["tenancy"]["namespace"]), ports)


def _passwords(outputs: dict[str, Any]) -> dict[str, str]:
    """The commands that print what a person is asked for there."""
    references = {"token of ray-head": outputs["ray"]["token"]}
    if admin := outputs["mlflow"]["admin"]:
        references[f"password of mlflow's {admin['user']}"] = admin["password"]
    get = f"kubectl -n {outputs['tenancy']['namespace']} get secret"
    return {
        name: f"{get} {secret['name']} -o jsonpath='{{.data.{secret['key']}}}' | base64 -d"
        for name, secret in references.items()
        if secret
    }


def down(stack: str) -> int:
    """Remove the sandbox: every process and every file outside the tool cache."""
    if _existing(_stack_file(stack)):
        raise Refused(f"stack {stack} lives on a cluster of yours: `pulumi destroy --stack {stack}` removes it")
    directory = _directory()
    if directory.exists():
        _step("cluster removed", _workspace(NO_TOOLS).cluster.down)
        shutil.rmtree(directory)
    else:
        print("sandbox: nothing to remove")
    if PACKAGES.is_symlink():
        PACKAGES.unlink()
    return 0


def status(stack: str) -> int:
    """Every process of the sandbox with memory and log, and the health of what they make together."""
    del stack
    if not _directory().exists():
        print("sandbox: not running (start it with `make up`)")
        return 1
    cluster = _workspace(NO_TOOLS).cluster
    components, found = cluster.status(), health(cluster.kubeconfig)
    for component in components:
        state = f"running  {component.memory:5d} MiB" if component.running else "stopped           "
        print(f"{component.name:<60} {state}  {component.log}")
    for line in found:
        memory = f"{line.memory:5d} MiB" if line.memory is not None else ""
        print(f"{line.name:<60} {line.told}  {memory}".rstrip())
    return 0 if all(component.running for component in components) and all(line.well for line in found) else 1


def crds(stack: str) -> int:
    """Apply the CRDs of the pinned KubeRay release to the stack's cluster."""
    settings = _stack_file(stack)
    if _existing(settings):
        return _on_existing_cluster(["up", *POLICIES], stack, settings, program=CRDS)
    return 0 if _started(settings).apply_crds(stack, again=True) else 1


def tools(stack: str) -> int:
    """Obtain every pinned tool that this machine can use: those of a real node only where one is possible."""
    del stack
    install(wanted(real=not obstacle()))
    return 0


def images(stack: str) -> int:
    """Build every image of the sandbox; those of a platform that is watched not where WATCHING says no."""
    del stack
    wish = os.environ.get("WATCHING", "")
    if wish not in {"", "no"}:
        raise Refused(f"WATCHING is '{wish}': set it to no, or leave it out")
    names = set(REFERENCES) - (WATCHING if wish else set())
    for image in build(install({*wanted(real=True), *tools_of(names)}), names).values():
        print(f"{image.reference:<40} {image.size / 1e6:6.0f} MB  {image.digest}")
    return 0


def free_cache(stack: str) -> int:
    """Remove the tools, images and Python packages that this checkout does not pin."""
    del stack
    removed = prune()
    for part in removed:
        print(f"removed  {part.size / 1e6:6.0f} MB  {part.path}")
    print(f"cache: {sum(part.size for part in removed) / 1e9:.1f} GB freed")
    return 0


def env(stack: str) -> int:
    """Print the shell commands that make kubectl and pulumi those of the sandbox."""
    del stack
    with contextlib.redirect_stdout(sys.stderr):  # standard output is for the shell that evaluates it
        workspace = _workspace(install())
    found = workspace.environment()
    for name in sorted(set(found) - set(os.environ) | {"PATH", "KUBECONFIG"}):
        print(f"export {name}='{found[name]}'")
    return 0


def _directory() -> Path:
    return Path(os.environ.get("ML_PLATFORM_SANDBOX", ROOT / ".sandbox")).resolve()


def _workspace(toolbox: Toolbox, *, real: bool = False) -> Workspace:
    return Workspace(_directory(), Cluster(_directory() / "cluster", toolbox, real=real))


def _stack_file(stack: str) -> dict[str, Any]:
    file = ROOT / f"Pulumi.{stack}.yaml"
    if not file.exists():
        known = ", ".join(sorted(path.name[len("Pulumi.") : -len(".yaml")] for path in ROOT.glob("Pulumi.*.yaml")))
        raise Refused(f"there is no stack '{stack}': {file.name} does not exist (stacks here: {known})")
    try:
        loaded = yaml.safe_load(file.read_text()) or {}
    except yaml.YAMLError as error:
        raise Refused(f"{file.name} is not valid YAML: {error}") from error
    config = loaded.get("config") if isinstance(loaded, dict) else None
    return config if isinstance(config, dict) else {}


def _existing(settings: dict[str, Any]) -> bool:
    cluster = settings.get("ml-platform:cluster")
    return isinstance(cluster, dict) and cluster.get("kind") == "existing"


def _on_existing_cluster(command: list[str], stack: str, settings: dict[str, Any], program: Path = ROOT) -> int:
    """Run Pulumi as the user would: own kubeconfig, own state, own questions; only the tools are ours."""
    context = settings.get("kubernetes:context")
    if not context:
        raise Refused(
            f"Pulumi.{stack}.yaml: kubernetes:context: is missing, and ml-platform:cluster.kind is 'existing': name "
            f"the context of the cluster, with `pulumi config set kubernetes:context NAME --stack {stack}`"
        )
    toolbox = install()
    link_packages()
    environment = {**os.environ, **tool_path(toolbox), **crds_environment(toolbox, str(context))}
    return run_shown([str(toolbox.binary("pulumi")), *command, "--stack", stack], program, environment)


def _step(name: str, action: Callable[[], object]) -> None:
    began = time.monotonic()
    action()
    print(f"{name}  {time.monotonic() - began:.1f} s  ({CONTEXT})", flush=True)


if __name__ == "__main__":
    sys.exit(main())
