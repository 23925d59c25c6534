"""What proves where a credential comes from: what the engine says a Secret is made after."""

import pytest
from pulumi.runtime.proto.analyzer_pb2 import AnalyzerResource

from policies.configuration import Configuration
from policies.decode import UNKNOWN
from policies.judge import Judge
from policies.view import Stack
from policies.wire_view import resources
from tests.policies.support import TODAY, Manifest, rule_named, struct

RULE = rule_named("credential-source")
PARENTS = "urn:pulumi:dev::ml-platform::mlplatform:stores:DataStores"
SECRET: Manifest = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "postgres", "namespace": "data-platform"},
    "stringData": {"password": UNKNOWN},
}


def found(*dependencies: str) -> list[str]:
    wire = AnalyzerResource(
        urn=f"{PARENTS}$kubernetes:core/v1:Secret::s", name="s", properties=struct(SECRET), dependencies=dependencies
    )
    stack = Stack(tuple(resources(wire, RULE.kinds)))
    return [each.message for each in Judge((RULE,), Configuration(), True, TODAY).stack(stack)]


def test_a_generated_password_is_proved_by_its_generator() -> None:
    assert found(f"{PARENTS}$random:index/randomPassword:RandomPassword::password") == []
    assert found("urn:pulumi:dev::ml-platform::random:index/randomPassword:RandomPassword::password") == []


@pytest.mark.parametrize(
    "other",
    [
        f"{PARENTS}$kubernetes:core/v1:Namespace::n",
        f"{PARENTS}$random:index/randomPet:RandomPet::p",
        # A parent's type, or a name, proves nothing.
        "urn:pulumi:dev::ml-platform::random:index/randomPassword:RandomPassword$kubernetes:core/v1:ConfigMap::c",
        f"{PARENTS}::random:index/randomPassword:RandomPassword",
        "random:index/randomPassword:RandomPassword",
    ],
)
def test_nothing_else_proves_it(other: str) -> None:
    (message,) = found(other)
    assert "nothing that the Secret depends on generates credentials" in message
