"""Real pods on a real node. Only when asked for, with `-m e2e` or E2E=1: it needs root and the whole machine."""

import os
import shutil
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from sandbox import images, packages
from sandbox.cluster import Cluster
from sandbox.machine import install_packages, obstacle
from sandbox.processes import ClusterError
from sandbox.tools import Toolbox, install, wanted
from sandbox.workspace import Workspace
from tests.support import engine
from tests.support.engine import Stack, deployed

_BEGAN = time.monotonic()
_LAST = {"test_rotation": 3, "test_stores_external": 4, "test_observability_for_real": 5}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Everything here is of the e2e tier, which is left out unless it is asked for."""
    own = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in own:
        item.add_marker(pytest.mark.e2e)
        if not item.get_closest_marker("timeout"):
            # The first to need it also waits for a cluster with all images, or for the whole platform.
            item.add_marker(pytest.mark.timeout(600))
    items.sort(key=lambda item: _turn(item) if item in own else 0)
    if own and not (os.environ.get("E2E") or "e2e" in config.option.markexpr):
        config.hook.pytest_deselected(items=own)
        items[:] = [item for item in items if item not in own]


def _turn(item: pytest.Item) -> int:
    """What shares a stack comes late: two at once do not fit into two cores. Last come those that leave it changed."""
    if "dev" not in getattr(item, "fixturenames", ()):
        return 1
    return _LAST.get(item.path.stem, 2)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """What would begin after the time that it was given is left out, and says so."""
    given = float(os.environ.get("E2E_SECONDS", "inf"))
    if Path(__file__).parent in item.path.parents and time.monotonic() - _BEGAN > given:
        pytest.skip(f"left out: more than {given / 60:.0f} minutes have gone; `make e2e` runs all")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows the pods of its stacks as they are now: whoever reads of it cannot ask them any more."""
    report = yield
    if report.failed:
        stacks = [each for each in getattr(item, "funcargs", {}).values() if isinstance(each, Stack)]
        report.sections += [(f"namespace {stack.namespace}", told(stack)) for stack in stacks]
    return report


def told(stack: Stack) -> str:
    """The pods of a stack, what happened to them, and what Ray's autoscaler said last."""
    try:
        return "\n".join(
            stack.kubectl(*question, check=False)
            for question in (
                ("get", "pods", "--output=wide"),
                ("get", "events", "--sort-by=.lastTimestamp", "--field-selector=type=Warning"),
                ("logs", "--selector=ray.io/node-type=head", "--container=autoscaler", "--tail=40"),
            )
        )
    except ClusterError as error:
        return str(error)


@pytest.fixture(scope="session")
def real_toolbox() -> Toolbox:
    """The pinned tools of a real node, and the machine's packages: no test is about what installing leaves."""
    if reason := obstacle():
        pytest.skip(reason)
    install_packages()
    return install(wanted(real=True))


@pytest.fixture(scope="session")
def real_cluster(real_toolbox: Toolbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with a real node that has every image of ours; one for all tests that leave it as they found it."""
    built = images.build(real_toolbox)
    cluster = Cluster(tmp_path_factory.mktemp("real") / "cluster", real_toolbox, real=True)
    try:
        assert cluster.up(images=[image.archive for image in built.values()])
        yield cluster
    finally:
        cluster.down()


@pytest.fixture(scope="session")
def real_base(real_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace on that cluster with the CRDs applied."""
    return engine.prepare(real_cluster, tmp_path_factory.mktemp("real-base"))


@pytest.fixture(scope="session")
def dev(real_base: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The platform of stack dev; whoever changes it puts it back (`engine.changed`)."""
    stack = engine.stack(real_base, tmp_path_factory.mktemp("dev") / "workspace", "dev", "platform")
    with deployed(stack):
        yield stack


@pytest.fixture(scope="module")
def new_stack(real_base: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Stack]:
    """Makes stacks of dev, each in a namespace of its own; only one at a time fits."""

    def make(namespace: str) -> Stack:
        return engine.stack(real_base, tmp_path_factory.mktemp(namespace) / "workspace", "dev", namespace)

    return make


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium; the machine's own, installed where it has none."""
    if not shutil.which("chromium"):
        packages.install("chromium", "fonts-dejavu-core")
    with sync_playwright() as playwright:
        # Root has no sandbox of Chromium's; it sees nothing but pages of ours.
        started = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield started
        started.close()
