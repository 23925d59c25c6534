"""Facts of the Gateway API, Kong and cert-manager about a way in.

Sources: Gateway API v1.5 (https://gateway-api.sigs.k8s.io/reference/spec/); Kong Ingress Controller
(https://developer.konghq.com/kubernetes-ingress-controller/) and the reference of each plugin
(https://developer.konghq.com/plugins/); cert-manager (https://cert-manager.io/docs/reference/api-docs/).
"""

from typing import Any

from components.gateway.spec import ApiRoutes, CloudflareAccess, GatewaySpec, Limits, Tls
from components.kube import objects
from components.kube.access import Token
from components.kube.pods import Manifest

GATEWAY = "ml-platform"
"""The Gateway, and the Certificate with its Secret where cert-manager makes them."""

CERTIFICATE = f"{GATEWAY}-tls"

CORRELATION = "correlation-id"

_API = "gateway.networking.k8s.io/v1"


def access_token(access: CloudflareAccess) -> Token:
    """How Cloudflare Access says who asks.

    Source: Cloudflare, "Validate JWTs" (https://developers.cloudflare.com/cloudflare-one/).
    """
    issuer = f"https://{access.team}.cloudflareaccess.com"
    return Token(issuer, f"{issuer}/cdn-cgi/access/certs", (access.audience,), "Cf-Access-Jwt-Assertion")


def certificate(spec: GatewaySpec, tls: Tls, namespace: Any) -> Manifest:
    """A Certificate of all hosts; a renewed one has a new key."""
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": objects.metadata("gateway", namespace, GATEWAY),
        "spec": {
            "secretName": CERTIFICATE,
            "dnsNames": list(spec.hosts),
            "issuerRef": {"group": "cert-manager.io", "kind": tls.issuer_kind, "name": tls.issuer},
            "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
        },
    }


def gateway(spec: GatewaySpec, tls: Tls, namespace: Any) -> Manifest:
    """A Gateway with an HTTPS listener for each host, and none for plain HTTP; routes of its own namespace only."""
    return {
        "apiVersion": _API,
        "kind": "Gateway",
        "metadata": objects.metadata("gateway", namespace, GATEWAY),
        "spec": {
            "gatewayClassName": spec.class_name,
            "listeners": [
                {
                    "name": host,
                    "hostname": host,
                    "port": 443,
                    "protocol": "HTTPS",
                    "tls": {
                        "mode": "Terminate",
                        "certificateRefs": [{"kind": "Secret", "name": tls.secret or CERTIFICATE}],
                    },
                    "allowedRoutes": {"namespaces": {"from": "Same"}},
                }
                for host in spec.hosts
            ],
        },
    }


def route(
    spec: GatewaySpec,
    namespace: Any,
    name: str,
    *,
    hosts: tuple[str, ...],
    path: str,
    service: Any,
    host: Any,
    port: int,
    plugins: list[str],
) -> Manifest:
    """An HTTPRoute to one Service.

    A request goes on with the Service's own name as its Host header: a sidecar knows Services by it, and would send
    anything else past the mesh in plain text, which the other side refuses (kubernetes/ingress-nginx#3171).

    Args:
        spec: decisions.
        namespace: of route and Service.
        name: of the route.
        hosts: that it is reached by.
        path: that it is reached under, which the server does not see; `/` for all.
        service: name of the Service.
        host: its DNS name.
        port: of the Service.
        plugins: names of the KongPlugins that a request passes.
    """
    rewrite: Manifest = {"hostname": host}
    if path != "/":
        rewrite["path"] = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}
    parent: Manifest = {"name": GATEWAY}
    if spec.existing:
        parent = {
            "name": spec.existing.name,
            "namespace": spec.existing.namespace,
            "sectionName": spec.existing.listener,
        }
    annotations = {"konghq.com/plugins": ",".join(plugins)} if plugins else None
    return {
        "apiVersion": _API,
        "kind": "HTTPRoute",
        "metadata": objects.metadata("gateway", namespace, name, annotations),
        "spec": {
            "parentRefs": [parent],
            "hostnames": list(hosts),
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": path}}],
                    "filters": [{"type": "URLRewrite", "urlRewrite": rewrite}],
                    "backendRefs": [{"name": service, "port": port}],
                }
            ],
        },
    }


def plugins(spec: GatewaySpec, namespace: Any) -> dict[str, dict[str, Manifest]]:
    """The KongPlugins that requests pass, by name, for `api` and for `mlflow`; none with another controller.

    The plugin is part of the name: Kong's CRD refuses another one under the same.
    """
    if spec.controller != "kong":
        return {}
    # Ray Serve takes this header for the id of the request, logs it and sends it back: SERVE_HTTP_REQUEST_ID_HEADER in
    # ray/serve/_private/constants.py.
    config = {"header_name": "X-Request-ID", "generator": "uuid", "echo_downstream": True}
    tracing = {CORRELATION: _plugin(namespace, CORRELATION, CORRELATION, config)}
    found = {}
    if spec.api:
        by = "ip" if spec.api.authentication == "none" else "consumer"
        found["api"] = {
            **_authentication(spec.api, namespace),
            **_limits(spec.api.limits, namespace, "api", by),
            **tracing,
        }
    if spec.mlflow:
        found["mlflow"] = {**_limits(spec.mlflow.limits, namespace, "mlflow", "ip"), **tracing}
    return found


def _authentication(api: ApiRoutes, namespace: Any) -> dict[str, Manifest]:
    match api.authentication:
        case "key":
            # A key in an address ends up in logs, and the server has no use for it.
            config = {"key_names": ["apikey"], "key_in_query": False, "key_in_body": False, "hide_credentials": True}
            return {"api-key-auth": _plugin(namespace, "api-key-auth", "key-auth", config)}
        case "jwt":
            # Without `exp` among them, a token that has run out would do.
            config = {"header_names": ["authorization"], "uri_param_names": [], "claims_to_verify": ["exp"]}
            return {"api-jwt": _plugin(namespace, "api-jwt", "jwt", config)}
        case _:
            return {}


def _limits(limits: Limits, namespace: Any, prefix: str, by: str) -> dict[str, Manifest]:
    found = {}
    if limits.requests_per_minute:
        config: Manifest = {"minute": limits.requests_per_minute, "limit_by": by, "policy": "local"}
        found[f"{prefix}-rate-limiting"] = _plugin(namespace, f"{prefix}-rate-limiting", "rate-limiting", config)
    if limits.max_request_megabytes:
        config = {"allowed_payload_size": limits.max_request_megabytes, "size_unit": "megabytes"}
        name = f"{prefix}-request-size-limiting"
        found[name] = _plugin(namespace, name, "request-size-limiting", config)
    return found


def _plugin(namespace: Any, name: str, plugin: str, config: Manifest) -> Manifest:
    return {
        "apiVersion": "configuration.konghq.com/v1",
        "kind": "KongPlugin",
        "metadata": objects.metadata("gateway", namespace, name),
        "plugin": plugin,
        "config": config,
    }
