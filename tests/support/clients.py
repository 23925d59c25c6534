"""Clients in pods of a stack's namespace: what someone who lives beside the platform gets from it."""

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

from components.kube.access import Workload
from components.mesh.manifests import pod_annotations
from tests.support.engine import Stack, eventually, settings
from tests.support.manifests import RESTRICTED

_NUMBERS = count()


@contextmanager
def elsewhere(stack: Stack) -> Iterator[Stack]:
    """Another namespace of the same cluster, outside the mesh and without policies, as if it were a stack's."""
    cluster = stack.workspace.cluster
    cluster.kubectl("create", "namespace", "elsewhere")
    config = {**stack.config, "ml-platform:tenancy": {"namespace": "elsewhere"}}
    try:
        other = replace(stack, config=config)
        assert eventually(lambda: bool(other.get("serviceaccounts")["items"]))
        yield other
    finally:
        cluster.kubectl("delete", "namespace", "elsewhere", "--timeout=60s")


def start(
    stack: Stack,
    script: str,
    *,
    image: str = "ml-platform/store-client:1",
    like: str | None = "clients",
    labels: Mapping[str, str] | None = None,
    account: str | None = None,
    first: str | None = None,
    **env: str | tuple[str, str],
) -> str:
    """Run a shell script in a pod; returns its name.

    Args:
        stack: in whose namespace.
        script: to run.
        image: of the pod.
        like: whose labels and identity the pod has, and so what the access table lets it reach; nobody's if None.
        labels: further ones.
        account: another identity than theirs.
        first: a script of an init container; both see the directory /shared.
        **env: variables; a value of two words is a Secret and its key.
    """
    known = settings(stack)
    end = known.access().end(like) if like else None
    account = account or (end.accounts[0] if end and end.accounts else "default")
    name = f"client-{next(_NUMBERS)}"
    variables: list[dict[str, Any]] = [
        {"name": key, "value": value}
        if isinstance(value, str)
        else {"name": key, "valueFrom": {"secretKeyRef": {"name": value[0], "key": value[1]}}}
        for key, value in env.items()
    ]
    container = {
        "name": "client",
        "image": image,
        "command": ["sh", "-c", f"({script}) 2>&1"],
        "env": variables,
        # Many at a time fit on a small node.
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}},
        "securityContext": RESTRICTED,
        "volumeMounts": [{"name": "shared", "mountPath": "/shared"}],
    }
    before = {**container, "name": "first", "command": ["sh", "-c", first]} if first else None
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {**(end.selector if isinstance(end, Workload) else {}), **(labels or {})},
            "annotations": pod_annotations(known.mesh, watched=known.observability is not None),
        },
        "spec": {
            "containers": [container],
            "restartPolicy": "Never",
            "serviceAccountName": account,
            "volumes": [{"name": "shared", "emptyDir": {}}],
            **({"initContainers": [before]} if before else {}),
        },
    }
    stack.create(pod)
    return name


def ask(stack: Stack, script: str, **options: Any) -> str:
    """What a shell script prints in a pod of the namespace; options are those of `start`."""
    return ended(stack, start(stack, script, **options))


def ended(stack: Stack, name: str, seconds: float = 90) -> str:
    """What a pod has printed when it has ended; it is removed."""
    assert eventually(lambda: stack.get("pod", name)["status"]["phase"] in {"Succeeded", "Failed"}, seconds=seconds)
    told = stack.kubectl("logs", name).strip()
    stack.kubectl("delete", "pod", name, "--wait=false")
    return told


def python(program: str, interpreter: str = "python3") -> str:
    """The shell command that runs a program."""
    return f"{interpreter} -c {shlex.quote(program)}"


def sql(stack: Stack, statement: str, role: str, database: str) -> str:
    return ask(
        stack,
        f'psql --host=postgres --no-psqlrc --tuples-only --no-align --command="{statement}"',
        PGUSER=role,
        PGDATABASE=database,
        PGPASSWORD=(f"database-{role}", "password"),
        like="databases",
    )


def s3(stack: Stack, expression: str, *, url: str = "http://object-store:7070", keys: str = "object-store") -> str:
    """What an expression over `s3`, a client of boto3, evaluates to; `keys` is a Secret."""
    setup = "import boto3; from botocore.config import Config"
    client = "s3 = boto3.client('s3', config=Config(s3={'addressing_style': 'path'}))"
    return ask(
        stack,
        f'python3 -c "{setup}; {client}; print({expression})"',
        AWS_ENDPOINT_URL_S3=url,
        AWS_REGION="us-east-1",
        AWS_ACCESS_KEY_ID=(keys, "access-key"),
        AWS_SECRET_ACCESS_KEY=(keys, "secret-key"),
        like="buckets",
    )
