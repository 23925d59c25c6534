"""Feast on real pods: the repository is applied, rows become features, and they are read over HTTP and gRPC."""

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.clients import ask as in_pod
from tests.support.clients import python, sql
from tests.support.engine import Stack, changed, eventually
from tests.support.web import ask, forwarded

FEAST = "ml-platform/feast:0.67.0"
PYTHON = "/opt/feast/bin/python3"
FEATURES = ["commodity_prices:settlement_price", "commodity_prices:volume", "price_signals:spread_to_moving_average"]

GRPC = """
import grpc
from feast.protos.feast.serving.GrpcServer_pb2_grpc import GrpcFeatureServerStub
from feast.protos.feast.serving.ServingService_pb2 import GetOnlineFeaturesRequest
request = GetOnlineFeaturesRequest()
request.features.val.append("commodity_prices:settlement_price")
request.entities["commodity_code"].val.add().string_val = "WTI"
with grpc.insecure_channel("feast-server:6567") as channel:
    answer = GrpcFeatureServerStub(channel).GetOnlineFeatures(request, timeout=30)
names = list(answer.metadata.feature_names.val)
print("PRICE", answer.results[names.index("settlement_price")].values[0].double_val)
"""

CLIENT = """
import os
from pathlib import Path
from feast import FeatureStore
Path("/tmp/feature_store.yaml").write_text(os.environ["CONFIG"])
store = FeatureStore(fs_yaml_file=Path("/tmp/feature_store.yaml"))
print("VIEWS", sorted(view.name for view in store.list_feature_views()))
features = ["commodity_prices:settlement_price"]
print("PRICE", store.get_online_features(features, [{"commodity_code": "WTI"}]).to_dict()["settlement_price"][0])
"""


@contextmanager
def serving(stack: Stack) -> Iterator[str]:
    """Address of the feature server, found by the stack's outputs."""
    online = stack.outputs()["feast"]["online"]
    target = f"service/{online['host'].split('.')[0]}"
    with forwarded(stack.workspace.cluster, stack.namespace, target, online["port"]) as url:
        assert eventually(lambda: ask(f"{url}/health")[0] == 200, seconds=90)
        yield url


def price(url: str, token: str = "") -> tuple[int, object]:
    """Status, and the settlement price of WTI."""
    body = {"features": FEATURES[:1], "entities": {"commodity_code": ["WTI"]}}
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    status, answer = ask(f"{url}/get-online-features", body, headers)
    if status != 200:
        return status, answer
    return status, answer["results"][answer["metadata"]["feature_names"].index("settlement_price")]["values"][0]


def run_job(stack: Stack, cronjob: str) -> None:
    name = f"{cronjob}-{int(time.time())}"
    stack.kubectl("create", "job", name, f"--from=cronjob/{cronjob}")
    stack.kubectl("wait", "--for=condition=Complete", f"job/{name}", "--timeout=180s")


@pytest.fixture(scope="module")
def filled(dev: Stack) -> Stack:
    """The platform with two days of WTI's prices in the offline store, materialised."""
    rows = ", ".join(
        f"('WTI', now() - interval '{hours} hours', {price}, 0.01, 70, {average}, 0.02, {volume})"
        # The newest is of now: a run on the hour since the platform came up has seen all that is older.
        for hours, price, average, volume in ((25, 71.5, 70.25, 1000), (0, 72.5, 70.75, 1200))
    )
    columns = "commodity_code, event_timestamp, settlement_price, daily_return"
    columns += ", moving_average_5d, moving_average_20d, volatility_20d, volume"
    assert "INSERT 0 2" in sql(dev, f"INSERT INTO commodity_prices ({columns}) VALUES {rows}", "feast", "feast")  # noqa: S608 our own rows
    run_job(dev, "feast-materialize")
    return dev


@pytest.mark.timeout(600)
def test_the_newest_row_is_the_feature_that_a_pod_reads_over_http(filled: Stack) -> None:
    body = json.dumps({"features": FEATURES, "entities": {"commodity_code": ["WTI", "unknown"]}})
    header = "--header='Content-Type: application/json'"
    url = "http://feast-server:6566/get-online-features"
    answer = json.loads(in_pod(filled, f"wget --quiet --output-document=- {header} --post-data='{body}' {url}"))
    names = answer["metadata"]["feature_names"]
    values = {name: answer["results"][at]["values"] for at, name in enumerate(names)}
    assert values["settlement_price"] == [72.5, None]
    assert values["volume"] == [1200, None]
    assert values["spread_to_moving_average"][0] == pytest.approx(72.5 - 70.75)


def test_the_same_feature_is_read_over_grpc(filled: Stack) -> None:
    assert "PRICE 72.5" in in_pod(filled, python(GRPC, PYTHON), image=FEAST)


def test_a_client_with_nothing_but_the_config_map_finds_views_and_features(filled: Stack) -> None:
    config = filled.get("configmap", filled.outputs()["feast"]["client"])["data"]["feature_store.yaml"]
    told = in_pod(filled, python(CLIENT, PYTHON), image=FEAST, CONFIG=config)
    assert "PRICE 72.5" in told, told
    assert "commodity_fundamentals" in told


def test_metrics_are_told(filled: Stack) -> None:
    with serving(filled) as url:
        assert price(url) == (200, 72.5)
    with forwarded(filled.workspace.cluster, filled.namespace, "service/feast-server", 8000) as url:
        assert eventually(lambda: "feast_feature_server_request_total" in str(ask(f"{url}/metrics")[1]), seconds=60)


def test_a_feature_that_does_not_exist_is_refused(filled: Stack) -> None:
    with serving(filled) as url:
        body = {"features": ["commodity_prices:made_up"], "entities": {"commodity_code": ["WTI"]}}
        assert ask(f"{url}/get-online-features", body)[0] in {400, 404, 422, 500}


@pytest.mark.timeout(600)
def test_with_authorization_a_token_is_asked_for_and_a_forged_one_is_refused(filled: Stack) -> None:
    online = {**filled.config["ml-platform:feast"]["online"], "grpc": False}
    with changed(filled, feast={"authorization": "kubernetes", "online": online}) as closed, serving(closed) as url:
        token = closed.kubectl("create", "token", "ray-worker").strip()
        assert price(url, token) == (200, 72.5)
        assert price(url)[0] in {401, 403}
        assert price(url, "nonsense")[0] in {401, 403}
        head, body, signature = token.split(".")
        claims = json.loads(base64.urlsafe_b64decode(body + "=="))
        claims["sub"] = claims["sub"].replace("ray-worker", "ray-head")
        forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
        status, told = price(url, f"{head}.{forged}.{signature}")
        assert status in {401, 403}, told
