"""Debian packages that the sandbox needs on this machine."""

import shutil

from sandbox.processes import ClusterError, run


def installable() -> bool:
    """Whether this machine has the means to install packages."""
    return shutil.which("apt-get") is not None


def install(*packages: str) -> None:
    """Install packages; the lists are brought up to date only where it does not work without.

    Raises:
        ClusterError: they cannot be installed; the message is apt-get's.
    """
    if not installable():
        raise ClusterError(f"{', '.join(packages)}: not installed, and there is no apt-get to install it")
    print(f"packages: installing {', '.join(packages)}", flush=True)
    apt_get = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get")
    command = (*apt_get, "install", "--yes", "--no-install-recommends", *packages)
    try:
        run(*command)
    except ClusterError:
        run(*apt_get, "update", "--quiet")
        run(*command)
