"""The way in from outside on real pods: the routes on a Gateway that someone else runs, by Istio's own controller.

Cloudflare is not here: until MLflow's sidecar has its keys, nobody is let in, and then the keys are the test's.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import edge
from tests.support.engine import Stack, changed, eventually
from tests.support.mlflow import tracking
from tests.support.outside import Door, Signer
from tests.support.ray import dashboard
from tests.support.web import ask

API, UI, UNKNOWN = "api.example.com", "mlflow.example.com", "unknown.example.com"
TEAM, AUDIENCE = "acme", "0123456789abcdef" * 4
JOBS = Path(__file__).with_name("jobs")

pytestmark = pytest.mark.usefixtures("door", "opened")

GATEWAY = {
    "controller": "other",
    "existing": edge.LISTENER,
    "api": {"hosts": [API], "authentication": "none"},
    "mlflow": {"hosts": [UI]},
    "cloudflareAccess": {"team": TEAM, "audience": AUDIENCE},
    "proxies": edge.PROXIES,
}


@pytest.fixture(scope="module")
def door(dev: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A Gateway of other people's: pods of Envoy in a namespace of their own."""
    with edge.door(dev.workspace.cluster, tmp_path_factory.mktemp("tls"), API, UI, UNKNOWN) as found:
        yield found


@pytest.fixture(scope="module")
def opened(dev: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The platform with its routes; the pack knows of the gateway."""
    judged = dev.judged_with(
        tmp_path_factory.mktemp("pack"),
        crd_first={"installed": ["gateway.networking.k8s.io"]},
        exposure={"published": ["feast-server:6566", "mlflow:5000"]},
        authz_refs={"foreignAccounts": [edge.ACCOUNT]},
    )
    addons = [*dev.config["ml-platform:cluster"]["addons"], "gateway-api"]
    with changed(judged, cluster={"addons": addons}, mlflow={"hosts": [UI]}, gateway=GATEWAY) as stack:
        yield stack


@pytest.fixture(scope="module")
def serving(opened: Stack) -> Iterator[Stack]:
    """Something is served on Ray."""
    with dashboard(opened) as owner:
        assert owner.value(owner.submit(JOBS / "echo.py"), "SERVED") is True
    yield opened
    with dashboard(opened) as owner:
        assert owner.value(owner.submit(JOBS / "hush.py"), "SERVED") is False


def address(stack: Stack, what: str) -> str:
    (found,) = stack.outputs()["gateway"][what]
    return str(found)


def taken(route: dict[str, Any]) -> bool:
    """Whether a controller has accepted a route, and found what it leads to."""
    parents = route.get("status", {}).get("parents", [])
    found = [{each["type"]: each["status"] for each in parent["conditions"]} for parent in parents]
    return [(each["Accepted"], each["ResolvedRefs"]) for each in found] == [("True", "True")]


@pytest.mark.timeout(900)
def test_the_controller_has_taken_every_route(opened: Stack) -> None:
    def routes() -> list[dict[str, Any]]:
        return list(opened.get("httproutes.gateway.networking.k8s.io")["items"])

    assert {each["metadata"]["name"] for each in routes()} == {"serve", "features", "mlflow"}
    assert eventually(lambda: all(taken(each) for each in routes())), routes()


@pytest.mark.timeout(300)
def test_ray_serve_is_reached_under_its_path_and_sees_its_own(serving: Stack, door: Door) -> None:
    url = address(serving, "serve")
    assert eventually(lambda: door.ask(f"{url}/-/healthz")[0] == 200, seconds=60)
    status, answer = door.ask(f"{url}/predict/wti")
    assert status == 200, answer
    assert answer == {"path": "/predict/wti", "host": f"ray-serve.{serving.namespace}.svc.cluster.local"}


def test_features_are_read_under_theirs(opened: Stack, door: Door) -> None:
    body = {"features": ["commodity_prices:settlement_price"], "entities": {"commodity_code": ["none"]}}
    status, answer = door.ask(f"{address(opened, 'features')}/get-online-features", body)
    assert status == 200, answer
    assert answer["metadata"]["feature_names"] == ["commodity_code", "settlement_price"]


def test_other_paths_and_hosts_lead_nowhere(door: Door) -> None:
    for url in (f"https://{API}/", f"https://{API}/api/ml/servers", f"https://{API}/health", f"https://{UNKNOWN}/"):
        assert door.ask(url)[0] == 404, url


def test_plain_text_is_not_answered(opened: Stack, door: Door) -> None:
    assert door.ask(f"{address(opened, 'features')}/health")[0] == 200
    assert ask(f"http://127.0.0.1:{door.port}/api/ml/features/health", headers={"Host": API})[0] == 0


def test_an_identity_is_verified_and_not_believed(opened: Stack, door: Door) -> None:
    url, header = f"{address(opened, 'mlflow')}/health", "Cf-Access-Jwt-Assertion"
    cloudflare = Signer(f"https://{TEAM}.cloudflareaccess.com", AUDIENCE)
    said = {"Cf-Access-Authenticated-User-Email": "admin@example.com"}

    def asked(token: str = "") -> int:
        return door.ask(url, **({header: token} if token else {}), **said)[0]

    # Its keys were never read: no signature holds.
    assert asked() == 403
    assert asked(cloudflare.token()) == 401

    rule = "/spec/jwtRules/0"
    own = {"op": "add", "path": f"{rule}/jwks", "value": cloudflare.keys}
    patch = [{"op": "remove", "path": f"{rule}/jwksUri"}, own]
    opened.kubectl("patch", "requestauthentication", "mlflow", "--type=json", "--patch", json.dumps(patch))
    assert eventually(lambda: asked(cloudflare.token()) == 200)
    assert asked() == 403
    assert asked(Signer(cloudflare.issuer, AUDIENCE).token()) == 401
    assert asked(cloudflare.token(iss="https://other.cloudflareaccess.com")) in {401, 403}
    assert asked(cloudflare.token(aud=["another application"])) == 403
    assert asked(cloudflare.token(exp=1)) == 401
    # MLflow still asks for a password, and who comes through a port forward needs no token.
    api = f"{address(opened, 'mlflow')}/api/2.0/mlflow/experiments/get?experiment_id=0"
    assert door.ask(api, **{header: cloudflare.token()})[0] == 401
    with tracking(opened) as server:
        assert server.ask("/api/2.0/mlflow/experiments/get?experiment_id=0")[0] == 200
        assert door.ask(api, **server.headers, **{header: cloudflare.token()})[0] == 200
