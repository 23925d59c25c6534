"""Clients in pods of a stack's namespace: what someone who lives beside the platform gets from it."""

import shlex
from itertools import count
from typing import Any

from components.kube.access import Workload
from tests.support.engine import Stack, eventually, settings

_NUMBERS = count()


def start(
    stack: Stack,
    script: str,
    *,
    image: str = "ml-platform/store-client:1",
    like: str | None = "clients",
    **env: str | tuple[str, str],
) -> str:
    """Run a shell script in a pod; returns its name.

    Args:
        stack: in whose namespace.
        script: to run.
        image: of the pod.
        like: whose labels the pod has, and with them what the access table lets it reach; nobody's if None.
        **env: variables; a value of two words is a Secret and its key.
    """
    end = settings(stack).access().end(like) if like else None
    name = f"client-{next(_NUMBERS)}"
    variables: list[dict[str, Any]] = [
        {"name": key, "value": value}
        if isinstance(value, str)
        else {"name": key, "valueFrom": {"secretKeyRef": {"name": value[0], "key": value[1]}}}
        for key, value in env.items()
    ]
    strict = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True}
    container = {
        "name": "client",
        "image": image,
        "command": ["sh", "-c", f"({script}) 2>&1"],
        "env": variables,
        # Many at a time fit on a small node.
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}},
        "securityContext": {**strict, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": dict(end.selector) if isinstance(end, Workload) else {}},
        "spec": {"containers": [container], "restartPolicy": "Never"},
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
