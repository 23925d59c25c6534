"""What a real node needs of the machine: packages, namespaces, control groups, and static programs as images."""

import contextlib
import io
import json
import os
import platform
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

from sandbox import layers, packages
from sandbox.processes import ClusterError, run

PACKAGES = {
    "catatonit": "catatonit",
    "containerd": "containerd",
    "ctr": "containerd",
    "debootstrap": "debootstrap",
    "runc": "runc",
    "ip": "iproute2",
    "iptables": "iptables",
    "mount": "mount",
    "nft": "nftables",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "socat": "socat",
}
"""Commands of the machine that the node and its images need, and the Debian packages that have them."""

BUSYBOX = Path("/bin/busybox")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where the node's processes find commands, whatever the user's PATH is."""

NAMESPACES = ("--mount", "--net", "--pid")
"""What the node has for itself, as flags of `unshare` and `nsenter`."""

_PLUGINS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
_CGROUPS = Path("/sys/fs/cgroup")

# Tried before anything is started, and undone by its own end.
_TRIAL = """set -e
mount -t tmpfs tmpfs /run
mkdir /run/upper /run/work
mount -t overlay overlay -o lowerdir=/var,upperdir=/run/upper,workdir=/run/work /var
if command -v ip > /dev/null; then ip link add trial type veth peer name peer; fi
"""


def obstacle() -> str:
    """Why a real node is not possible on this machine, in plain words; empty where it is. Installs nothing."""
    if platform.system() != "Linux":
        return f"real pods need Linux, and this is {platform.system()}"
    if os.geteuid():
        return "real pods need root: they have namespaces and control groups of their own"
    if not any(os.access(path, os.W_OK) for path in controllers()):
        return f"no control groups can be made below {_CGROUPS}"
    missing = _missing()
    if missing and not packages.installable():
        return f"missing and not installable without apt-get: {', '.join(missing)}"
    command = ["unshare", *NAMESPACES, "--fork", "sh", "-c", _TRIAL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"this machine allows no namespaces of its own: {done.stderr.strip()}" if done.returncode else ""


def install_packages() -> None:
    """Install the packages that are missing.

    Raises:
        ClusterError: apt-get failed.
    """
    if missing := _missing():
        packages.install(*missing)


def image(target: Path, reference: str, files: Mapping[str, Path], entrypoint: list[str]) -> Path:
    """Write an image that consists of a few static programs; busybox gets its links.

    Args:
        target: the archive.
        reference: its name in the node.
        files: path in the image to the file on this machine.
        entrypoint: what runs by default.
    """
    with tempfile.TemporaryDirectory(dir=target.parent) as made:
        root, layer = Path(made, "root"), Path(made, "layer.tar")
        for name, source in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, root / name)
        if (root / "bin" / "busybox").exists():
            for applet in run(str(BUSYBOX), "--list").split():
                with contextlib.suppress(FileExistsError):
                    (root / "bin" / applet).symlink_to("busybox")
        layers.pack(root, {}, layer)
        layers.save(target, reference, {"Entrypoint": entrypoint, "Env": [f"PATH={PATH}"]}, layer, None)
    return target


def held(archive: Path) -> dict[str, str]:
    """The images in an OCI archive, name to digest; empty where the archive does not say (Docker's older format)."""
    with tarfile.open(archive) as tar, contextlib.suppress(KeyError):
        index = json.load(tar.extractfile("index.json") or io.BytesIO(b"{}"))
        return {each["annotations"]["io.containerd.image.name"]: each["digest"] for each in index["manifests"]}
    return {}


def plugins() -> Path:
    """Where the CNI plugins of this machine lie, or belong."""
    return next((path for path in _PLUGINS if (path / "ptp").is_file()), _PLUGINS[0])


def found(command: str) -> Path:
    """The file of a command.

    Raises:
        ClusterError: it is not there.
    """
    path = shutil.which(command, path=PATH)
    if not path:
        raise ClusterError(f"{command} is not installed")
    return Path(path)


def controllers() -> list[Path]:
    """The roots of the control groups: one in version 2, one for each controller in version 1."""
    if (_CGROUPS / "cgroup.controllers").exists():
        return [_CGROUPS]
    return sorted({path.resolve() for path in _CGROUPS.glob("*") if (path / "cgroup.procs").exists()})


def remove_groups(name: str) -> bool:
    """Remove the control groups of this name; returns whether none is left, because none had a process."""
    gone = True
    for root in (controller / name for controller in controllers()):
        for folder, _, _ in os.walk(root, topdown=False):
            try:
                Path(folder).rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                gone = False
    return gone


def _missing() -> list[str]:
    missing = {package for command, package in PACKAGES.items() if not shutil.which(command, path=PATH)}
    if not (plugins() / "ptp").is_file():
        missing.add("containernetworking-plugins")
    if not BUSYBOX.exists() or _needs_libraries(BUSYBOX):
        missing.add("busybox-static")
    return sorted(missing)


def _needs_libraries(program: Path) -> bool:
    """Whether a program runs in no image but one with its libraries; `ldd` fails for a static one."""
    with contextlib.suppress(ClusterError):
        run("ldd", str(program))
        return True
    return False
