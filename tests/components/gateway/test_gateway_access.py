"""Who comes in through the gateway, in the one table."""

from typing import Any

import pytest

from components.kube.access import AccessTable, Neighbour
from tests.components.gateway.test_gateway_input import access, api, gateway
from tests.support.configuration import load_with


def table(config: dict[str, Any]) -> AccessTable:
    return load_with(config)[0].access()


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (gateway(), {("ray-head", "serve", 8000), ("feast-server", "http", 6566), ("mlflow", "http", 5000)}),
        (api(serve=None), {("feast-server", "http", 6566), ("mlflow", "http", 5000)}),
        (gateway(mlflow=None), {("ray-head", "serve", 8000), ("feast-server", "http", 6566)}),
        (gateway(api=None), {("mlflow", "http", 5000)}),
    ],
)
def test_the_proxies_reach_what_has_a_route_and_nothing_else(
    config: dict[str, Any], expected: set[tuple[str, str, int]]
) -> None:
    found = table(config)
    rows = found.out_of("gateway")
    assert {(row.target, port, found.port(row, port).number) for row in rows for port in row.ports} == expected
    assert all(row.token is None for row in rows)


def test_the_proxies_are_a_neighbour_with_an_identity() -> None:
    proxies = table(gateway(proxies={"namespace": "edge", "labels": {"app": "kong"}, "serviceAccount": "edge"}))
    assert proxies.end("gateway") == Neighbour("gateway", "edge", {"app": "kong"}, ("edge",))
    assert not table({}).out_of("gateway")


def test_cloudflares_token_is_asked_for_before_mlflow_only() -> None:
    found = table(access())
    tokens = {row.target: row.token for row in found.out_of("gateway")}
    assert tokens["ray-head"] is tokens["feast-server"] is None
    assert tokens["mlflow"]
    assert tokens["mlflow"].issuer == "https://acme.cloudflareaccess.com"
    (row,) = [row for row in found.out_of("gateway") if row.token]
    assert "verifies" in row.why
    # Clients inside the cluster never passed Cloudflare.
    assert all(row.token is None for row in found.rows if row.source != "gateway")
