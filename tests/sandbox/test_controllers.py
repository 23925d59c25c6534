"""What stands for a kubelet: which container is run, with which arguments and environment."""

from types import SimpleNamespace
from typing import Any

import pytest

from sandbox.controllers import arguments, binary_of, environment


def variable(name: str, value: str | None = None, field: str | None = None) -> Any:
    reference = SimpleNamespace(field_ref=SimpleNamespace(field_path=field)) if field else None
    return SimpleNamespace(name=name, value=value, value_from=reference)


POD = SimpleNamespace(
    metadata=SimpleNamespace(name="operator-1", namespace="data-platform", uid="u"),
    spec=SimpleNamespace(node_name="cpu1", service_account_name="kuberay-operator"),
)


@pytest.mark.parametrize(
    ("image", "binary"),
    [
        ("quay.io/kuberay/operator:v1.6.2", "kuberay-operator"),
        ("mirror.example/all/kuberay/operator:v1.6.2", "kuberay-operator"),
        ("quay.io/kuberay/operator:v1.6.2@sha256:" + "a" * 64, "kuberay-operator"),
        # The mistake of the reports (report 001, 1.1): an image of Ray where the operator's belongs.
        ("rayproject/ray:2.60.0", None),
        ("quay.io/kuberay/operator:v1.0.0", None),
        ("evil/notkuberay/operator:v1.6.2", None),
    ],
)
def test_only_the_operators_own_image_has_a_process(image: str, binary: str | None) -> None:
    assert binary_of(image) == binary


def test_the_downward_api_is_filled_in() -> None:
    container = SimpleNamespace(env=[variable("A", "1"), variable("NS", field="metadata.namespace")])
    assert environment(POD, container) == {"A": "1", "NS": "data-platform"}
    assert environment(POD, SimpleNamespace(env=None)) == {}


def test_variables_in_arguments_are_expanded_and_unknown_ones_left_alone() -> None:
    container = SimpleNamespace(args=["--watch-namespace=$(NS)", "--other=$(ABSENT)"])
    assert arguments(container, {"NS": "data-platform"}) == ["--watch-namespace=data-platform", "--other=$(ABSENT)"]


def test_every_listener_gets_a_free_port_of_loopback() -> None:
    container = SimpleNamespace(args=["--metrics-addr=:8080", "--health-probe-bind-address=:8082", "--qps=:1"])
    assert arguments(container, {}) == [
        "--metrics-addr=127.0.0.1:0",
        "--health-probe-bind-address=127.0.0.1:0",
        "--qps=:1",
    ]
