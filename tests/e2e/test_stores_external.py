"""An object store outside the platform, as AWS S3 is: moto's server stands in for it."""

from pathlib import Path

import pytest

from tests.support.clients import s3
from tests.support.engine import Stack
from tests.support.mlflow import logged, tracking
from tests.support.ray import head, replaced

URL = "http://moto:5555"
KEYS = "moto-keys"


@pytest.fixture
def outside(dev: Stack, tmp_path: Path) -> Stack:
    """The platform on moto's server; whatever changes it next brings it back."""
    labels = {"app": "moto"}
    strict = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True}
    server = {
        "name": "moto",
        "image": "ml-platform/moto:5.2.5",
        "securityContext": {**strict, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
    }
    pod = {"containers": [server], "enableServiceLinks": False}  # moto reads MOTO_PORT
    keys = {"access-key": "AKIAOUTSIDE", "secret-key": "outside"}
    objects = [
        {"kind": "Pod", "metadata": {"name": "moto", "labels": labels}, "spec": pod},
        {"kind": "Service", "metadata": {"name": "moto"}, "spec": {"selector": labels, "ports": [{"port": 5555}]}},
        {
            "kind": "Secret",
            "metadata": {"name": KEYS},
            "stringData": keys,
        },
    ]
    dev.create(*objects)
    dev.kubectl("wait", "--for=condition=Ready", "pod/moto", "--timeout=60s")
    ray = head(dev)
    known = {"foreignPods": [{"labels": labels}]}
    judged = dev.judged_with(tmp_path, no_dangling=known, authz_refs=known)
    stack = judged.with_config(stores={"objectStore": {"external": {"url": URL, "secret": KEYS, "pods": labels}}})
    done = stack.up()
    assert done.code == 0, done.text
    replaced(stack, ray)
    return stack


@pytest.mark.timeout(900)
def test_buckets_and_artifacts_are_kept_outside(outside: Stack) -> None:
    status = "s3.get_bucket_versioning(Bucket='mlflow-artifacts').get('Status')"
    assert s3(outside, status, url=URL, keys=KEYS) == "Enabled"
    run_id = logged(outside)
    with tracking(outside) as server:
        path = server.run(run_id)["info"]["artifact_uri"].removeprefix("mlflow-artifacts:/")
    text = f"s3.get_object(Bucket='mlflow-artifacts', Key='{path}/report.txt')['Body'].read().decode()"
    assert s3(outside, text, url=URL, keys=KEYS) == "from a worker of Ray"
    assert outside.kubectl("get", "statefulset", "object-store", "--ignore-not-found") == ""
