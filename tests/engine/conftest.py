"""One cluster for the whole engine tier, and stacks with a state and a namespace of their own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.cluster import Cluster
from sandbox.tools import Toolbox
from sandbox.workspace import Workspace
from tests.support import engine
from tests.support.engine import Stack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here is of the engine tier."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.engine)


@pytest.fixture(scope="session")
def cluster(toolbox: Toolbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    started = Cluster(tmp_path_factory.mktemp("sandbox") / "cluster", toolbox)
    started.up()
    yield started
    started.down()


@pytest.fixture(scope="session")
def base(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return engine.prepare(cluster, tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def new_stack(base: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Stack]:
    """Makes stacks: name (`dev` or `prod`), namespace, and whether dev is `watched`."""

    def make(name: str, namespace: str, *, watched: bool = False) -> Stack:
        return engine.stack(base, tmp_path_factory.mktemp(namespace) / "workspace", name, namespace, watched=watched)

    return make
