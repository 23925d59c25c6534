"""Real pods on a real node. Only when asked for, with `-m e2e` or E2E=1: it needs root and the whole machine."""

import os
from pathlib import Path

import pytest

from sandbox.machine import obstacle
from sandbox.tools import Toolbox, install, wanted


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Everything here is of the e2e tier, which is left out unless it is asked for."""
    own = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in own:
        item.add_marker(pytest.mark.e2e)
    if own and not (os.environ.get("E2E") or "e2e" in config.option.markexpr):
        config.hook.pytest_deselected(items=own)
        items[:] = [item for item in items if item not in own]


@pytest.fixture(scope="session")
def real_toolbox() -> Toolbox:
    """The pinned tools, with those of a real node."""
    if reason := obstacle():
        pytest.skip(reason)
    return install(wanted(real=True))
