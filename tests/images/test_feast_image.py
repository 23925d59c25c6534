"""What the image `feast` adds to Feast; forged tokens are tried on real pods (tests/e2e/test_feast.py)."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import yaml
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub

from sandbox.images import FOLDER
from tests.support.engine import eventually

SERVERS = {
    "registry": ("serve_registry", "--port={port}"),
    "online": ("listen", "--address=127.0.0.1:{port}", "--registry_ttl_sec=1"),
}


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A gRPC server and its address."""
    (tmp_path / "feature_store.yaml").write_text(
        yaml.safe_dump(
            {
                "project": "test",
                "provider": "local",
                "registry": {"registry_type": "sql", "path": f"sqlite:///{tmp_path}/registry.db"},
                "online_store": {"type": "sqlite", "path": f"{tmp_path}/online.db"},
                "entity_key_serialization_version": 3,
            }
        )
    )
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    # -P: the program is named as the package that it wants.
    words = [word.format(port=port) for word in SERVERS[request.param]]
    command = [sys.executable, "-P", str(FOLDER / "feast" / "feast.py"), *words]
    env = {**os.environ, "FEAST_FS_YAML_FILE_PATH": f"{tmp_path}/feature_store.yaml", "FEAST_USAGE": "False"}
    with subprocess.Popen(command, env=env, cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        yield process, f"127.0.0.1:{port}"
        process.kill()


def serves(address: str) -> bool:
    with grpc.insecure_channel(address) as channel:
        try:
            HealthStub(channel).Check(HealthCheckRequest(), timeout=2)
        except grpc.RpcError:
            return False
        return True


def test_a_grpc_server_that_is_told_to_end_finishes_what_it_is_asked(
    server: tuple[subprocess.Popen[bytes], str],
) -> None:
    process, address = server
    assert eventually(lambda: serves(address), seconds=60)
    with grpc.insecure_channel(address) as channel:
        watched = HealthStub(channel).Watch(HealthCheckRequest())
        assert next(watched).status == 1
        process.send_signal(signal.SIGTERM)
        assert eventually(lambda: not serves(address))
        assert process.poll() is None
        assert watched.is_active()
        watched.cancel()
    assert process.wait(timeout=10) == 0
