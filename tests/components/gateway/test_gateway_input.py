"""Bad input for the gateway: each a sentence with file, key, value and what is allowed."""

from typing import Any

import pytest

from tests.support.configuration import load_with, refused

AUDIENCE = "97" * 32
ADDONS = ["cert-manager", "gateway-api", "istio", "kong"]
WHOLE: dict[str, Any] = {
    "tls": {"secret": "gateway-tls"},
    "api": {"hosts": ["api.example.com"]},
    "mlflow": {"hosts": ["mlflow.example.com"]},
}
OTHER: dict[str, Any] = {
    "controller": "other",
    "className": "cilium",
    "proxies": {"namespace": "ingress", "labels": {"app": "envoy"}, "serviceAccount": "envoy"},
    "api": {"hosts": ["api.example.com"], "authentication": "none"},
}
EXISTING = {"name": "shared", "namespace": "gateways", "listener": "https"}


def config(*, addons: list[str] | None = None, injected: bool = False, **others: Any) -> dict[str, Any]:
    """A stack in which the gateway works; `others` are further blocks."""
    return {
        "ml-platform:cluster": {"addons": ADDONS if addons is None else addons},
        "ml-platform:tenancy": {"namespace": "ml", "meshInjection": injected},
        "ml-platform:mlflow": {"hosts": ["mlflow.example.com"]},
        **{f"ml-platform:{key}": value for key, value in others.items()},
    }


def gateway(**changed: Any) -> dict[str, Any]:
    return config(gateway={**WHOLE, **changed})


def api(**changed: Any) -> dict[str, Any]:
    return gateway(api={**WHOLE["api"], **changed})


def tls(**found: Any) -> dict[str, Any]:
    return gateway(tls=found)


def access(**changed: Any) -> dict[str, Any]:
    asked = {**WHOLE, "cloudflareAccess": {"team": "acme", "audience": AUDIENCE, **changed}}
    return config(injected=True, gateway=asked)


BAD: dict[str, tuple[dict[str, Any], list[str]]] = {
    # Addons
    "no Gateway API": (
        config(addons=["kong"], gateway=WHOLE),
        ["ml-platform:gateway: needs the addon gateway-api: add it to cluster.addons"],
    ),
    "no Kong": (
        config(addons=["gateway-api"], gateway=WHOLE),
        ["ml-platform:gateway.controller: needs the addon kong: add it to cluster.addons"],
    ),
    "no cert-manager": (
        config(addons=["gateway-api", "kong"], gateway={**WHOLE, "tls": {"issuer": "internal"}}),
        ["ml-platform:gateway.tls.issuer: needs the addon cert-manager: add it to cluster.addons"],
    ),
    "no addon at all": (config(addons=[], gateway=WHOLE), ["addon gateway-api", "addon kong"]),
    "unknown addon": (
        config(addons=["gateway-api", "konk"], gateway=WHOLE),
        ["cluster.addons[1]: must be", "'kong'", "'konk'"],
    ),
    # Certificates
    "host without a certificate": (
        gateway(tls=None),
        ["gateway: needs one of tls and existing: a certificate for api.example.com, mlflow.example.com"],
    ),
    "certificate for a Gateway of others": (gateway(existing=EXISTING), ["gateway: needs one of tls and existing"]),
    "secret and issuer": (
        tls(secret="gateway-tls", issuer="internal"),
        ["gateway.tls: needs one of secret and issuer"],
    ),
    "neither secret nor issuer": (tls(), ["gateway.tls: needs one of secret and issuer"]),
    "kind of an issuer that there is not": (
        tls(secret="gateway-tls", issuerKind="Issuer"),
        ["gateway.tls: has issuerKind, which goes with issuer, and secret: remove issuerKind"],
    ),
    "unknown kind of issuer": (
        tls(issuer="internal", issuerKind="CA"),
        ["gateway.tls.issuerKind: must be 'ClusterIssuer' or 'Issuer' (found 'CA')"],
    ),
    "certificate in the file": (tls(certificate="-----BEGIN"), ["gateway.tls.certificate: is not a known key"]),
    # A Gateway that is there
    "existing gateway without a listener": (
        gateway(tls=None, existing={"name": "shared", "namespace": "gateways"}),
        ["gateway.existing.listener: is missing and has no default"],
    ),
    "class of a gateway that is there": (
        gateway(tls=None, existing=EXISTING, className="kong"),
        ["gateway: has className ('kong') and existing, which has a class already: remove className"],
    ),
    # Hosts
    "host twice": (
        gateway(mlflow={"hosts": ["mlflow.example.com", "mlflow.example.com"]}),
        ["gateway: has the host 'mlflow.example.com' 2 times: each host is named once"],
    ),
    "host of both": (
        gateway(api={"hosts": ["mlflow.example.com"]}),
        ["gateway: has the host 'mlflow.example.com' 2 times", "MLflow's are not those of api"],
    ),
    "host that MLflow does not answer": (
        gateway(mlflow={"hosts": ["ml.example.com"]}),
        ["ml-platform:gateway.mlflow.hosts: has 'ml.example.com', but mlflow.hosts has not", "add it there"],
    ),
    "host with a scheme": (
        gateway(api={"hosts": ["https://api.example.com"]}),
        ["gateway.api.hosts[0]: must be a DNS name", "'https://api.example.com'"],
    ),
    "host that is an address": (
        gateway(api={"hosts": ["192.0.2.7"]}),
        ["gateway.api.hosts[0]: must be a DNS name: a Gateway tells hosts apart by name", "'192.0.2.7'"],
    ),
    "no host": (gateway(api={"hosts": []}), ["gateway.api.hosts: must have at least 1 entry"]),
    "more hosts than a route holds": (
        gateway(api={"hosts": [f"api{number}.example.com" for number in range(17)]}),
        ["gateway.api.hosts: must have at most 16 entries"],
    ),
    # Paths
    "path without a slash": (
        api(serve="api/ml/serve"),
        ["gateway.api.serve: must be a path such as '/api/ml/serve': it begins with '/'", "'api/ml/serve'"],
    ),
    "path of everything": (api(serve="/"), ["gateway.api.serve: must be a path", "has a name (found '/')"]),
    "path that ends with a slash": (
        api(features="/features/"),
        ["gateway.api.features: must be a path", "'/features/'"],
    ),
    "path that climbs": (api(serve="/api/../admin"), ["gateway.api.serve: must be a path", "'/api/../admin'"]),
    "one path for both": (
        api(serve="/api/ml", features="/api/ml"),
        ["gateway.api: serve ('/api/ml') and features ('/api/ml') overlap: neither may be the other, nor lie under it"],
    ),
    "path under another": (
        api(serve="/api/ml", features="/api/ml/features"),
        ["gateway.api: serve ('/api/ml') and features ('/api/ml/features') overlap"],
    ),
    "api without a path": (api(serve=None, features=None), ["gateway.api: has neither serve nor features"]),
    "gRPC in place of HTTP": (api(grpc="/grpc"), ["gateway.api.grpc: is not a known key; ", "allowed here: "]),
    "leads nowhere": (gateway(api=None, mlflow=None), ["gateway: leads nowhere: give it api or mlflow"]),
    # Kong, and others
    "negative rate": (
        api(limits={"requestsPerMinute": -1}),
        ["gateway.api.limits.requestsPerMinute: must be greater than or equal to 1 (found -1)"],
    ),
    "request of no size": (
        api(limits={"maxRequestMegabytes": 0}),
        ["gateway.api.limits.maxRequestMegabytes: must be greater than or equal to 1 (found 0)"],
    ),
    "unknown authentication": (
        api(authentication="basic"),
        ["gateway.api.authentication: must be 'key', 'jwt' or 'none' (found 'basic')"],
    ),
    "token in a header that feast reads": (
        api(authentication="jwt"),
        [
            "ml-platform:gateway.api.authentication: is jwt, but feast.authorization is kubernetes",
            "set gateway.api.authentication to key",
        ],
    ),
    "unknown controller": (
        gateway(controller="nginx"),
        ["gateway.controller: must be 'kong' or 'other' (found 'nginx')"],
    ),
    "limits without Kong": (
        gateway(**{**OTHER, "api": {**OTHER["api"], "limits": {"requestsPerMinute": 5}}}),
        ["gateway: has api.limits, which Kong keeps, but controller 'other': remove it or set controller to kong"],
    ),
    "limits of MLflow without Kong": (
        gateway(**OTHER, mlflow={**WHOLE["mlflow"], "limits": {"maxRequestMegabytes": 5}}),
        ["gateway: has mlflow.limits, which Kong keeps, but controller 'other'"],
    ),
    "keys without Kong": (
        gateway(**{**OTHER, "api": WHOLE["api"]}),
        ["gateway: has api.authentication 'key', which Kong asks for, but controller 'other'", "set it to none"],
    ),
    "proxies of Kong without Kong": (
        gateway(**{key: value for key, value in OTHER.items() if key not in {"className", "proxies"}}),
        [
            "has controller 'other', but no className, whose default is Kong's",
            "but no proxies, whose default is Kong's",
        ],
    ),
    # Who comes in
    "proxies in the platform's namespace": (
        gateway(proxies={"namespace": "ml"}),
        [
            "ml-platform:gateway.proxies.namespace: is 'ml', which is the platform's own (tenancy.namespace)",
            "another namespace",
        ],
    ),
    "proxies without labels": (gateway(proxies={"labels": {}}), ["gateway.proxies.labels", "1"]),
    "MLflow without users for anyone": (
        config(gateway=WHOLE, mlflow={"hosts": ["mlflow.example.com"], "authentication": "none"}),
        ["ml-platform:mlflow.authentication: is none, but gateway.mlflow leads there from outside", "set it to basic"],
    ),
    "identity that nobody verifies": (
        gateway(cloudflareAccess={"team": "acme", "audience": AUDIENCE}),
        ["gateway.cloudflareAccess: needs tenancy.meshInjection, since MLflow's sidecar verifies the identity"],
    ),
    "identity before nothing": (
        config(
            injected=True, gateway={**WHOLE, "mlflow": None, "cloudflareAccess": {"team": "acme", "audience": AUDIENCE}}
        ),
        ["1 problem in", "gateway: has cloudflareAccess, which is asked for before MLflow, but no mlflow"],
    ),
    "empty audience": (
        access(audience=""),
        ["gateway.cloudflareAccess.audience: must be the application's audience tag (AUD): 64 hex digits (found '')"],
    ),
    "name in place of the audience": (access(audience="mlflow"), ["gateway.cloudflareAccess.audience:", "'mlflow'"]),
    "domain in place of the team": (
        access(team="acme.cloudflareaccess.com"),
        ["gateway.cloudflareAccess.team: must be the name of a team", "'acme.cloudflareaccess.com'"],
    ),
    "neighbour of the same name": (
        config(gateway=WHOLE, mesh={"neighbours": [{"name": "gateway", "namespace": "kong"}]}),
        ["mesh: the name 'gateway' is taken"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_gateway_is_a_sentence_with_file_key_and_what_is_allowed(case: str) -> None:
    refused(*BAD[case])


GOOD = {
    "own, with a secret": gateway(),
    "own, with an issuer": tls(issuer="internal", issuerKind="Issuer"),
    "existing": gateway(tls=None, existing=EXISTING),
    "another controller": gateway(**OTHER),
    "another controller, existing": gateway(
        **{key: value for key, value in OTHER.items() if key != "className"}, tls=None, existing=EXISTING
    ),
    "neighbours by name only": api(serve="/api/ml", features="/api/mlx"),
    "tokens for serve alone": api(authentication="jwt", features=None),
    "identities": access(),
    "identities of a team with a digit first": access(team="254carbon"),
    "identities in place of users": {
        **access(),
        "ml-platform:mlflow": {"hosts": ["mlflow.example.com"], "authentication": "none"},
    },
}


@pytest.mark.parametrize("case", GOOD)
def test_what_goes_together_is_accepted(case: str) -> None:
    settings, _ = load_with(GOOD[case])
    assert settings.gateway
    assert list(settings.access().problems()) == []


def test_a_stack_has_no_gateway_unless_it_says_so() -> None:
    assert load_with({})[0].gateway is None
