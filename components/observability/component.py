"""Observability: who scrapes the platform, when an alert fires, what there is to see.

It promises that every workload with metrics is scraped under its own name, through the mesh where there is one, and
that every alert and every panel asks for series that are there. It needs the CRDs of the Prometheus operator.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pulumi

from components.base import Component, endpoint
from components.kube.access import Workload
from components.kube.wires import Endpoint, Login, LogStore, TraceStore
from components.observability import manifests
from components.observability.alerts import groups
from components.observability.alerts.rule import Watched
from components.observability.backends import alertmanager, grafana, jaeger, kube_state_metrics, loki, prometheus
from components.observability.dashboards import dashboards
from components.observability.spec import (
    AlertmanagerSpec,
    LokiSpec,
    ManagedJaeger,
    ManagedPrometheus,
    ObservabilityImages,
    ObservabilitySpec,
)


@dataclass(frozen=True)
class ObservabilityEndpoints:
    """What others may know.

    Attributes:
        prometheus: the platform's own Prometheus (HTTP, port 9090); None where it is the cluster's.
        alertmanager: the platform's own Alertmanager (HTTP, port 9093); None without.
        selector: labels by which monitors and rules are found: a team's own ones need them.
        logs: where logs go, as OTLP over HTTP; None where nobody keeps them.
        traces: where spans go, as OTLP over HTTP; None where nobody keeps them.
        jaeger: the platform's own Jaeger (HTTP, port 16686); None without.
        grafana: the platform's own Grafana (HTTP, port 3000); None where it is the cluster's, or nobody's.
        grafana_admin: its user who may do everything; None without.
    """

    prometheus: Endpoint | None
    alertmanager: Endpoint | None
    selector: dict[str, str]
    logs: LogStore | None
    traces: TraceStore | None
    jaeger: Endpoint | None
    grafana: Endpoint | None
    grafana_admin: Login | None


class Observability(Component[ObservabilityEndpoints], token="mlplatform:observability:Observability"):
    """Prometheus, its monitors and rules, dashboards."""

    def __init__(
        self,
        name: str,
        spec: ObservabilitySpec,
        images: ObservabilityImages,
        *,
        namespace: pulumi.Output[str],
        priority_classes: dict[str, pulumi.Output[str]],
        workloads: Iterable[Workload],
        watched: Watched,
        generation: int,
        pod_annotations: Mapping[str, str],
        on_error: pulumi.ErrorHook | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(name, opts, pod_annotations=pod_annotations, on_error=on_error)
        scraper = spec.prometheus
        for workload in workloads:
            if workload.metrics:
                manifest = manifests.monitor(scraper, namespace, workload, mesh=watched.mesh)
                self.child(f"monitor-{workload.name}", manifest)
        if watched.mesh:
            self.child("monitor-sidecar", manifests.sidecar_monitor(scraper, namespace))
        for exporter, asked in spec.exporters.items():
            self.child(f"monitor-{exporter}", manifests.exporter_monitor(scraper, namespace, exporter, asked))
        for group in groups(watched):
            self.child(f"rules-{group.name}", manifests.rule(scraper, spec.alerts, namespace, group))
        shows, admin = self._show(
            *(spec, images.grafana, watched),
            namespace=namespace,
            priority=priority_classes["control"],
            generation=generation,
        )
        server = teller = None
        if own := scraper.managed:
            around = self.around(prometheus.PROMETHEUS, namespace, priority_classes["control"])
            nodes = namespace.apply(lambda known: f"{known}-{prometheus.PROMETHEUS}")
            made = prometheus.roles(spec, namespace, nodes)
            may = [self.child(role, manifest) for role, manifest in made.items()]
            self.child("scrape-own", manifests.own_scrape(scraper, namespace))
            for kubelets, path in (("kubelet", "/metrics"), ("containers", "/metrics/cadvisor")):
                self.child(f"scrape-{kubelets}", manifests.kubelet_scrape(scraper, namespace, kubelets, path))
            self._tell_state(own, images.kube_state_metrics, namespace, priority_classes["control"])
            teller = self._tell(own.alertmanager, images.alertmanager, namespace, priority_classes["control"])
            self.child(
                "prometheus",
                prometheus.prometheus(
                    own, scraper.interval, images, around, mesh=watched.mesh, annotations=pod_annotations
                ),
                after=may,
                create_timeout=own.ready_timeout_seconds,
            )
            service = self.child("service", prometheus.service(namespace))
            server = endpoint("http", service, namespace, prometheus.PORT)
        self.publish(
            ObservabilityEndpoints(
                prometheus=server,
                alertmanager=teller,
                selector={**prometheus.OURS, **manifests.selector(scraper)},
                logs=self._keep_logs(spec.logs.loki, images, namespace, priority_classes["control"])
                if spec.logs
                else None,
                traces=TraceStore(jaeger.url(spec.traces, namespace), spec.traces.sampling_percent)
                if spec.traces
                else None,
                jaeger=self._keep_traces(
                    spec.traces.store.managed, images.jaeger, namespace, priority_classes["control"]
                )
                if spec.traces and spec.traces.store.managed
                else None,
                grafana=shows,
                grafana_admin=admin,
            )
        )

    def _show(
        self,
        spec: ObservabilitySpec,
        image: str,
        watched: Watched,
        *,
        namespace: pulumi.Output[str],
        priority: pulumi.Output[str],
        generation: int,
    ) -> tuple[Endpoint | None, Login | None]:
        """Declare the dashboards, and the Grafana that shows them unless the cluster's does."""
        shown = spec.dashboards
        if not shown:
            return None, None
        made = {
            f"dashboard-{name}": manifests.dashboard(shown, namespace, name, text)
            for name, text in dashboards(watched, shown).items()
        }
        read = [self.child(role, manifest) for role, manifest in made.items()]
        if not (own := shown.grafana.managed):
            return None, None
        files = grafana.provisioning(spec, shown)
        config = self.child("grafana-config", grafana.config_map(files, namespace))
        secret = self.generate_secret(
            "grafana-secret",
            namespace,
            grafana.SECRET,
            {grafana.ADMIN: "grafana-password"},
            length=32,
            generation=generation,
        )
        server = self.child(
            "grafana",
            grafana.grafana(
                own,
                image,
                self.around(grafana.GRAFANA, namespace, priority),
                admin=secret.ref(grafana.ADMIN),
                files=files,
                dashboards={role: manifest["data"] for role, manifest in made.items()},
            ),
            after=[*read, config, secret.secret],
            create_timeout=own.ready_timeout_seconds,
        )
        service = self.child("grafana-service", grafana.service(namespace), after=[server])
        login = Login(grafana.ADMIN, secret.ref(grafana.ADMIN))
        return endpoint("http", service, namespace, grafana.PORT), login

    def _tell(
        self,
        spec: AlertmanagerSpec | None,
        image: str,
        namespace: pulumi.Output[str],
        priority: pulumi.Output[str],
    ) -> Endpoint | None:
        """Declare who tells people of alerts, unless someone does already or nobody is to."""
        if not (spec and (own := spec.managed)):
            return None
        around = self.around(alertmanager.ALERTMANAGER, namespace, priority)
        made = alertmanager.alertmanager(own, image, around, annotations=self._pod_annotations)
        server = self.child("alertmanager", made, create_timeout=own.ready_timeout_seconds)
        service = self.child("alertmanager-service", alertmanager.service(namespace), after=[server])
        return endpoint("http", service, namespace, alertmanager.PORT)

    def _keep_logs(
        self,
        spec: LokiSpec,
        images: ObservabilityImages,
        namespace: pulumi.Output[str],
        priority: pulumi.Output[str],
    ) -> LogStore:
        """Declare who keeps logs, unless someone does already."""
        if theirs := spec.existing:
            return LogStore(loki.existing_url(theirs), theirs.tenant)
        assert spec.managed  # noqa: S101 one of both (spec.py)
        config = self.child("loki-config", loki.config_map(spec.managed, namespace))
        around = self.around(loki.LOKI, namespace, priority)
        server = self.child("loki", loki.loki(spec.managed, images.loki, around), after=[config])
        service = self.child("loki-service", loki.service(namespace), after=[server])
        url = endpoint("http", service, namespace, loki.PORT).url
        return LogStore(pulumi.Output.concat(url, loki.OTLP))

    def _keep_traces(
        self, spec: ManagedJaeger, image: str, namespace: pulumi.Output[str], priority: pulumi.Output[str]
    ) -> Endpoint:
        """Declare the Jaeger."""
        server = self.child("jaeger", jaeger.jaeger(spec, image, self.around(jaeger.JAEGER, namespace, priority)))
        service = self.child("jaeger-service", jaeger.service(namespace), after=[server])
        return endpoint("http", service, namespace, jaeger.PORTS["http"])

    def _tell_state(
        self, spec: ManagedPrometheus, image: str, namespace: pulumi.Output[str], priority: pulumi.Output[str]
    ) -> None:
        """Declare what tells the state of Kubernetes' objects."""
        around = self.around(kube_state_metrics.STATE, namespace, priority)
        may = [
            self.child("state-role", kube_state_metrics.role(namespace)),
            self.child("state-binding", kube_state_metrics.role_binding(namespace)),
        ]
        self.child(
            "state",
            kube_state_metrics.kube_state_metrics(spec, image, around),
            after=may,
            create_timeout=spec.ready_timeout_seconds,
        )
