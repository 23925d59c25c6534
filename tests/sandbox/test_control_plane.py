"""How the control plane is made where kwokctl fails: again where a port was taken, else at once and in plain words."""

from pathlib import Path

import pytest
import yaml

from sandbox.cluster import Cluster
from sandbox.processes import ClusterError
from sandbox.sources import Tool
from sandbox.tools import Toolbox

FILES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "kwokctl", "kubectl")

KUBECONFIG = """clusters: [{name: kwok, cluster: {server: "https://127.0.0.1:1"}}]
contexts: [{name: kwok, context: {}}]
users: [{name: kwok, user: {}}]
"""


def stubbed(home: Path, kwokctl: str) -> Cluster:
    """A cluster whose kwokctl runs a script, with $LOGS set, and whose kubectl always says "reached"."""
    home.mkdir()
    scripts = dict.fromkeys(FILES, "exit 0") | {"kwokctl": kwokctl, "kubectl": "echo reached >&2; exit 1"}
    for name, script in scripts.items():
        logs = 'LOGS="$KWOK_WORKDIR/clusters/sandbox/logs"; echo call >> "$(dirname "$0")/calls"'
        (home / name).write_text(f"#!/bin/sh\n{logs if name == 'kwokctl' else ''}\n{script}\n")
        (home / name).chmod(0o755)
    return Cluster(home.parent / "cluster", Toolbox(home, {"all": home}, [Tool("all", "1", FILES, [])]))


def fails(port_taken_until: int) -> str:
    """kwokctl loses its port so many times, and then succeeds."""
    return f"""mkdir -p "$LOGS"
if [ "$(wc -l < "$(dirname "$0")/calls")" -le {port_taken_until} ]; then
  echo 'listen tcp 127.0.0.1:32764: bind: address already in use' > "$LOGS/etcd.log"
  echo '{{"msg":"Failed to start","err":"etcd exited"}}' >&2
  exit 1
fi
cat > "$KWOK_WORKDIR/kubeconfig" <<END
{KUBECONFIG}END
mkdir "$LOGS/../pids"
for part in etcd kube-apiserver kube-controller-manager kube-scheduler kwok-controller; do
  sleep 60 > /dev/null 2>&1 & # it knows the cluster's directory by its environment
  echo $! > "$LOGS/../pids/$part.pid"
done"""


def calls(home: Path) -> int:
    return len((home / "calls").read_text().splitlines())


def test_a_port_that_another_program_took_is_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cluster = stubbed(tmp_path / "bin", fails(port_taken_until=2))
    try:
        with pytest.raises(ClusterError, match=r"kubectl .* reached"):
            cluster.up()
        config = yaml.safe_load((tmp_path / "cluster" / "kwok.yaml").read_text().split("---")[0])
    finally:
        cluster.down()
    assert len({port for name, port in config["options"].items() if name.endswith("Port")}) == 6
    assert calls(tmp_path / "bin") == 3
    assert capsys.readouterr().out.count("another program took one of its ports") == 2


def test_after_three_times_it_is_one_and_says_where_the_logs_are(tmp_path: Path) -> None:
    cluster = stubbed(tmp_path / "bin", fails(port_taken_until=9))
    with pytest.raises(ClusterError, match=r"did not start: etcd exited \(logs: .*/logs\)"):
        cluster.up()
    assert calls(tmp_path / "bin") == 3
    assert (tmp_path / "cluster" / "kwok" / "clusters" / "sandbox" / "logs" / "etcd.log").exists()


def test_a_part_that_ended_at_once_is_a_failure(tmp_path: Path) -> None:
    cluster = stubbed(tmp_path / "bin", f"{fails(port_taken_until=0)}\nkill $!; wait $! || true")
    try:
        with pytest.raises(ClusterError, match=r"kwok-controller ended at once \(logs: .*/logs\)"):
            cluster.up()
    finally:
        cluster.down()


def test_any_other_failure_is_told_at_once(tmp_path: Path) -> None:
    cluster = stubbed(tmp_path / "bin", "echo 'no such file' >&2; exit 1")
    with pytest.raises(ClusterError, match="did not start: no such file"):
        cluster.up()
    assert calls(tmp_path / "bin") == 1


def test_a_kwokctl_that_never_ends_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.cluster._READY_SECONDS", 0.2)
    cluster = stubbed(tmp_path / "bin", "exec sleep 60")
    with pytest.raises(ClusterError, match=r"the control plane was not up after 0\.4 s"):
        cluster.up()
