"""What the sandbox asks of Istio, as the pinned istioctl renders it: where istiod runs, and what a sidecar is."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from sandbox import istio
from sandbox.istio import Istio
from sandbox.processes import ClusterError
from sandbox.tools import Toolbox

PORT = 23456


class Kubectl:
    """Takes what is applied, and answers what the test says."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.applied = ""
        self.failure = ""

    def __call__(self, *args: str, stdin: str = "") -> str:
        self.calls.append(args)
        if self.failure:
            raise ClusterError(self.failure)
        if args[0] == "apply":
            self.applied = stdin
        return ""


def rendered(directory: Path, toolbox: Toolbox, port: int | None) -> list[dict[str, Any]]:
    """The objects, in the order in which they are applied; without their CRDs, which take seconds to read."""
    kubectl = Kubectl()
    assert Istio(directory, toolbox, kubectl).apply(port)
    texts = kubectl.applied.split("\n---\n")
    kinds = ["kind: CustomResourceDefinition\n" in text for text in texts]
    assert kinds == sorted(kinds)
    assert sum(kinds) >= 10
    return [
        yaml.load(text, yaml.CSafeLoader) for text, crd in zip(texts, kinds, strict=True) if not crd and text.strip()
    ]


def one(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [each for each in objects if each["kind"] == kind]
    return found


@pytest.fixture(scope="module")
def process(toolbox: Toolbox, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return rendered(tmp_path_factory.mktemp("process"), toolbox, PORT)


@pytest.fixture(scope="module")
def pod(toolbox: Toolbox, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return rendered(tmp_path_factory.mktemp("pod"), toolbox, None)


def clients(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        webhook["clientConfig"]
        for each in objects
        if each["kind"].endswith("Configuration")
        for webhook in each["webhooks"]
    ]


def test_the_namespace_comes_before_what_lies_in_it(pod: list[dict[str, Any]]) -> None:
    assert (pod[0]["kind"], pod[0]["metadata"]["name"]) == ("Namespace", istio.NAMESPACE)


def test_webhooks_of_an_istiod_in_a_pod_go_to_its_service(pod: list[dict[str, Any]]) -> None:
    assert {client["service"]["name"] for client in clients(pod)} == {one(pod, "Service")["metadata"]["name"]}
    assert not any("url" in client for client in clients(pod))


def test_webhooks_of_an_istiod_that_is_a_process_go_to_it(process: list[dict[str, Any]]) -> None:
    urls = [urlsplit(client["url"]) for client in clients(process)]
    assert {(url.scheme, url.netloc) for url in urls} == {("https", f"127.0.0.1:{PORT}")}
    assert {url.path for url in urls} == {"/inject", "/validate"}
    assert not any("service" in client for client in clients(process))


def test_an_istiod_that_is_a_process_listens_on_loopback_only(process: list[dict[str, Any]]) -> None:
    (container,) = one(process, "Deployment")["spec"]["template"]["spec"]["containers"]
    addresses = dict(arg[2:].split("=", 1) for arg in container["args"] if re.match(r"--\w+Addr=", arg))
    # Every listener of `pilot-discovery discovery --help`; one that is not named would be on all addresses.
    assert set(addresses) == {"httpAddr", "httpsAddr", "grpcAddr", "secureGRPCAddr", "monitoringAddr"}
    assert {address.rpartition(":")[0] for address in addresses.values()} == {"127.0.0.1"}
    assert addresses["httpsAddr"].endswith(f":{PORT}")
    env = {each["name"]: each.get("value") for each in container["env"]}
    assert env["ISTIOD_CUSTOM_HOST"] == "127.0.0.1"


def test_nothing_else_differs_between_a_process_and_a_pod(
    process: list[dict[str, Any]], pod: list[dict[str, Any]]
) -> None:
    def names(objects: list[dict[str, Any]]) -> list[tuple[str, str]]:
        return [(each["kind"], each["metadata"]["name"]) for each in objects]

    assert names(process) == names(pod)
    differ = {each["kind"] for each, other in zip(process, pod, strict=True) if each != other}
    configurations = {"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"}
    assert differ == {*configurations, "Deployment", "ConfigMap"}  # the last is a record of the values


def test_what_stock_envoy_does_not_have_is_switched_off(pod: list[dict[str, Any]]) -> None:
    (container,) = one(pod, "Deployment")["spec"]["template"]["spec"]["containers"]
    env = {each["name"]: each.get("value") for each in container["env"]}
    assert env["PILOT_ENABLE_METADATA_EXCHANGE"] == env["PILOT_ENABLE_ALPN_FILTER"] == "false"
    mesh = next(each["data"]["mesh"] for each in pod if each["metadata"]["name"] == "istio")
    assert "prometheus" not in yaml.safe_load(mesh).get("defaultProviders", {}).get("metrics", [])
    assert yaml.safe_load(mesh)["trustDomain"] == "cluster.local"


def test_istiod_is_small(pod: list[dict[str, Any]]) -> None:
    (container,) = one(pod, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["resources"] == {"requests": {"cpu": "20m", "memory": "200Mi"}}
    assert "HorizontalPodAutoscaler" not in {each["kind"] for each in pod}


def test_a_release_is_applied_once(toolbox: Toolbox, tmp_path: Path) -> None:
    kubectl = Kubectl()
    kubectl.failure = "kubectl apply failed: no"
    with pytest.raises(ClusterError, match="no"):
        Istio(tmp_path, toolbox, kubectl).apply(PORT)
    kubectl.failure = ""
    assert Istio(tmp_path, toolbox, kubectl).apply(PORT) is True
    assert Istio(tmp_path, toolbox, kubectl).apply(PORT + 1) is False
    assert [call[0] for call in kubectl.calls] == ["apply", "apply"]
    assert f":{PORT}/" in kubectl.applied


def test_a_choice_that_istio_does_not_know_is_named(
    toolbox: Toolbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(istio.CHOICES.read_text().replace("autoscaleEnabled", "autoscaled"))
    monkeypatch.setattr(istio, "CHOICES", wrong)
    with pytest.raises(ClusterError, match=r"could not be rendered from \S+istio\.yaml: .*autoscaled"):
        Istio(tmp_path, toolbox, Kubectl()).apply(PORT)


def test_an_istiod_that_does_not_come_up_is_an_error_that_says_where_to_look(toolbox: Toolbox, tmp_path: Path) -> None:
    kubectl = Kubectl()
    kubectl.failure = "kubectl wait failed: timed out"
    with pytest.raises(ClusterError, match=r"Istio did not come up: kubectl wait failed: timed out \(.*istio-system"):
        Istio(tmp_path, toolbox, kubectl).wait()
