"""Fixtures of every tier."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from sandbox.tools import Toolbox, install
from sandbox.workspace import PACKAGES

# A busy machine is no fault of what is tested, and what failed once is an example in a test, not in a database.
settings.register_profile("ml-platform", deadline=None, database=None)
settings.load_profile("ml-platform")


@pytest.fixture(scope="session", autouse=True)
def no_link_left() -> Iterator[None]:
    """Tests that run Pulumi in the checkout link the packages there; afterwards it is as it was."""
    there = PACKAGES.is_symlink()
    yield
    if PACKAGES.is_symlink() and not there:
        PACKAGES.unlink()


@pytest.fixture(scope="session")
def toolbox() -> Toolbox:
    """The pinned tools; obtained first where the cache lacks them."""
    return install()
