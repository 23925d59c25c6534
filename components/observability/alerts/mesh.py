"""The mesh: its control plane, its certificates, and what sidecars refuse.

Names and labels are those of Istio 1.31 (`security/pkg/server/ca/monitoring.go`) and of Envoy, tagged as Istio's
bootstrap says (`tools/packaging/common/envoy_bootstrap.json`); they were read from an Envoy 1.40 with these tags.
Beside what sidecars tell of themselves they have to include the prefixes `cluster.inbound` and `cluster.outbound` and
the suffix `no_filter_chain_match`. Istio's own `istio_requests_total` is not asked: only Istio's build of Envoy has
it.
"""

from collections.abc import Iterator

from components.observability.alerts.rule import Alert, Group, Rule, Watched, grown

_DAY = 86400


def group(watched: Watched) -> Group:
    """Rules about the mesh."""
    return Group("mesh", (*_control_plane(watched), *_sidecars(watched), *_refused(watched)))


def _control_plane(watched: Watched) -> Iterator[Rule]:
    if not watched.control_plane:
        return
    yield Alert(
        name="MeshControlPlaneDown",
        expr=watched.down("istiod", watched.control_plane),
        lasting="5m",
        severity="critical",
        summary="No istiod in {{ $labels.namespace }} answers",
        description="New pods do not start, and after a day at most sidecars have no valid certificate.",
    )
    ends = " or ".join(
        f'min by (namespace) (citadel_server_{which}_expiry_timestamp{{namespace="{watched.control_plane}"}})'
        f" - time() < {watched.thresholds.certificate_days * _DAY}"
        for which in ("root_cert", "cert_chain")
    )
    yield Alert(
        name="MeshCertificateExpires",
        expr=ends,
        lasting="10m",
        severity="critical",
        summary="The mesh's own certificate in {{ $labels.namespace }} ends soon",
        description="It ends in {{ $value | humanizeDuration }}; then no pod trusts another, and all traffic stops.",
    )


def _sidecars(watched: Watched) -> Iterator[Rule]:
    streams = _told(watched, "envoy_cluster_upstream_rq_total", 'cluster_name="xds-grpc"')
    yield Alert(
        name="MeshSidecarDisconnected",
        # A connected sidecar has one stream for half an hour; one that is not tries again, twice a minute at least.
        expr=f"sum by (namespace, pod) (increase({streams}[10m])) > 6",
        lasting="5m",
        severity="warning",
        summary="The sidecar of {{ $labels.pod }} in {{ $labels.namespace }} gets no configuration",
        description="It goes on with what it knows: new pods of others are not found, and its certificate runs out.",
    )
    rejected = "\nor ".join(
        f"sum by (namespace, pod) ({grown(_told(watched, counter), '1h')}) > 0"
        for counter in ("envoy_listener_manager_lds_update_rejected", "envoy_cluster_manager_cds_update_rejected")
    )
    yield Alert(
        name="MeshConfigRefused",
        expr=rejected,
        severity="warning",
        summary="The sidecar of {{ $labels.pod }} in {{ $labels.namespace }} refuses its configuration",
        description="It goes on with the one before, or has none: policies that were changed are not in force there.",
    )


def _told(watched: Watched, name: str, matchers: str = "") -> str:
    """A metric of the sidecars."""
    return watched.series(name, f'job="sidecar", {matchers}' if matchers else 'job="sidecar"')


def _refused(watched: Watched) -> Iterator[Rule]:
    denied = "\nor ".join(
        f"sum by (namespace, pod) (increase({counter}[10m])) >= 5"
        for counter in (
            _told(watched, name, 'authz_enforce_result="denied"') for name in ("envoy_http_rbac", "envoy_tcp")
        )
    )
    yield Alert(
        name="MeshRequestsDenied",
        expr=denied,
        severity="warning",
        summary="{{ $labels.pod }} in {{ $labels.namespace }} is asked by who may not",
        description="Its sidecar denied {{ $value | humanize }} requests or connections within 10 minutes.",
    )
    unmatched = _told(watched, "envoy_listener_no_filter_chain_match", 'listener_address="0.0.0.0_15006"')
    yield Alert(
        name="MeshPlainTextRefused",
        expr=f"sum by (namespace, pod) (increase({unmatched}[10m])) >= 5",
        severity="warning",
        summary="{{ $labels.pod }} in {{ $labels.namespace }} is asked in plain text",
        description="Its sidecar refused {{ $value | humanize }} connections without mutual TLS within 10 minutes.",
    )
    to = 'cluster_name=~"outbound[|].+"'
    unavailable = grown(_told(watched, "envoy_cluster_upstream_rq", f'{to}, response_code="503"'), "5m")
    requests = _told(watched, "envoy_cluster_upstream_rq_completed", to)
    by = "namespace, cluster_name"
    yield Alert(
        name="MeshServiceUnavailable",
        expr=(
            f"sum by ({by}) ({unavailable}) / (sum by ({by}) (increase({requests}[5m])) >= 20)"
            f" > {watched.thresholds.mesh_error_ratio:g}"
        ),
        lasting="5m",
        severity="warning",
        summary="Requests from {{ $labels.namespace }} to {{ $labels.cluster_name }} end with 503",
        description="{{ $value | humanizePercentage }} of them, seen by the sidecars of those who ask.",
    )
