"""The way in from outside.

Names and labels are those of Kong's prometheus plugin with `status_code_metrics` and `latency_metrics`; a route of an
HTTPRoute is called `httproute.NAMESPACE.NAME.RULE.MATCH`. Kong tells nothing of its certificates, so only those that
cert-manager made are watched.
"""

from collections.abc import Iterator

from components.observability.alerts.rule import Alert, Group, Rule, Watched, percentile, share

_DAY = 86400
_BY = "namespace, route"


def group(watched: Watched) -> Group:
    """Rules about what comes from outside."""
    proxies = _proxies(watched, watched.gateway) if watched.gateway else ()
    return Group("gateway", (*proxies, *_certificates(watched)))


def _proxies(watched: Watched, namespace: str) -> Iterator[Rule]:
    limits = watched.thresholds
    ours = f'namespace="{namespace}", route=~"httproute[.]{watched.namespace}[.].+"'

    def requests(code: str = "") -> str:
        return f"kong_http_requests_total{{{ours}{code}}}"

    yield Alert(
        name="GatewayDown",
        expr=watched.down("gateway", namespace),
        lasting="2m",
        severity="critical",
        summary="No proxy of the gateway in {{ $labels.namespace }} answers",
        description="The platform cannot be reached from outside; within the cluster it works.",
    )
    failed = share(requests(', code=~"5.."'), requests(), _BY)
    yield Alert(
        name="GatewayErrorsHigh",
        expr=f"{failed} > {limits.gateway_error_ratio:g}",
        lasting="5m",
        severity="critical",
        summary="Requests through the gateway in {{ $labels.namespace }} fail at {{ $labels.route }}",
        description="{{ $value | humanizePercentage }} of the requests from outside end with 5xx.",
    )
    latency = percentile("kong_request_latency_ms", f"{{{ours}}}", _BY)
    yield Alert(
        name="GatewayLatencyHigh",
        expr=f"({latency}) > {limits.gateway_latency_seconds * 1000:g}",
        lasting="10m",
        severity="warning",
        summary="Requests through the gateway in {{ $labels.namespace }} are slow at {{ $labels.route }}",
        description="One request in twenty takes longer than {{ $value | humanize }} milliseconds.",
    )
    limited = share(requests(', code="429"'), requests(), _BY)
    yield Alert(
        name="GatewayRateLimited",
        expr=f"{limited} > {limits.gateway_limited_ratio:g}",
        lasting="10m",
        severity="info",
        summary="The gateway in {{ $labels.namespace }} turns clients away at {{ $labels.route }}",
        description="{{ $value | humanizePercentage }} of the requests come faster than their client may ask.",
    )


def _certificates(watched: Watched) -> Iterator[Rule]:
    if not watched.certificates:
        return
    names = "|".join(watched.certificates)
    ends = watched.series("certmanager_certificate_expiration_timestamp_seconds", f'name=~"{names}"')
    yield Alert(
        name="GatewayCertificateExpires",
        expr=f"min by (namespace, name) ({ends}) - time() < {watched.thresholds.certificate_days * _DAY}",
        lasting="1h",
        severity="critical",
        summary="Certificate {{ $labels.name }} in {{ $labels.namespace }} ends soon",
        description="It ends in {{ $value | humanizeDuration }}; then clients outside refuse to talk to the platform.",
    )
