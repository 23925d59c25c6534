"""Loads settings as the engine would hand them over, without an engine."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pulumi.runtime
import pytest
import yaml

from components.kube.connection import Connection
from components.settings import BadSettings, Settings, load
from components.target import Target

ROOT = Path(__file__).resolve().parents[2]

API_SERVER = {"endpoints": [{"addresses": ["192.0.2.1"]}], "ports": [{"name": "https", "port": 6443}]}
"""The EndpointSlice of an API server."""


def stack_config(stack: str, *, watched: bool = True) -> dict[str, Any]:
    """The `config:` of a stack file of the checkout, as it is or without those who watch."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    if not watched:
        del loaded["ml-platform:observability"], loaded["ml-platform:mesh"]["tracing"]
        loaded["ml-platform:cluster"]["addons"].remove("prometheus-operator")
    return loaded


@contextmanager
def configured(config: Mapping[str, Any], stack: str = "dev", secret_keys: tuple[str, ...] = ()) -> Iterator[None]:
    """The Pulumi runtime with this configuration: values of several parts arrive as JSON, others as text."""
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    pulumi.runtime.settings.reset_options(project="ml-platform", stack=stack, organization="organization")
    pulumi.runtime.set_all_config(texts, list(secret_keys))
    try:
        yield
    finally:
        pulumi.runtime.set_all_config({}, [])


def load_with(
    config: Mapping[str, Any], stack: str = "dev", secret_keys: tuple[str, ...] = ()
) -> tuple[Settings, Target]:
    """Settings and target of this configuration on a cluster that answers and is empty."""
    with (
        configured(config, stack, secret_keys),
        patch.object(Connection, "to", Connection),
        patch.object(Connection, "read", lambda _self, path: API_SERVER if "endpointslices" in path else None),
    ):
        return load()


def refused(config: Mapping[str, Any], expected: list[str], stack: str = "dev") -> None:
    """See that a configuration is refused in sentences that hold all of `expected`, and none of the machinery's words.

    Raises:
        AssertionError: it is accepted, or told otherwise.
    """
    with pytest.raises(BadSettings) as raised:
        load_with(config, stack)
    message = str(raised.value)
    assert f"Pulumi.{stack}.yaml" in message
    for part in expected:
        assert part in message
    assert "pydantic" not in message.lower()
    assert "Traceback" not in message
