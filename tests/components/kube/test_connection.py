"""Connection: kubectl's answers, as text that says what to do."""

from pathlib import Path

import pytest

from components.kube.connection import Connection, ConnectionFailedError


def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A kubectl that answers as the script says."""
    program = tmp_path / "kubectl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


def test_an_answer_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl(tmp_path, monkeypatch, """echo '{"kind": "Namespace"}'""")
    assert Connection("c").read("/api/v1/namespaces/x") == {"kind": "Namespace"}


def test_the_context_and_the_path_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl(tmp_path, monkeypatch, """printf '{"asked": "%s"}' "$*" """)
    answer = Connection("staging").read("/healthz")
    assert answer is not None
    assert answer["asked"].startswith("--context staging get --raw /healthz")


def test_what_is_not_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl(
        tmp_path, monkeypatch, "echo 'Error from server (NotFound): rayclusters.ray.io \"x\" not found' >&2; exit 1"
    )
    assert Connection("c").read("/x") is None


def test_the_end_of_a_log_is_text_and_none_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl(tmp_path, monkeypatch, """printf 'first\\nasked %s' "$5" """)
    asked = "/api/v1/namespaces/ml/pods/p/log?container=c&tailLines=3"
    assert Connection("k").log("ml", "p", "c", 3) == f"first\nasked {asked}"
    kubectl(tmp_path, monkeypatch, "echo 'Error from server (BadRequest): container is starting' >&2; exit 1")
    assert Connection("k").log("ml", "p", "c", 3) == ""


def test_a_refusal_is_told_in_its_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl(tmp_path, monkeypatch, "echo first >&2; echo 'Error from server (Forbidden): no' >&2; exit 1")
    with pytest.raises(
        ConnectionFailedError, match=r"context 'c' does not answer: Error from server \(Forbidden\): no"
    ):
        Connection("c").read("/x")


def test_a_silent_failure_is_told_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl(tmp_path, monkeypatch, "exit 3")
    with pytest.raises(ConnectionFailedError, match="kubectl failed and printed nothing"):
        Connection("c").read("/x")


def test_without_kubectl_the_message_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConnectionFailedError, match="kubectl is not on PATH"):
        Connection("c").read("/x")


def test_contexts_of_several_files_are_one_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(f"contexts: [{{name: {name}, context: {{}}}}]")
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/one:{tmp_path}/two:{tmp_path}/absent")
    assert Connection.to("two").context == "two"
    with pytest.raises(ConnectionFailedError, match="contexts there: one, two"):
        Connection.to("three")


@pytest.mark.parametrize("text", ["{", "\x00", "contexts: 3", "[]", "contexts: [3]"])
def test_a_broken_kubeconfig_is_an_error_and_no_traceback(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    with pytest.raises(ConnectionFailedError):
        Connection.to("x")
