"""Pieces of pod templates.

Source of the security contexts: Kubernetes, "Pod Security Standards", profile Restricted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.kube.model import Resources
from components.kube.wires import Bucket, Database, SecretRef

Manifest = dict[str, Any]
"""A Kubernetes object or a part of one, spelt as Kubernetes spells it."""

RESTRICTED_POD: Manifest = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}

CA_FILE = "/etc/ssl/certs/ca-certificates.crt"
"""The authorities that an image of Debian knows."""

SECRETS_HASH = "ml-platform/secrets-hash"
"""Annotation of a pod: the digest of the secrets that it reads."""

PROXY_CONFIG = "proxy.istio.io/config"
"""Annotation of a pod: its sidecar's ProxyConfig, where that is not the mesh's own."""

TELLS_WHY: Manifest = {"terminationMessagePolicy": "FallbackToLogsOnError"}
"""A container that fails leaves the end of its log in its status, where the error of a failed `up` finds it."""


@dataclass(frozen=True)
class Around:
    """What a workload meets in its namespace.

    Attributes:
        namespace: where it lives.
        account: its identity.
        priority_class: of its pods.
    """

    namespace: Any
    account: Any
    priority_class: Any


def pod(around: Around, user: int, *containers: Manifest, **fields: Any) -> Manifest:
    """A pod that satisfies the Restricted profile and mounts no token.

    Args:
        around: its namespace.
        user: number of the user and group that its processes and volumes have.
        *containers: what runs in it.
        **fields: of the pod's spec.
    """
    return {
        "serviceAccountName": around.account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,  # a Service `mlflow` would give MLFLOW_PORT, which MLflow reads as an option
        "priorityClassName": around.priority_class,
        "securityContext": run_as(user),
        "containers": list(containers),
        **fields,
    }


def run_as(user: int) -> Manifest:
    """The security context of a pod of one user, who owns its disks.

    Without the policy, Kubernetes makes all that is on a disk writable for the group whenever a pod starts, and
    PostgreSQL does not start on data that others than its user may write.
    """
    owns = {"runAsUser": user, "runAsGroup": user, "fsGroup": user, "fsGroupChangePolicy": "OnRootMismatch"}
    return {**RESTRICTED_POD, **owns}


def annotate_pods(manifest: Any, annotations: Mapping[str, str]) -> Any:
    """An object whose pod templates have further annotations, wherever its kind keeps a template."""
    if isinstance(manifest, list):
        return [annotate_pods(each, annotations) for each in manifest]
    if not isinstance(manifest, dict) or not annotations:
        return manifest
    inner = {key: annotate_pods(value, annotations) for key, value in manifest.items()}
    if isinstance(inner.get("template"), dict) and "containers" in inner["template"].get("spec", {}):
        metadata = inner["template"].get("metadata", {})
        told = {**metadata, "annotations": {**metadata.get("annotations", {}), **annotations}}
        inner["template"] = {**inner["template"], "metadata": told}
    return inner


def container(name: str, image: str, size: Manifest, **fields: Any) -> Manifest:
    """A container that satisfies the Restricted profile; one that fails leaves the end of its log in its status.

    Args:
        name: of the container.
        image: that it runs.
        size: requests and limits.
        **fields: of the container.
    """
    return {
        "name": name,
        "image": image,
        "resources": size,
        "securityContext": restricted_container(),
        **TELLS_WHY,
        **fields,
    }


TMP: Manifest = {"name": "tmp", "mountPath": "/tmp"}  # noqa: S108 the container's own
"""Where a container with a read-only root writes: it needs a volume `tmp`."""


def scratch(**sizes: str) -> list[Manifest]:
    """Empty directories of a pod: name to the most that it may hold."""
    return [{"name": name, "emptyDir": {"sizeLimit": size}} for name, size in sizes.items()]


def small(cpu: str, memory: str) -> Manifest:
    """The size of a container that runs for a moment: it is promised what it needs and may use half a core."""
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": "500m", "memory": memory}}


def spread(name: str) -> Manifest:
    """Pods of one workload prefer nodes that have none of it yet."""
    term = {"labelSelector": {"matchLabels": {"app.kubernetes.io/name": name}}, "topologyKey": "kubernetes.io/hostname"}
    preferred = [{"weight": 100, "podAffinityTerm": term}]
    return {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}


def restricted_container(*, read_only_root: bool = True) -> Manifest:
    """The security context of a container that satisfies the Restricted profile."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": read_only_root,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def resources(spec: Resources, **limits: str) -> Manifest:
    """Requests and limits of a container; `limits` adds resources whose request equals their limit."""
    return {
        "requests": {**spec.requests.model_dump(), **limits},
        "limits": {**spec.limits.model_dump(), **limits},
    }


def secret_env(name: str, secret: SecretRef) -> Manifest:
    """An environment variable whose value stays in its Secret."""
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret.name, "key": secret.key}}}


def postgres_env(database: Database) -> list[Manifest]:
    """What libpq reads, so that a URL of the database needs no host and no password: `postgresql:///name`.

    Source: https://www.postgresql.org/docs/15/libpq-envars.html.
    """
    owner = database.owner
    found: list[Manifest] = [
        {"name": "PGHOST", "value": database.endpoint.host},
        {"name": "PGPORT", "value": str(database.endpoint.port)},
        {"name": "PGSSLMODE", "value": database.tls},
        secret_env("PGUSER", owner) if isinstance(owner, SecretRef) else {"name": "PGUSER", "value": owner},
        secret_env("PGPASSWORD", database.password),
    ]
    return [*found, {"name": "PGSSLROOTCERT", "value": CA_FILE}] if database.tls == "verify-full" else found


def s3_env(bucket: Bucket) -> list[Manifest]:
    """What clients of S3 read (boto3 and all that follow it).

    Source: https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html. Servers other than AWS know no
    trailing checksums.
    """
    return [
        {"name": "AWS_ENDPOINT_URL_S3", "value": bucket.url},
        {"name": "AWS_REGION", "value": bucket.region},
        {"name": "AWS_DEFAULT_REGION", "value": bucket.region},
        {"name": "AWS_REQUEST_CHECKSUM_CALCULATION", "value": "when_required"},
        secret_env("AWS_ACCESS_KEY_ID", bucket.access_key),
        secret_env("AWS_SECRET_ACCESS_KEY", bucket.secret_key),
    ]


def http_probe(path: str, port: int | str, *, initial: int = 5, period: int = 10, failures: int = 3) -> Manifest:
    """A probe over HTTP; times in seconds."""
    return {
        "httpGet": {"path": path, "port": port},
        # A zero is left out: an operator that reads a pod template and writes it again leaves it out too (Go's
        # `omitempty`), which would show as a change for good.
        **({"initialDelaySeconds": initial} if initial else {}),
        "periodSeconds": period,
        "failureThreshold": failures,
    }


def exec_probe(*command: str) -> Manifest:
    """A probe that runs a command in the container, every ten seconds."""
    return {"exec": {"command": list(command)}, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3}


def of_pod(name: str, path: str) -> Manifest:
    """An environment variable with what Kubernetes knows of the pod, such as `metadata.name`."""
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
