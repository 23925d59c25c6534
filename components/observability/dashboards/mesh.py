"""The mesh: who asks whom, what is denied, whether it is encrypted, and certificates.

Istio's standard metrics (https://istio.io/latest/docs/reference/config/metrics/) come from Istio's build of Envoy only.
Envoy's own statistics come from any; those of clusters are kept where the pod's annotation
`sidecar.istio.io/statsInclusionRegexps` admits them, others always (Istio, pkg/bootstrap/config.go). Labels of them:
tools/packaging/common/envoy_bootstrap.json. Istiod: pilot/pkg/xds/monitoring.go, security/pkg/server/ca/monitoring.go.
"""

from dataclasses import replace

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from components.observability.alerts.rule import Watched
from components.observability.dashboards.panel import board, lines, query, red_above, red_below, rows, values
from components.observability.dashboards.promql import growth, mean, quantile, rate, share, total

_REQUESTS = "istio_requests_total"
_BETWEEN = "source_workload, destination_workload"
_ENDS = "{{source_workload}} to {{destination_workload}}"
_SERVED = 'reporter="destination"'
_DAY = 86400


def dashboard(watched: Watched) -> Dashboard:
    """Whether what may talk does, what may not does not, and nobody listens in."""
    return board(
        "mesh",
        "ML Platform - Mesh",
        "Requests between workloads, denials, mutual TLS and certificates.",
        ("Now", _now(watched)),
        ("Requests between workloads (Istio's metrics)", _requests(watched)),
        ("Requests by pod (Envoy's statistics)", _proxies(watched)),
        ("Certificates and control plane", _control_plane(watched)),
    )


def _now(watched: Watched) -> list[Panel]:
    series = watched.series
    encrypted = series(_REQUESTS, f'{_SERVED}, connection_security_policy="mutual_tls"')
    denied = series("envoy_http_rbac", 'authz_enforce_result="denied"')
    return [
        values(
            "Sidecars answer",
            "percentunit",
            "Sidecars that Prometheus reaches among those that are there. 100 % is good.",
            query(mean(series("up", 'job="sidecar"')), "sidecars"),
            thresholds=red_below(1),
        ),
        values(
            "Mutual TLS",
            "percentunit",
            "Requests that came encrypted and with an identity, among all. Less than 100 % is bad, but for the rows of "
            "the access table that take plain text.",
            query(share(encrypted, series(_REQUESTS, _SERVED)), "of requests"),
            thresholds=red_below(1),
        ),
        values(
            "Denied requests, last hour",
            "short",
            "Requests that an AuthorizationPolicy refused. Some from strangers are good news; from the platform's own "
            "pods they are bad: the access table lacks a row.",
            query(growth(denied, window="1h"), "denied"),
        ),
        values(
            "Sidecars without configuration",
            "short",
            "Sidecars whose connection to istiod is down. 0 is good: others learn of no new pod and no new policy.",
            query(f"count({_connected(watched)} < 1) or vector(0)", "sidecars"),
            thresholds=red_above(1),
        ),
    ]


def _connected(watched: Watched) -> str:
    return watched.series("envoy_cluster_upstream_cx_active", 'cluster_name="xds-grpc"')


def _requests(watched: Watched) -> list[Panel]:
    series = watched.series
    latency = series("istio_request_duration_milliseconds_bucket", _SERVED)
    return [
        lines(
            "Requests by response code",
            "reqps",
            "Answers for each second, as the asked side counts them. 5xx are bad; 0 is a connection that broke.",
            query(rate(series(_REQUESTS, _SERVED), f"{_BETWEEN}, response_code"), f"{_ENDS} {{{{response_code}}}}"),
        ),
        lines(
            "Latency, 95th percentile",
            "s",
            "Time from a request's first byte to its answer's last, as the asked side's sidecar sees it. A rise that "
            "the asked side's own dashboard does not show is bad: it is the mesh's.",
            query(f"{quantile(0.95, latency, _BETWEEN)} / 1000", _ENDS),
        ),
        lines(
            "Forbidden (403)",
            "reqps",
            "Requests that were denied, by an AuthorizationPolicy or by the server itself. From the platform's own "
            "pods they are bad.",
            query(rate(series(_REQUESTS, f'{_SERVED}, response_code="403"'), _BETWEEN), _ENDS),
        ),
        lines(
            "Plain text",
            "reqps",
            "Requests that came without mutual TLS. Anything but what the access table admits is bad.",
            query(rate(series(_REQUESTS, f'{_SERVED}, connection_security_policy!="mutual_tls"'), _BETWEEN), _ENDS),
        ),
        lines(
            "TCP connections",
            "cps",
            "Connections that were opened for each second, such as to PostgreSQL and Redis. Many are bad: a client "
            "without a pool.",
            query(rate(series("istio_tcp_connections_opened_total", _SERVED), _BETWEEN), _ENDS),
            width=24,
        ),
    ]


def _proxies(watched: Watched) -> list[Panel]:
    series = watched.series
    sent = series("envoy_cluster_upstream_rq", 'cluster_name=~"outbound.*", response_code!=""')
    taken = series("envoy_cluster_upstream_rq", 'cluster_name=~"inbound.*", response_code!=""')
    return [
        lines(
            "Requests that a pod sends, by Service and response code",
            "reqps",
            "Answers that a pod gets for each second. 5xx are bad: 503 is also what a sidecar answers for a Service "
            "without a ready pod.",
            query(rate(sent, "pod, cluster_name, response_code"), "{{pod}} {{cluster_name}} {{response_code}}"),
        ),
        lines(
            "Requests that a pod answers, by port and response code",
            "reqps",
            "Answers that a pod gives for each second, to whomever. 5xx are bad.",
            query(rate(taken, "pod, cluster_name, response_code"), "{{pod}} {{cluster_name}} {{response_code}}"),
        ),
        lines(
            "Denied requests by pod",
            "reqps",
            "Requests that a pod's AuthorizationPolicy refused, for each second. A burst after an update is bad: the "
            "access table lacks a row.",
            query(rate(series("envoy_http_rbac", 'authz_enforce_result="denied"'), "pod"), "{{pod}}"),
            width=24,
        ),
    ]


def _control_plane(watched: Watched) -> list[Panel]:
    istiod = replace(watched, namespace=watched.control_plane or watched.namespace).series
    certificates = watched.series("envoy_server_days_until_first_cert_expiring")
    signed, asked = istiod("citadel_server_success_cert_issuance_count"), istiod("citadel_server_csr_count")
    return [
        values(
            "Istiod answers",
            "percentunit",
            "Istiods that Prometheus reaches. 100 % is good; without any, no pod gets a certificate, and those "
            "that there are last a day.",
            query(mean(istiod("up", 'job="istiod"')), "istiod"),
            thresholds=red_below(1),
        ),
        values(
            "Root certificate ends in",
            "s",
            f"The mesh's root. Under {watched.thresholds.certificate_days} days is bad: then nobody trusts anybody.",
            query(f"min({istiod('citadel_server_root_cert_expiry_timestamp')}) - time()", "root"),
            thresholds=red_below(watched.thresholds.certificate_days * _DAY),
        ),
        values(
            "Sidecars connected to istiod",
            "short",
            "As many as pods with a sidecar is good; fewer is bad.",
            query(total(istiod("pilot_xds")), "sidecars"),
        ),
        values(
            "Configurations refused",
            "short",
            "Configurations that a sidecar did not take, in the last hour. 0 is good; else it goes on with an old one.",
            query(f"{growth(istiod('pilot_total_xds_rejects'), window='1h')} or vector(0)", "refused"),
            thresholds=red_above(1),
        ),
        lines(
            "Certificates that istiod signed",
            "short",
            "Requests for a certificate and answers, in an hour: one for each sidecar about every 12 hours. More "
            "requests than answers is bad.",
            query(growth(asked, window="1h"), "asked"),
            query(growth(signed, window="1h"), "signed"),
        ),
        rows(
            "Days until a sidecar's certificate ends",
            "short",
            "Whole days: 0 or 1 is normal, since a certificate lasts a day and is renewed at half of it. A pod that is "
            "missing here is bad.",
            query(f"min by (pod) ({certificates})", "days"),
        ),
    ]
