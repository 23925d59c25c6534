"""What an image reference says, against the examples of the grammar's own project and of Kubernetes' documentation."""

import pytest

from policies.images import Image, parse

SHA = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redis", ("docker.io", "library/redis", "", "")),
        ("redis:7.0", ("docker.io", "library/redis", "7.0", "")),
        ("rayproject/ray:2.60.0", ("docker.io", "rayproject/ray", "2.60.0", "")),
        ("docker.io/redis", ("docker.io", "library/redis", "", "")),
        ("index.docker.io/rayproject/ray", ("docker.io", "rayproject/ray", "", "")),
        ("localhost/redis", ("localhost", "redis", "", "")),
        ("localhost:5000/redis:1", ("localhost:5000", "redis", "1", "")),
        ("registry.example:5000/a/b/c", ("registry.example:5000", "a/b/c", "", "")),
        (f"quay.io/kuberay/operator:v1.6.2@{SHA}", ("quay.io", "kuberay/operator", "v1.6.2", SHA)),
        (f"quay.io/kuberay/operator@{SHA}", ("quay.io", "kuberay/operator", "", SHA)),
        ("QUAY.io/kuberay/operator:1", ("quay.io", "kuberay/operator", "1", "")),
        ("a__b/c-d.e:1", ("docker.io", "a__b/c-d.e", "1", "")),
    ],
)
def test_what_a_reference_says(text: str, expected: tuple[str, str, str, str]) -> None:
    assert parse(text) == Image(*expected)


@pytest.mark.parametrize(
    "text",
    ["", ":1", "redis:", "redis@sha256:12", "redis:a b", "https://redis", "Redis", "me:pw@host/a", "a//b", "a/b/"],
)
def test_what_is_no_reference(text: str) -> None:
    assert parse(text) is None


def test_a_mirror_keeps_the_end_of_the_path() -> None:
    operator = "kuberay/operator"
    assert all(
        (image := parse(text)) and image.is_of(operator)
        for text in ("kuberay/operator:1", "quay.io/kuberay/operator", "mirror.example/quay.io/kuberay/operator:1")
    )
    assert not any(
        (image := parse(text)) and image.is_of(operator)
        for text in ("quay.io/notkuberay/operator", "kuberay/operator/other", "kuberay/operator2", "operator")
    )
