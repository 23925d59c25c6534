"""The objects of a way in: what they say, held against the Gateway API's and cert-manager's own schemas."""

from typing import Any

import jsonschema
import pytest
import yaml

from components.gateway import manifests
from components.gateway.spec import GatewaySpec
from sandbox.tools import Toolbox

HOST = "ray-serve.ml.svc.cluster.local"
WHOLE: dict[str, Any] = {
    "tls": {"issuer": "internal"},
    "api": {"hosts": ["api.example.com", "api.local"]},
    "mlflow": {"hosts": ["mlflow.example.com"]},
}


def spec(**changed: Any) -> GatewaySpec:
    return GatewaySpec.model_validate({**WHOLE, **changed})


def route(decided: GatewaySpec, path: str = "/api/ml/serve", plugins: tuple[str, ...] = ()) -> dict[str, Any]:
    return manifests.route(
        decided,
        "ml",
        "serve",
        hosts=("api.example.com",),
        path=path,
        service="ray-serve",
        host=HOST,
        port=8000,
        plugins=list(plugins),
    )


def own(decided: GatewaySpec) -> dict[str, Any]:
    assert decided.tls
    return manifests.gateway(decided, decided.tls, "ml")


def certificate(decided: GatewaySpec) -> dict[str, Any]:
    assert decided.tls
    return manifests.certificate(decided, decided.tls, "ml")


def plugins(decided: GatewaySpec) -> dict[str, dict[str, Any]]:
    """Plugin to its configuration, of the routes of `api`."""
    return {made["plugin"]: made["config"] for made in manifests.plugins(decided, "ml")["api"].values()}


EXISTING = spec(tls=None, existing={"name": "shared", "namespace": "gateways", "listener": "https"})


@pytest.mark.parametrize(
    ("tool", "file", "manifest"),
    [
        ("gateway-crds", "gateway.networking.k8s.io_gateways.yaml", own(spec())),
        ("gateway-crds", "gateway.networking.k8s.io_httproutes.yaml", route(spec(), plugins=("a", "b"))),
        ("gateway-crds", "gateway.networking.k8s.io_httproutes.yaml", route(spec(), "/")),
        ("gateway-crds", "gateway.networking.k8s.io_httproutes.yaml", route(EXISTING)),
        ("cert-manager-crds", "cert-manager.io_certificates.yaml", certificate(spec())),
    ],
)
def test_objects_are_of_the_published_schema(tool: str, file: str, manifest: dict[str, Any], toolbox: Toolbox) -> None:
    crd = yaml.load((toolbox.homes[tool] / file).read_text(), yaml.CSafeLoader)
    group, version = manifest["apiVersion"].split("/")
    assert (crd["spec"]["group"], crd["spec"]["names"]["kind"]) == (group, manifest["kind"])
    (schema,) = [each for each in crd["spec"]["versions"] if each["name"] == version and each["served"]]
    wanted = schema["schema"]["openAPIV3Schema"]["properties"]["spec"]
    jsonschema.validate(manifest["spec"], strict(wanted))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**manifest["spec"], "unheardOf": 1}, strict(wanted))


def strict(node: Any) -> Any:
    """Unknown keys refused, as the API server's strict mode does."""
    if isinstance(node, list):
        return [strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    found = {key: strict(value) for key, value in node.items()}
    if isinstance(node.get("properties"), dict):
        found["additionalProperties"] = bool(node.get("x-kubernetes-preserve-unknown-fields"))
    return found


def test_every_host_has_a_listener_with_the_certificate_and_none_is_plain() -> None:
    listeners = own(spec())["spec"]["listeners"]
    assert [each["hostname"] for each in listeners] == ["api.example.com", "api.local", "mlflow.example.com"]
    assert {(each["protocol"], each["port"], each["tls"]["mode"]) for each in listeners} == {
        ("HTTPS", 443, "Terminate")
    }
    (secret,) = {each["tls"]["certificateRefs"][0]["name"] for each in listeners}
    made = certificate(spec())["spec"]
    assert made["secretName"] == secret
    assert made["dnsNames"] == [each["hostname"] for each in listeners]
    assert made["issuerRef"]["kind"] == "ClusterIssuer"


def test_a_secret_that_is_given_is_the_certificate() -> None:
    (first, *_) = own(spec(tls={"secret": "theirs"}))["spec"]["listeners"]
    assert first["tls"]["certificateRefs"] == [{"kind": "Secret", "name": "theirs"}]


def test_the_server_sees_its_own_path_and_its_own_name() -> None:
    (rule,) = route(spec())["spec"]["rules"]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/api/ml/serve"}}]
    (step,) = rule["filters"]
    assert step["urlRewrite"] == {
        "hostname": HOST,
        "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"},
    }
    (rule,) = route(spec(), "/")["spec"]["rules"]
    assert rule["filters"][0]["urlRewrite"] == {"hostname": HOST}


def test_a_route_is_on_the_https_listener_of_a_gateway_that_is_there() -> None:
    assert route(EXISTING)["spec"]["parentRefs"] == [
        {"name": "shared", "namespace": "gateways", "sectionName": "https"}
    ]
    assert route(spec())["spec"]["parentRefs"] == [{"name": own(spec())["metadata"]["name"]}]


def test_serve_and_features_ask_for_a_key_unless_told_otherwise() -> None:
    assert set(plugins(spec())) == {"key-auth", "rate-limiting", "request-size-limiting", "correlation-id"}
    key = plugins(spec())["key-auth"]
    assert key["hide_credentials"] is True
    assert key["key_in_query"] is False
    asked = {**WHOLE["api"], "authentication": "jwt"}
    assert set(plugins(spec(api=asked))) - set(plugins(spec())) == {"jwt"}
    # Kong verifies a signature only, unless told to look at the date.
    assert plugins(spec(api=asked))["jwt"]["claims_to_verify"] == ["exp"]


def test_limits_are_counted_for_whom_kong_knows() -> None:
    assert plugins(spec())["rate-limiting"] == {"minute": 600, "limit_by": "consumer", "policy": "local"}
    nobody = {**WHOLE["api"], "authentication": "none", "limits": {"requestsPerMinute": 60}}
    assert plugins(spec(api=nobody))["rate-limiting"] == {"minute": 60, "limit_by": "ip", "policy": "local"}
    assert plugins(spec(api=nobody))["request-size-limiting"]["allowed_payload_size"] == 8
    without = {**WHOLE["api"], "limits": {"requestsPerMinute": None, "maxRequestMegabytes": None}}
    assert set(plugins(spec(api=without))) == {"key-auth", "correlation-id"}


def test_a_plugin_keeps_its_kind_under_its_name() -> None:
    """Kong's CRD: "The plugin field is immutable"."""
    kinds: dict[str, set[str]] = {}
    for authentication in ("key", "jwt", "none"):
        for of_route in manifests.plugins(spec(api={**WHOLE["api"], "authentication": authentication}), "ml").values():
            for name, made in of_route.items():
                assert made["metadata"]["name"] == name
                kinds.setdefault(name, set()).add(made["plugin"])
    assert {name for name, found in kinds.items() if len(found) > 1} == set()
    assert len(kinds) == 6


def test_another_controller_gets_nothing_of_kong() -> None:
    other = spec(
        controller="other",
        className="cilium",
        api={**WHOLE["api"], "authentication": "none"},
        proxies={"namespace": "ingress", "labels": {"app": "envoy"}, "serviceAccount": "envoy"},
    )
    assert manifests.plugins(other, "ml") == {}
    assert "annotations" not in route(other)["metadata"]
    assert own(other)["spec"]["gatewayClassName"] == "cilium"


def test_cloudflare_signs_for_the_team_and_the_application() -> None:
    access = spec(cloudflareAccess={"team": "acme", "audience": "a1" * 32}).cloudflare_access
    assert access
    token = manifests.access_token(access)
    # Cloudflare, "Validate JWTs": the public key is at https://<team>.cloudflareaccess.com/cdn-cgi/access/certs.
    assert token.issuer == "https://acme.cloudflareaccess.com"
    assert token.jwks_uri == "https://acme.cloudflareaccess.com/cdn-cgi/access/certs"
    assert token.header == "Cf-Access-Jwt-Assertion"
    assert token.audiences == ("a1" * 32,)
