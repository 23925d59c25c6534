"""`make up` and `make down` with real pods, on a clean checkout: what a person gets, and that nothing is left of it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.checkout import copy, left_over, make
from tests.support.engine import Outcome, eventually, run
from tests.support.machine import kill, left, machine_state, processes_of
from tests.support.watching import leave_out, left_out
from tests.support.web import ask


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    target = copy(tmp_path / "checkout")
    if left_out():
        leave_out(target)
    yield target
    make(target, "down")


def address(done: Outcome) -> str:
    assert done.code == 0, done.text
    found: list[tuple[str, str]] = re.findall(r"(http://127\.0\.0\.1:\d+) +# (\S+)", done.text)
    names = {name: url for url, name in found}
    watching = set() if left_out() else {"prometheus", "alertmanager"}
    assert set(names) == {"ray-head", "mlflow", "feast-server"} | watching, done.text
    assert eventually(lambda: all(ask(f"{names[name]}/-/ready")[0] == 200 for name in watching))
    assert eventually(lambda: ask(f"{names['mlflow']}/health")[0] == 200)
    assert eventually(lambda: ask(f"{names['feast-server']}/health")[0] == 200)
    return names["ray-head"]


def password(checkout: Path, done: Outcome, name: str) -> str:
    """What the command prints that `make up` shows for a name."""
    found = re.search(rf"^ +(kubectl .*)  # {re.escape(name)}$", done.text, re.MULTILINE)
    assert found, done.text
    return run("bash", "-c", f'eval "$(make --silent env 2> /dev/null)"; {found[1]}', cwd=checkout).text.strip()


@pytest.mark.usefixtures("real_toolbox")
@pytest.mark.timeout(1500)
def test_up_again_and_down_twice_once_after_a_crash_leave_nothing(checkout: Path) -> None:
    before = machine_state()
    first = make(checkout, "up")
    assert "sandbox: real pods" in first.text
    dashboard = address(first)
    assert ask(f"{dashboard}/api/version") == (401, "Unauthorized: Missing authentication token")
    assert machine_state() != before
    token = password(checkout, first, "token of ray-head")
    assert ask(f"{dashboard}/api/version", headers={"Authorization": f"Bearer {token}"})[0] == 200
    assert len(password(checkout, first, "password of mlflow's admin")) == 32

    again = make(checkout, "up")
    assert address(again) == dashboard
    assert "created" not in again.text.rsplit("Resources:", 1)[1]
    kill({line for line in processes_of(checkout) if line.endswith(" kubectl")})
    assert eventually(lambda: ask(f"{dashboard}/api/version")[0] == 401)
    assert eventually(lambda: make(checkout, "status").code == 0)
    status = make(checkout, "status").text
    assert re.search(r"^kubelet +running +\d+ MiB +/\S+/kubelet\.log$", status, re.MULTILINE)
    assert re.search(r"^node local +ready, real$", status, re.MULTILINE)
    assert re.search(r"^pod data-platform/ray-cluster-head-\S+ +ready +[1-9]\d+ MiB$", status, re.MULTILINE)

    simulated = make(checkout, "up", env={"SANDBOX": "simulated"})
    assert simulated.code != 0
    assert "has a real node, and none is wanted: remove it first (make down)" in simulated.text
    down = make(checkout, "down")
    assert down.code == 0, down.text
    assert left(before, checkout) == {}
    assert left_over(checkout) == ""

    address(make(checkout, "up"))
    kill(processes_of(checkout))
    assert make(checkout, "status").code != 0
    assert make(checkout, "down").code == 0
    assert left(before, checkout) == {}
    assert left_over(checkout) == ""
