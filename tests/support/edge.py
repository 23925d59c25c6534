"""A Gateway of other people's: pods of Envoy in a namespace of their own, by Istio's own controller."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox import addons
from sandbox.cluster import Cluster
from tests.support.outside import Certificate, Door
from tests.support.web import forwarded

EDGE = "edge"
"""The namespace, and the Gateway in it."""

ACCOUNT = f"{EDGE}/{EDGE}-istio"
"""Whose its pods are. As Istio's controller names what it makes (files/kube-gateway.yaml of its chart istiod)."""

PROXIES = {
    "namespace": EDGE,
    "labels": {"gateway.networking.k8s.io/gateway-name": EDGE},
    "serviceAccount": f"{EDGE}-istio",
}
"""`gateway.proxies` of the settings."""

LISTENER = {"name": EDGE, "namespace": EDGE, "listener": "https"}
"""`gateway.existing` of the settings."""


@contextmanager
def door(cluster: Cluster, directory: Path, *hosts: str) -> Iterator[Door]:
    """The Gateway with a certificate for these hosts, whose files go to `directory`."""
    addons.install(cluster, ["gateway-api"])
    certificate = Certificate.made(directory, *hosts)
    listener = {
        "name": "https",
        "port": 443,
        "protocol": "HTTPS",
        "tls": {"mode": "Terminate", "certificateRefs": [{"name": "tls"}]},
        "allowedRoutes": {"namespaces": {"from": "All"}},
    }
    gateway = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        # Nobody gives out addresses of load balancers here.
        "metadata": {"name": EDGE, "namespace": EDGE, "annotations": {"networking.istio.io/service-type": "ClusterIP"}},
        "spec": {
            "gatewayClassName": "istio",
            "listeners": [listener],
        },
    }
    cluster.kubectl("create", "namespace", EDGE)
    objects = {"apiVersion": "v1", "kind": "List", "items": [certificate.secret("tls", EDGE), gateway]}
    try:
        cluster.kubectl("create", "--filename", "-", stdin=json.dumps(objects))
        cluster.kubectl("-n", EDGE, "wait", "--for=condition=Programmed", f"gateway/{EDGE}", "--timeout=120s")
        cluster.kubectl("-n", EDGE, "rollout", "status", f"deployment/{EDGE}-istio", "--timeout=120s")
        with forwarded(cluster, EDGE, f"service/{EDGE}-istio", 443) as url:
            yield Door(int(url.rpartition(":")[2]), certificate)
    finally:
        cluster.kubectl("delete", "namespace", EDGE, "--timeout=60s")
