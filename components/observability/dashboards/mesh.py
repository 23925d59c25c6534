"""The mesh: who asks whom, what is refused, and certificates.

Envoy's own statistics, which any Envoy has, and not Istio's (decision 19). Those of clusters and listeners are kept
where a pod's ProxyConfig asks for them: `proxyStatsMatcher` with the prefixes `cluster.inbound` and `cluster.outbound`
and the suffix `no_filter_chain_match`; the others always (Istio 1.31, pkg/bootstrap/config.go). Labels:
tools/packaging/common/envoy_bootstrap.json. Istiod: pilot/pkg/xds/monitoring.go, pkg/xds/monitoring.go,
security/pkg/server/ca/monitoring.go.
"""

from dataclasses import replace

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from components.observability.alerts.rule import Watched
from components.observability.dashboards.panel import board, lines, query, red_above, red_below, values
from components.observability.dashboards.promql import growth, mean, quantile, rate, total

_DENIED = 'authz_enforce_result="denied"'
_INBOUND = 'listener_address="0.0.0.0_15006"'
_OUTBOUND = 'cluster_name=~"outbound.+"'
_DAY = 86400


def dashboard(watched: Watched) -> Dashboard:
    """Whether what may talk does, what may not does not, and nobody listens in; istiod's part where it is scraped."""
    istiod = watched.control_plane is not None
    return board(
        "mesh",
        "ML Platform - Mesh",
        "Requests between workloads, denials, plain text and certificates.",
        ("Now", _now(watched)),
        ("Requests between workloads", _requests(watched)),
        ("Refused", _refused(watched)),
        *([("Certificates and control plane", [*_control_plane(watched), *_signed(watched)])] if istiod else []),
    )


def _istiod(watched: Watched) -> Watched:
    return replace(watched, namespace=watched.control_plane or watched.namespace)


def _service(expr: str) -> str:
    """The expression with the Service's name, which is part of the cluster's: `outbound|80||NAME.NAMESPACE.svc`."""
    return f'label_replace({expr}, "service", "$1", "cluster_name", "outbound[|][0-9]+[|][^|]*[|]([^.]+).*")'


def _now(watched: Watched) -> list[Panel]:
    series = watched.series
    connections = series("envoy_cluster_upstream_cx_active", 'cluster_name="xds-grpc"')
    return [
        values(
            "Sidecars answer",
            "percentunit",
            "Sidecars that Prometheus reaches among those that are there. 100 % is good.",
            query(mean(series("up", 'job="sidecar"')), "sidecars"),
            thresholds=red_below(1),
        ),
        values(
            "Sidecars without istiod",
            "short",
            "Sidecars without a connection to istiod. 0 is good: others learn of no new pod and no new policy.",
            query(f"count({connections} < 1) or vector(0)", "sidecars"),
            thresholds=red_above(1),
        ),
        values(
            "Denied, last hour",
            "short",
            "Requests and connections that an AuthorizationPolicy refused. From strangers they are good news; from the "
            "platform's own pods they are bad: the access table lacks a row.",
            query(f"{growth(series('envoy_http_rbac', _DENIED), window='1h')} or vector(0)", "requests"),
            query(f"{growth(series('envoy_tcp', _DENIED), window='1h')} or vector(0)", "connections"),
        ),
        values(
            "Plain text refused, last hour",
            "short",
            "Connections without mutual TLS that sidecars did not take; what they take is mutual TLS, but for the rows "
            "of the access table that admit plain text. Any is bad: its source is not in the mesh.",
            query(growth(series("envoy_listener_no_filter_chain_match", _INBOUND), window="1h"), "connections"),
            thresholds=red_above(1),
        ),
    ]


def _requests(watched: Watched) -> list[Panel]:
    series = watched.series
    sent = rate(
        series("envoy_cluster_upstream_rq", f'{_OUTBOUND}, response_code!=""'), "pod, cluster_name, response_code"
    )
    taken = series("envoy_cluster_upstream_rq", 'cluster_name=~"inbound.+", response_code!=""')
    latency = quantile(0.95, series("envoy_cluster_upstream_rq_time_bucket", _OUTBOUND), "cluster_name")
    opened = rate(series("envoy_cluster_upstream_cx_total", _OUTBOUND), "cluster_name")
    return [
        lines(
            "Requests by who asks, Service and response code",
            "reqps",
            "Answers for each second, as the sidecar of who asks counts them. 5xx are bad; 503 is also its own answer "
            "for a Service without a ready pod.",
            query(_service(sent), "{{pod}} to {{service}} {{response_code}}"),
        ),
        lines(
            "Latency by Service, 95th percentile",
            "s",
            "Time until the answer, as the sidecars of those who ask see it. A rise that the Service's own dashboard "
            "does not show is bad: it is the way there.",
            query(f"{_service(latency)} / 1000", "{{service}}"),
        ),
        lines(
            "Requests by who answers, port and response code",
            "reqps",
            "Answers for each second, to whomever. 5xx are bad; 403 may be a denial of the server itself.",
            query(rate(taken, "pod, cluster_name, response_code"), "{{pod}} {{cluster_name}} {{response_code}}"),
        ),
        lines(
            "Connections by Service",
            "cps",
            "Connections that are opened for each second, also those that are no HTTP, such as to PostgreSQL and "
            "Redis. Many are bad: a client without a pool.",
            query(_service(opened), "{{service}}"),
        ),
    ]


def _refused(watched: Watched) -> list[Panel]:
    series = watched.series
    failed = rate(series("envoy_cluster_upstream_cx_connect_fail", _OUTBOUND), "pod, cluster_name")
    return [
        lines(
            "Denied by pod",
            "reqps",
            "Requests and connections that a pod's AuthorizationPolicy refused, for each second. A burst after an "
            "update is bad: the access table lacks a row.",
            query(rate(series("envoy_http_rbac", _DENIED), "pod"), "{{pod}} requests"),
            query(rate(series("envoy_tcp", _DENIED), "pod"), "{{pod}} connections"),
        ),
        lines(
            "Connections that failed, by who asks and Service",
            "cps",
            "Connections that did not come about, for each second. Any for long are bad: the Service is down, or a "
            "NetworkPolicy is in the way.",
            query(_service(failed), "{{pod}} to {{service}}"),
        ),
    ]


def _control_plane(watched: Watched) -> list[Panel]:
    series, days = _istiod(watched).series, watched.thresholds.certificate_days
    return [
        values(
            "Istiod answers",
            "percentunit",
            "Istiods that Prometheus reaches. 100 % is good; without any, no pod gets a certificate, and those that "
            "there are last a day.",
            query(mean(series("up", 'job="istiod"')), "istiod"),
            thresholds=red_below(1),
        ),
        values(
            "The mesh's certificates end in",
            "s",
            f"That of the root, and that which signs. Under {days} days is bad: then nobody trusts anybody.",
            *(
                query(f"min({series(f'citadel_server_{which}_expiry_timestamp')}) - time()", which.replace("_", " "))
                for which in ("root_cert", "cert_chain")
            ),
            thresholds=red_below(days * _DAY),
        ),
        values(
            "Sidecars that istiod has",
            "short",
            "Connections of sidecars. As many as pods with a sidecar is good; fewer is bad.",
            query(total(series("pilot_xds")), "sidecars"),
        ),
        values(
            "Configurations refused, last hour",
            "short",
            "Configurations that a sidecar did not take. 0 is good; else it goes on with an old one.",
            query(f"{growth(series('pilot_total_xds_rejects'), window='1h')} or vector(0)", "refused"),
            thresholds=red_above(1),
        ),
    ]


def _signed(watched: Watched) -> list[Panel]:
    series = _istiod(watched).series
    return [
        lines(
            "Certificates that istiod signs",
            "short",
            "Requests for a certificate, and those that were signed, in an hour: one for each sidecar about every 12 "
            "hours. More requests than certificates is bad.",
            query(growth(series("citadel_server_csr_count"), window="1h"), "asked for"),
            query(growth(series("citadel_server_success_cert_issuance_count"), window="1h"), "signed"),
            width=24,
        )
    ]
