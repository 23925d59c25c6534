"""Which API groups have a CRD: a second source for the table of those that have none."""

import re
from importlib.util import find_spec
from pathlib import Path

from policies.rules.operations.crd_first import BUILT_IN

NO_GROUPS = {"core", "meta", "helm.sh", "kustomize", "yaml"}
"""Modules of the provider's SDK that are no API groups."""
NOT_IN_THE_SDK = {"", "authentication.k8s.io", "authorization.k8s.io", "internal.apiserver.k8s.io"}


def test_the_built_in_groups_are_those_that_the_provider_has_classes_for() -> None:
    spec = find_spec("pulumi_kubernetes")
    assert spec
    assert spec.origin
    modules = re.findall(r'"mod": "([^"/]+)/', Path(spec.origin).read_text())
    assert len(set(modules)) > 20
    assert set(modules) - NO_GROUPS == BUILT_IN - NOT_IN_THE_SDK
