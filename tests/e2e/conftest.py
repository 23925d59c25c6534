"""Real pods on a real node. Only when asked for, with `-m e2e` or E2E=1: it needs root and the whole machine."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from sandbox import images, packages
from sandbox.cluster import Cluster
from sandbox.machine import obstacle
from sandbox.tools import Toolbox, install, wanted
from sandbox.workspace import Workspace
from tests.support import engine
from tests.support.engine import Stack, deployed


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Everything here is of the e2e tier, which is left out unless it is asked for."""
    own = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in own:
        item.add_marker(pytest.mark.e2e)
    # What shares a stack comes last: two at once do not fit into two cores.
    items.sort(key=lambda item: item in own and "dev" in getattr(item, "fixturenames", ()))
    if own and not (os.environ.get("E2E") or "e2e" in config.option.markexpr):
        config.hook.pytest_deselected(items=own)
        items[:] = [item for item in items if item not in own]


@pytest.fixture(scope="session")
def real_toolbox() -> Toolbox:
    """The pinned tools, with those of a real node."""
    if reason := obstacle():
        pytest.skip(reason)
    return install(wanted(real=True))


@pytest.fixture(scope="session")
def real_cluster(real_toolbox: Toolbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with a real node that has every image of ours; one for all tests that leave it as they found it."""
    built = images.build(real_toolbox)
    cluster = Cluster(tmp_path_factory.mktemp("real") / "cluster", real_toolbox, real=True)
    try:
        assert cluster.up()
        cluster.node.load(*(image.archive for image in built.values()))
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
