"""The commands of the image `store-client` against moto's server, which stands in for AWS S3."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from sandbox.images import FOLDER


@pytest.fixture
def s3_env() -> Iterator[dict[str, str]]:
    """The environment of a client of an empty S3."""
    server = ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    keys = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"}
    yield {**os.environ, **keys, "AWS_ENDPOINT_URL_S3": f"http://{host}:{port}", "NO_PROXY": "*"}
    server.stop()


def provision(env: dict[str, str], buckets: str, versioned: str, region: str = "us-east-1") -> str:
    command = [sys.executable, str(FOLDER / "store-client" / "provision-buckets.py")]
    wanted = {"BUCKETS": buckets, "VERSIONED": versioned, "AWS_REGION": region, "AWS_DEFAULT_REGION": region}
    done = subprocess.run(command, env={**env, **wanted}, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else done.stderr


def client(env: dict[str, str]) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=env["AWS_ENDPOINT_URL_S3"],
        region_name="us-east-1",
        aws_access_key_id="id",
        aws_secret_access_key="key",
    )


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_buckets_are_made_once_and_versioned_where_it_is_wanted(s3_env: dict[str, str], region: str) -> None:
    first = provision(s3_env, "mlflow-artifacts backups", "mlflow-artifacts", region)
    assert first == "bucket mlflow-artifacts: there\nbucket backups: there\n"
    s3 = client(s3_env)
    s3.put_object(Bucket="backups", Key="kept", Body=b"before")
    assert provision(s3_env, "mlflow-artifacts backups", "mlflow-artifacts", region) == first
    assert s3.get_object(Bucket="backups", Key="kept")["Body"].read() == b"before"
    assert s3.get_bucket_versioning(Bucket="mlflow-artifacts")["Status"] == "Enabled"
    assert "Status" not in s3.get_bucket_versioning(Bucket="backups")


def test_a_store_that_refuses_is_named_with_its_reason(s3_env: dict[str, str]) -> None:
    told = provision(s3_env, "ab", "")
    assert told.startswith(s3_env["AWS_ENDPOINT_URL_S3"])
    assert "InvalidBucketName" in told or "bucket name" in told.lower()
    assert "Traceback" not in told
