"""Fixtures of every tier."""

import pytest

from sandbox.tools import Toolbox, install


@pytest.fixture(scope="session")
def toolbox() -> Toolbox:
    """The pinned tools; obtained first where the cache lacks them."""
    return install()
