"""Decisions about observability: who scrapes, when an alert fires, what is kept and for how long."""

import re
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from components.kube.model import (
    Compute,
    DnsLabel,
    ImageRef,
    Labels,
    Port,
    PositiveCount,
    Quantity,
    Resources,
    Seconds,
    Spec,
    Volume,
)

_DURATION = re.compile(r"([0-9]+(ms|[smhdwy]))+")


def _duration(value: str) -> str:
    if not _DURATION.fullmatch(value):
        raise ValueError("must be a duration as Prometheus writes it, such as '30s', '15m' or '15d'")
    return value


Duration = Annotated[str, AfterValidator(_duration)]
"""A span of time as Prometheus writes it: `30s`, `15m`, `15d`."""

Ratio = Annotated[float, Field(gt=0, lt=1)]
"""A part of the whole, between 0 and 1."""

Positive = Annotated[float, Field(gt=0)]


class ObservabilityImages(Spec):
    """The images that this subsystem runs, by role."""

    alertmanager: ImageRef
    """Tells people of alerts; its operator is the cluster's."""
    loki: ImageRef
    """Keeps logs."""
    jaeger: ImageRef
    """Keeps traces."""
    prometheus: ImageRef
    """Prometheus itself; its operator is the cluster's."""
    kube_state_metrics: ImageRef
    """Tells the state of Kubernetes' objects."""
    grafana: ImageRef
    """Shows dashboards, logs and traces."""


class _Backend(Spec):
    """One of the platform's own, or one that is already there: fields `managed` and `existing` of each kind."""

    kind: ClassVar[str]

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        own, theirs = (getattr(self, field) for field in ("managed", "existing"))
        if bool(own) == bool(theirs):
            raise ValueError(f"needs one of managed and existing: the platform's own {self.kind}, or the cluster's")
        return self


class ManagedAlertmanager(Spec):
    """An Alertmanager in the platform's namespace, run by the cluster's operator."""

    config_secret: DnsLabel | None = None
    """A Secret of yours with `alertmanager.yaml`: who is told, and how; nobody without. `mesh.neighbours` and
    `mesh.access` let it reach whom it tells."""
    resources: Resources = Resources(
        requests=Compute(cpu="20m", memory="64Mi"), limits=Compute(cpu="200m", memory="256Mi")
    )
    """Its size."""
    volume: Volume = Volume(size="1Gi", retention="Delete")
    """Where silences and what was told are kept; by default it goes with the Alertmanager."""
    ready_timeout_seconds: Annotated[Seconds, Field(ge=30)] = 300
    """How long its operator may take to bring it up."""


class ExistingAlertmanager(Spec):
    """An Alertmanager of the cluster, outside of the mesh or with ports that take plain text."""

    namespace: DnsLabel = "monitoring"
    """Where its pods are."""
    labels: Labels = Field(default_factory=lambda: {"app.kubernetes.io/name": "alertmanager"})
    """Labels of its pods."""
    service: DnsLabel = "alertmanager-operated"
    """Service that leads to them."""
    service_port: Annotated[str, Field(min_length=1)] = "web"
    """Name of the Service's port."""
    port: Port = 9093
    """That its pods listen on."""


class AlertmanagerSpec(_Backend):
    """Who tells people of alerts: one of the platform's own, or one that is already there."""

    kind: ClassVar = "Alertmanager"
    managed: ManagedAlertmanager | None = None
    """The platform's own."""
    existing: ExistingAlertmanager | None = None
    """One that is already there."""


class ManagedPrometheus(Spec):
    """A Prometheus in the platform's namespace, run by the cluster's operator (addon prometheus-operator)."""

    replicas: PositiveCount = 1
    """How many; each scrapes all."""
    resources: Resources = Resources(requests=Compute(cpu="200m", memory="1Gi"), limits=Compute(cpu="2", memory="4Gi"))
    """Size of one."""
    state_metrics: Resources = Resources(
        requests=Compute(cpu="20m", memory="64Mi"), limits=Compute(cpu="200m", memory="256Mi")
    )
    """Size of kube-state-metrics beside it."""
    retention: Duration = "15d"
    """How long samples are kept."""
    volume: Volume = Volume(size="20Gi", retention="Delete")
    """Where they are kept; the oldest go when four fifths of it are used. By default it goes with the Prometheus."""
    ready_timeout_seconds: Annotated[Seconds, Field(ge=30)] = 300
    """How long its operator may take to bring it up."""
    alertmanager: AlertmanagerSpec | None = None
    """Who tells people of its alerts; null for nobody. A Prometheus of the cluster has its own."""


class ExistingPrometheus(Spec):
    """A Prometheus of the cluster, run by its operator, which finds the platform's monitors and rules by label."""

    namespace: DnsLabel = "monitoring"
    """Where its pods are; it must be allowed to read monitors in the platform's namespace."""
    labels: Labels = Field(default_factory=lambda: {"app.kubernetes.io/name": "prometheus"})
    """Labels of its pods."""
    service_account: DnsLabel | None = None
    """Identity of its pods in the mesh; any of the namespace without."""
    selector: Labels = Field(default_factory=lambda: {"release": "kube-prometheus-stack"})
    """Labels that it looks for in monitors and rules."""
    scrape_class: DnsLabel | None = None
    """One of its scrapeClasses, that has the mesh's certificates (of a sidecar, by OUTPUT_CERTS): pods of a mesh that
    takes mutual TLS only cannot be scraped without."""


class PrometheusSpec(_Backend):
    """Who scrapes and evaluates: one of the platform's own, or one that is already there."""

    kind: ClassVar = "Prometheus"
    managed: ManagedPrometheus | None = None
    """The platform's own."""
    existing: ExistingPrometheus | None = None
    """One that is already there."""
    interval: Duration = "30s"
    """Between two scrapes."""


class ExporterSpec(Spec):
    """Pods of another namespace that have metrics of what the platform uses."""

    namespace: DnsLabel
    """Where they are."""
    labels: Annotated[Labels, Field(min_length=1)]
    """That they have."""
    port: Port
    """That they listen on, with plain HTTP."""
    path: Annotated[str, Field(pattern=r"^/")] = "/metrics"
    """Of the metrics."""


Exporter = Literal["gateway", "gpu", "istiod"]


class Thresholds(Spec):
    """Bounds of what alerts look at."""

    serve_latency_seconds: Positive = 1.0
    """Ray Serve: the 95th percentile of a request's duration."""
    serve_error_ratio: Ratio = 0.05
    """Ray Serve: failed requests among all."""
    prediction_latency_seconds: Positive = 0.5
    """A model's own part of a request (one deployment): the 95th percentile."""
    prediction_error_ratio: Ratio = 0.02
    """A model's own failures among its requests."""
    feature_latency_seconds: Positive = 0.5
    """Feast: the 95th percentile of a read of features."""
    feature_error_ratio: Ratio = 0.05
    """Feast: failed requests among all."""
    feature_missing_ratio: Ratio = 0.1
    """Feast: values of a feature view that were not found among all that were asked for."""
    feature_age_seconds: Positive = 7200
    """Feast: age of the newest features of a feature view."""
    mlflow_memory: Quantity = "2Gi"
    """MLflow: memory of one pod."""
    mlflow_latency_seconds: Positive = 2.0
    """MLflow: the 95th percentile of a request's duration."""
    mlflow_error_ratio: Ratio = 0.05
    """MLflow: failed requests among all."""
    gpu_idle_ratio: Ratio = 0.05
    """A GPU that is used less is idle."""
    gpu_starved_ratio: Ratio = 0.5
    """A GPU that is used less waits for data, if the processors of its pod are at their limit."""
    gpu_temperature_celsius: Positive = 85
    """A GPU that is hotter slows down."""
    gateway_latency_seconds: Positive = 2.0
    """The gateway: the 95th percentile of a request's duration, the platform's part included."""
    gateway_error_ratio: Ratio = 0.05
    """The gateway: requests of a route that end with 5xx among all."""
    gateway_limited_ratio: Ratio = 0.2
    """The gateway: requests of a route that are refused for their number among all."""
    mesh_error_ratio: Ratio = 0.05
    """The mesh: requests to a Service that end with 503 among all."""
    scrape_samples: PositiveCount = 20000
    """Samples of one target; more of them cost more than they tell."""
    quota_ratio: Ratio = 0.9
    """The namespace's quota: what is used of it."""
    volume_ratio: Ratio = 0.85
    """A volume: what is used of it."""
    certificate_days: PositiveCount = 14
    """A certificate ends within."""
    store_connections_ratio: Ratio = 0.8
    """PostgreSQL: connections of those that it allows."""
    store_memory_ratio: Ratio = 0.9
    """Redis: memory of what it may use."""
    store_transaction_seconds: Positive = 900
    """PostgreSQL: age of a transaction."""


class Objective(Spec):
    """A service level objective over 30 days."""

    availability: Annotated[float, Field(ge=0.5, lt=1)] = 0.995
    """Requests that succeed among all."""


class Objectives(Spec):
    """Service level objectives; an alert fires when the errors that they allow are spent too fast."""

    serve: Objective = Objective()
    """Ray Serve."""
    features: Objective = Objective()
    """Feast's online server."""
    tracking: Objective = Objective(availability=0.99)
    """MLflow."""


class AlertsSpec(Spec):
    """Rules, and what they are held against."""

    runbooks: Annotated[str, Field(pattern=r"^\S+$")] = "docs/runbooks"
    """Where the runbooks are read: an address where the folder is published, or its path in this repository."""
    thresholds: Thresholds = Thresholds()
    """From where on an alert fires."""
    objectives: Objectives = Objectives()
    """What users are promised."""


class ManagedGrafana(Spec):
    """A Grafana in the platform's namespace, for its own Prometheus; what people change in it ends with its pod."""

    resources: Resources = Resources(
        requests=Compute(cpu="50m", memory="256Mi"), limits=Compute(cpu="1", memory="512Mi")
    )
    """Its size."""
    ready_timeout_seconds: Annotated[Seconds, Field(ge=30)] = 300
    """How long it may take to come up."""


class ExistingGrafana(Spec):
    """A Grafana of the cluster, whose sidecar finds dashboards by label."""

    labels: Labels = Field(default_factory=lambda: {"grafana_dashboard": "1"})
    """Labels that its sidecar looks for."""
    datasource: Annotated[str, Field(min_length=1)] = "prometheus"
    """UID of its Prometheus data source."""


class GrafanaSpec(_Backend):
    """Who shows dashboards: a Grafana of the platform's own, or one that is already there."""

    kind: ClassVar = "Grafana"
    managed: ManagedGrafana | None = None
    """The platform's own."""
    existing: ExistingGrafana | None = None
    """One that is already there."""


class DashboardsSpec(Spec):
    """Grafana's dashboards, as ConfigMaps."""

    grafana: GrafanaSpec = GrafanaSpec(existing=ExistingGrafana())
    """Who shows them."""
    folder: Annotated[str, Field(min_length=1)] = "ML Platform"
    """The folder that they are shown in."""

    @property
    def found_by(self) -> ExistingGrafana:
        """How they are found, and whom they ask; the platform's own Grafana is like any in this."""
        return self.grafana.existing or ExistingGrafana()


class NodeAgents(Spec):
    """The cluster's own agents, one on each node, which hand on what containers print (OTLP over HTTP)."""

    namespace: DnsLabel
    """Where they are."""
    labels: Annotated[Labels, Field(min_length=1)]
    """That they have."""
    service_account: DnsLabel | None = None
    """Their identity in the mesh; any of the namespace without."""


class ManagedLoki(Spec):
    """A Loki in the platform's namespace: one process with a disk."""

    node_agents: NodeAgents | None = None
    """Who may bring it what containers print, besides what Ray writes into files; null for nobody."""

    resources: Resources = Resources(
        requests=Compute(cpu="100m", memory="512Mi"), limits=Compute(cpu="2", memory="2Gi")
    )
    """Its size."""
    retention: Duration = "14d"
    """How long logs are kept."""
    volume: Volume = Volume(size="20Gi", retention="Delete")
    """Where they are kept; by default it goes with the Loki, since what is in it ends anyway."""


class ExistingLoki(Spec):
    """A Loki of the cluster."""

    namespace: DnsLabel = "monitoring"
    """Where its pods are."""
    labels: Labels = Field(default_factory=lambda: {"app.kubernetes.io/name": "loki"})
    """Labels of the pods that take logs."""
    service: DnsLabel = "loki-gateway"
    """Service that leads to them."""
    service_port: Port = 80
    """Of that Service."""
    port: Port = 8080
    """That those pods listen on."""
    tenant: Annotated[str, Field(min_length=1)] | None = None
    """Whose logs they are (`X-Scope-OrgID`), where Loki asks for it."""


class LokiSpec(_Backend):
    """Who keeps logs: one of the platform's own, or one that is already there."""

    kind: ClassVar = "Loki"
    managed: ManagedLoki | None = None
    """The platform's own."""
    existing: ExistingLoki | None = None
    """One that is already there."""


class LogsSpec(Spec):
    """Logs that outlive their pods."""

    loki: LokiSpec
    """Who keeps them."""
    agent: Resources = Resources(requests=Compute(cpu="20m", memory="96Mi"), limits=Compute(cpu="500m", memory="192Mi"))
    """Size of what reads Ray's own log files, beside each Ray container."""


class ManagedJaeger(Spec):
    """A Jaeger in the platform's namespace: one process with a disk."""

    resources: Resources = Resources(requests=Compute(cpu="50m", memory="256Mi"), limits=Compute(cpu="1", memory="1Gi"))
    """Its size."""
    retention: Duration = "3d"
    """How long traces are kept."""
    volume: Volume = Volume(size="10Gi", retention="Delete")
    """Where they are kept; by default it goes with the Jaeger, since what is in it ends anyway."""


class ExistingTraceStore(Spec):
    """A Jaeger of the cluster, or whatever else takes spans by OTLP over HTTP."""

    namespace: DnsLabel = "monitoring"
    """Where its pods are."""
    labels: Labels = Field(default_factory=lambda: {"app.kubernetes.io/name": "jaeger"})
    """Labels of the pods that take spans."""
    service: DnsLabel = "jaeger-collector"
    """Service that leads to them."""
    service_port: Port = 4318
    """Of that Service."""
    port: Port = 4318
    """That those pods listen on."""


class TraceStoreSpec(_Backend):
    """Who keeps traces: a Jaeger of the platform's own, or who does so already."""

    kind: ClassVar = "Jaeger"
    managed: ManagedJaeger | None = None
    """The platform's own."""
    existing: ExistingTraceStore | None = None
    """One that is already there."""


class TracesSpec(Spec):
    """Traces of requests: Ray Serve, Feast's online server and MLflow tell of theirs, sidecars with `mesh.tracing`."""

    store: TraceStoreSpec
    """Who keeps them."""
    sampling_percent: Annotated[float, Field(ge=0, le=100)] = 1.0
    """How many of the requests are traced; one that comes with a trace does as that says."""


class ObservabilitySpec(Spec):
    """How the platform is watched."""

    prometheus: PrometheusSpec
    """Who scrapes and evaluates."""
    logs: LogsSpec | None = None
    """Who keeps logs; null for nobody."""
    traces: TracesSpec | None = None
    """Who keeps traces; null for nobody."""
    exporters: dict[Exporter, ExporterSpec] = Field(default_factory=dict)
    """What is scraped besides the platform's own pods; what is absent here, the cluster's Prometheus scrapes by itself
    under the same `job`, or nobody."""
    alerts: AlertsSpec = AlertsSpec()
    """When someone is to know."""
    dashboards: DashboardsSpec | None = DashboardsSpec()
    """What there is to see; null for none."""

    @property
    def keeps_data(self) -> bool:
        """Whether logs or traces are kept on a disk that stays."""
        kept = self.logs and self.logs.loki.managed, self.traces and self.traces.store.managed
        return any(each and each.volume.retention == "Retain" for each in kept)
