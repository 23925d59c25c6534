"""Short words for samples: YAML as documentation has it, and pods."""

from textwrap import dedent
from typing import Any

import yaml

from policies.reach import Address, Http, Objects, Pod, Verdict, reach

Manifest = dict[str, Any]


def manifests(text: str) -> list[Manifest]:
    return [each for each in yaml.safe_load_all(dedent(text)) if each]


def objects(text: str, **settings: str) -> Objects:
    return Objects.of(manifests(text), **settings)


def pod(name: str, namespace: str = "foo", *, account: str = "default", meshed: bool = False, **labels: str) -> Pod:
    return Pod(name, namespace, labels or {"app": name}, account, meshed, {"http": 8000, "metrics": 9090})


def meshed(name: str, namespace: str = "foo", account: str = "default", **labels: str) -> Pod:
    return pod(name, namespace, account=account, meshed=True, **labels)


def ask(
    text: str, source: Pod | Address, target: Pod | Address, port: int = 8000, http: Http | None = None, **settings: str
) -> Verdict:
    return reach(objects(text, **settings), source, target, port, http=http)


def policy(kind: str, spec: Manifest, name: str = "p", namespace: str = "foo", **metadata: Any) -> Manifest:
    groups = {
        "NetworkPolicy": "networking.k8s.io/v1",
        "DestinationRule": "networking.istio.io/v1",
        "ServiceEntry": "networking.istio.io/v1",
        "Service": "v1",
        "Namespace": "v1",
    }
    return {
        "apiVersion": groups.get(kind, "security.istio.io/v1"),
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": spec,
    }


def judged(
    found: list[Manifest], source: Pod | Address, target: Pod | Address, port: int = 8000, http: Http | None = None
) -> Verdict:
    return reach(Objects.of(found), source, target, port, http=http)
