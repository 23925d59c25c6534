#!/opt/store-client/bin/python3
"""Waits until every pod that a RayCluster wants is ready; says what is missing when the time is over.

KubeRay's own conditions tell of the pods that exist: a worker that a quota refuses is not missed, and an update counts
as done when the operator begins with it. Here the cluster is ready when the operator has seen its newest form, and as
many pods as that asks for are ready.

$NAMESPACE, $CLUSTER and $SECONDS say what to wait for; the API server is that of the pod.
"""

import json
import os
import ssl
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

ACCOUNT = Path(os.environ.get("ACCOUNT", "/var/run/secrets/kubernetes.io/serviceaccount"))
HEAD = "head"


def missing(cluster: dict[str, Any], pods: list[dict[str, Any]]) -> list[str]:
    """What keeps a cluster from being ready, as sentences."""
    if cluster.get("status", {}).get("observedGeneration", 0) < cluster["metadata"]["generation"]:
        return ["the operator has not seen the newest form of the cluster"]
    wanted = Counter({HEAD: 1})
    for group in cluster["spec"].get("workerGroupSpecs", []):
        wanted[group["groupName"]] = group.get("replicas", 0) * group.get("numOfHosts", 1)
    found = Counter(_group(pod) for pod in pods if _ready(pod))
    return [
        f"{group}: {found[group]} of {number} pods ready" for group, number in wanted.items() if found[group] < number
    ]


def _group(pod: dict[str, Any]) -> str:
    labels = pod["metadata"]["labels"]
    return HEAD if labels.get("ray.io/node-type") == HEAD else str(labels.get("ray.io/group"))


def _ready(pod: dict[str, Any]) -> bool:
    conditions = {each["type"]: each["status"] for each in pod.get("status", {}).get("conditions", [])}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]


def _get(path: str) -> Any:
    server = os.environ.get("API_SERVER", "https://kubernetes.default.svc")
    token = (ACCOUNT / "token").read_text()
    request = Request(f"{server}{path}", headers={"Authorization": f"Bearer {token}"})  # noqa: S310 the API server
    trusted = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    with urlopen(request, timeout=10, context=trusted) as answer:  # noqa: S310 the API server
        return json.load(answer)


def main() -> None:
    """Entry point."""
    namespace, name = os.environ["NAMESPACE"], os.environ["CLUSTER"]
    deadline = time.monotonic() + float(os.environ["SECONDS"])
    told: list[str] = []
    while time.monotonic() < deadline:
        try:
            cluster = _get(f"/apis/ray.io/v1/namespaces/{namespace}/rayclusters/{name}")
            pods = _get(f"/api/v1/namespaces/{namespace}/pods?labelSelector=ray.io/cluster%3D{name}")["items"]
            lacking = missing(cluster, pods)
        except URLError as problem:
            lacking = [f"the API server does not answer: {problem}"]
        if not lacking:
            print(f"RayCluster {name}: {len(pods)} pods, all ready")
            return
        if lacking != told:
            print("; ".join(lacking), flush=True)
        told = lacking
        time.sleep(1)
    sys.exit(f"RayCluster {name}: {'; '.join(told)}")


if __name__ == "__main__":
    main()
