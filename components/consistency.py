"""What has to hold between settings of different subsystems: one function for each rule, one sentence for each breach.

A subsystem's own keys are checked in its `spec.py`. Every sentence begins with the key that it is about.
"""

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING

from pydantic.alias_generators import to_camel

from components.kube.access import service_of
from components.stores.manifests import external_stores

if TYPE_CHECKING:
    from components.settings import Settings


def problems(settings: "Settings", today: date) -> Iterator[str]:
    """All that does not go together, as sentences."""
    for rule in (
        _addons_are_there,
        _stores_hold_what_is_asked_of_them,
        _stores_in_the_namespace_say_their_pods,
        _neighbours_are_asked_for_a_token,
        _access_names_ends_and_ports_that_are_there,
        _sources_have_an_identity,
        _plain_text_is_of_sources_outside,
        _gateway_leads_where_it_is_answered,
        _identities_are_verified,
        _pods_of_the_mesh_can_be_scraped,
        _grafana_knows_whom_to_ask,
        _sidecars_tell_someone,
    ):
        yield from rule(settings)
    yield from (f"mesh: {problem}" for problem in settings.mesh.expired(today))


def _addons_are_there(settings: "Settings") -> Iterator[str]:
    gateway, addons = settings.gateway, settings.cluster.addons
    if settings.tenancy.mesh_injection and "istio" not in addons:
        yield "tenancy.meshInjection: needs the addon istio: add it to cluster.addons, or set it to false"
    needed = {
        "gateway-api": "gateway" if gateway else "",
        "kong": "gateway.controller" if gateway and gateway.controller == "kong" else "",
        "cert-manager": "gateway.tls.issuer" if gateway and gateway.tls and gateway.tls.issuer else "",
        "prometheus-operator": "observability" if settings.observability else "",
    }
    for addon, key in needed.items():
        if key and addon not in addons:
            yield f"{key}: needs the addon {addon}: add it to cluster.addons"


def _stores_hold_what_is_asked_of_them(settings: "Settings") -> Iterator[str]:
    mlflow, feast, ray = settings.mlflow, settings.feast, settings.ray
    databases = {database.name: database.role for database in settings.stores.databases}
    buckets = {bucket.name for bucket in settings.stores.buckets}
    for key, name, kind, known in (
        ("mlflow.database", mlflow.database, "databases", databases),
        ("mlflow.usersDatabase", mlflow.users_database, "databases", databases),
        ("feast.database", feast.database, "databases", databases),
        ("mlflow.bucket", mlflow.bucket, "buckets", buckets),
        ("mlflow.backupBucket", mlflow.backup_bucket, "buckets", buckets),
        ("ray.bucket", ray.bucket, "buckets", buckets),
    ):
        if name not in known:
            there = ", ".join(sorted(known))
            yield f"{key}: is '{name}', but stores.{kind} has none of that name: there are {there}"
    owner, users = databases.get(mlflow.database), databases.get(mlflow.users_database)
    if owner and users and owner != users:
        yield (
            f"mlflow.usersDatabase: is '{mlflow.users_database}', whose owner is '{users}': it must be that of "
            f"mlflow.database, '{owner}'"
        )


def _stores_in_the_namespace_say_their_pods(settings: "Settings") -> Iterator[str]:
    for name, store in external_stores(settings.stores).items():
        if store and not store.pods and _within(store.address[0], settings.tenancy.namespace):
            yield (
                f"stores.{to_camel(name.replace('-', '_'))}.external: leads to '{store.address[0]}', which is in the "
                "platform's namespace, where all is denied that is not admitted: set its `pods` to the labels of its "
                "pods"
            )


def _neighbours_are_asked_for_a_token(settings: "Settings") -> Iterator[str]:
    if settings.cluster.kind == "existing" and settings.feast.authorization == "none":
        yield (
            "feast.authorization: is none, but cluster.kind is existing, where others live: set it to kubernetes or "
            "oidc"
        )


def _access_names_ends_and_ports_that_are_there(settings: "Settings") -> Iterator[str]:
    for problem in settings.access().problems():
        yield f"mesh: {problem}"


def _sources_have_an_identity(settings: "Settings") -> Iterator[str]:
    """In a mesh that takes mutual TLS only, addresses are nobody."""
    without = {each.name for each in settings.mesh.neighbours if not each.namespace}
    for row in settings.mesh.access:
        if settings.tenancy.mesh_injection and row.source in without and not row.plain_text:
            yield (
                f"mesh.access: from {row.source} to {row.target}: {row.source} has addresses only, so it is not in "
                "the mesh, and what it sends is refused: set plainText with a reason and a day, or bring it through a "
                "gateway"
            )


def _plain_text_is_of_sources_outside(settings: "Settings") -> Iterator[str]:
    outside = {each.name for each in settings.mesh.neighbours}
    for row in settings.mesh.access:
        if row.plain_text and row.source not in outside:
            yield (
                f"mesh.access: from {row.source} to {row.target}: plainText is for a neighbour that is the source, "
                f"and {row.source} is a workload of the platform, which has a sidecar: remove plainText"
            )


def _gateway_leads_where_it_is_answered(settings: "Settings") -> Iterator[str]:
    gateway = settings.gateway
    if gateway and gateway.proxies.namespace == settings.tenancy.namespace:
        yield (
            f"gateway.proxies.namespace: is '{gateway.proxies.namespace}', which is the platform's own "
            "(tenancy.namespace), where all is denied that is not admitted: run the controller in another namespace"
        )
    for host in gateway.mlflow.hosts if gateway and gateway.mlflow else ():
        if host not in settings.mlflow.hosts:
            yield (
                f"gateway.mlflow.hosts: has '{host}', but mlflow.hosts has not: MLflow refuses what comes from a host "
                "that it does not know, add it there"
            )


def _identities_are_verified(settings: "Settings") -> Iterator[str]:
    """Who comes from outside is asked who he is, by someone who can tell."""
    gateway = settings.gateway
    if not gateway:
        return
    if gateway.mlflow and settings.mlflow.authentication == "none" and not gateway.cloudflare_access:
        yield (
            "mlflow.authentication: is none, but gateway.mlflow leads there from outside, where anyone is: set it to "
            "basic, or ask for an identity with gateway.cloudflareAccess"
        )
    if gateway.cloudflare_access and not settings.tenancy.mesh_injection:
        yield (
            "gateway.cloudflareAccess: needs tenancy.meshInjection, since MLflow's sidecar verifies the identity, and "
            "nobody else: set it to true, or remove gateway.cloudflareAccess"
        )
    api, authorization = gateway.api, settings.feast.authorization
    if api and "features" in api.paths and api.authentication == "jwt" and authorization != "none":
        yield (
            f"gateway.api.authentication: is jwt, but feast.authorization is {authorization}: both read the header "
            "Authorization, which holds one token: set gateway.api.authentication to key"
        )


def _pods_of_the_mesh_can_be_scraped(settings: "Settings") -> Iterator[str]:
    """In a mesh that takes mutual TLS only, a Prometheus outside it scrapes nothing, and every alert is silent."""
    watch = settings.observability
    existing = watch and watch.prometheus.existing
    if existing and settings.tenancy.mesh_injection and not existing.scrape_class:
        yield (
            "observability.prometheus.existing.scrapeClass: is missing, but tenancy.meshInjection is true, where pods "
            "take mutual TLS only: name the scrape class of that Prometheus that has the mesh's certificates"
        )


def _grafana_knows_whom_to_ask(settings: "Settings") -> Iterator[str]:
    """Of a Prometheus of the cluster it is known who scrapes, and not where it answers."""
    watch = settings.observability
    if watch and watch.dashboards and watch.dashboards.grafana.managed and not watch.prometheus.managed:
        yield (
            "observability.dashboards.grafana.managed: needs the platform's own Prometheus: set "
            "observability.prometheus.managed, or observability.dashboards.grafana.existing"
        )


def _sidecars_tell_someone(settings: "Settings") -> Iterator[str]:
    """Where all is denied that is not admitted, spans go where a row of the access table leads, or nowhere."""
    if settings.mesh.tracing and not (settings.observability and settings.observability.traces):
        yield (
            "mesh.tracing: needs observability.traces, which says who keeps traces and lets sidecars reach it: set "
            "that, or remove mesh.tracing"
        )


def _within(host: str, namespace: str) -> bool:
    """Whether a host is a Service of a namespace, for a pod in it."""
    found = service_of(host, namespace)
    return found is not None and found[1] == namespace
