"""What a pull request is checked by: the stack's program previewed with the policy pack, on a simulated cluster.

No real cluster is needed, and none is met: the stack of an existing cluster is previewed on the sandbox too, with the
CRDs of its addons. What changes is told against what the program of another commit would make.
"""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from policies import configuration, quantity
from policies.configuration import ConfigurationError
from policies.ledger import Ledger, Line, ledger
from policies.pack import RULES
from policies.rules.quota import quota_covers_demand
from policies.view import Stack
from sandbox import addons, preview
from sandbox.cluster import CONTEXT, Cluster, ClusterError
from sandbox.preview import Preview
from sandbox.processes import run
from sandbox.report import Budget, report
from sandbox.tools import Toolbox
from sandbox.workspace import POLICIES, ROOT, Workspace

PAGES = "docs/rules"


def check(
    stack: str, config: Mapping[str, Any], toolbox: Toolbox, environment: Mapping[str, str], *, base: str = ""
) -> tuple[bool, str]:
    """Preview a stack and say what is found.

    Args:
        stack: its name.
        config: that of its stack file.
        toolbox: the pinned tools.
        environment: that of a CI system, which says where pages are.
        base: the commit that changes are told against; none for no comparison.

    Returns:
        Whether it may be deployed, and the report.

    Raises:
        ClusterError: the cluster did not start, or there is no such commit.
    """
    with _program(base) as other, _workspace(toolbox, stack, addons.named(config)) as workspace:
        after = _preview(workspace, stack, ROOT, *POLICIES)
        before = _preview(workspace, stack, other) if other else None
    text = report(
        stack, after, before=before, against=base, budgets=budgets(stack, after, before), pages=pages(environment)
    )
    return not after.refused, text


def budgets(stack: str, after: Preview, before: Preview | None) -> list[Budget]:
    """Every bound of the quotas, the tightest first, and what the objects may come to ask for, as the pack adds it up.

    None where the pack's own choices cannot be read: the preview says so.
    """
    try:
        settings = configuration.load(ROOT / "policies" / "config", stack, RULES).of(quota_covers_demand.RULE)
    except ConfigurationError:
        return []
    if not isinstance(settings, quota_covers_demand.Settings):
        raise TypeError("the rule has other settings")
    was = {_bound(line): line.total for line in _ledger(before, settings).lines()} if before else {}
    found = []
    for line in _ledger(after, settings).lines():
        key, allowed = line.quota.key, line.allowed(settings.headroom)
        old = was.get(_bound(line))
        found.append(
            Budget(
                bound=_bound(line),
                before="" if old is None else quantity.show(key, old),
                after=quantity.show(key, line.total),
                allowed=quantity.show(key, allowed),
                share=float(line.total / allowed) if allowed else float(bool(line.total)),
            )
        )
    return sorted(found, key=lambda each: -each.share)


def _bound(line: Line) -> str:
    return f"{line.quota.key} of {line.quota.resource.namespace}"


def _ledger(preview: Preview, settings: quota_covers_demand.Settings) -> Ledger:
    return ledger(Stack(tuple(preview.objects.values())), settings.survey())


def pages(environment: Mapping[str, str]) -> dict[str, str]:
    """Where the page of each rule is: on GitHub or GitLab, of the commit that is checked, else in the checkout."""
    match environment:
        case {"GITHUB_SERVER_URL": server, "GITHUB_REPOSITORY": repository, "GITHUB_SHA": commit}:
            root = f"{server}/{repository}/blob/{commit}/"
        case {"CI_PROJECT_URL": project, "CI_COMMIT_SHA": commit}:
            root = f"{project}/-/blob/{commit}/"
        case _:
            root = ""
    return {path.stem: f"{root}{PAGES}/{path.name}" for path in sorted((ROOT / PAGES).glob("*.md"))}


def stack_file(text: str) -> str:
    """A stack's configuration, led to the sandbox: an existing cluster's context would be one of its own."""
    loaded = yaml.safe_load(text) or {}
    config: dict[str, Any] = loaded.setdefault("config", {})
    cluster = config.get("ml-platform:cluster")
    if isinstance(cluster, dict):
        cluster.pop("crdsStack", None)
        if cluster.get("kind") == "existing":
            config["kubernetes:context"] = CONTEXT
    return str(yaml.safe_dump(loaded))


@contextmanager
def _workspace(toolbox: Toolbox, stack: str, installed: Iterable[str]) -> Iterator[Workspace]:
    """A cluster of its own, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="ml-platform-check-") as directory:
        workspace = Workspace(Path(directory), Cluster(Path(directory, "cluster"), toolbox))
        try:
            workspace.cluster.up()
            addons.install(workspace.cluster, installed)
            if not workspace.apply_crds(stack, capture=True):
                raise ClusterError("the CRDs were not applied")
            yield workspace
        finally:
            workspace.cluster.down()


@contextmanager
def _program(commit: str) -> Iterator[Path | None]:
    """The checkout of another commit, gone at the end."""
    if not commit:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="ml-platform-base-") as directory:
        archive, target = Path(directory, "program.tar"), Path(directory, "program")
        try:
            run("git", "-C", str(ROOT), "archive", f"--output={archive}", commit)
        except ClusterError as error:
            raise ClusterError(f"BASE is '{commit}', which is no commit of this repository: {error}") from error
        target.mkdir()
        run("tar", "--extract", f"--file={archive}", f"--directory={target}")
        yield target


def _preview(workspace: Workspace, stack: str, program: Path, *flags: str) -> Preview:
    file = program / f"Pulumi.{stack}.yaml"
    if not file.exists():
        return Preview({}, (), (f"there is no {file.name}",))
    done = workspace.pulumi(
        ["preview", "--json", *flags],
        stack,
        program=program,
        config=stack_file(file.read_text()),
        capture=True,
        extra_env=preview.STREAMING,
    )
    found = preview.read(done.stdout.splitlines())
    if done.returncode and not found.refused:
        return Preview(found.objects, found.violations, ((done.stderr or done.stdout).strip()[-2000:],))
    return found
