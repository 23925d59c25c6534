"""What alerts are made of: rules in groups, and what of a platform they are about.

Source: https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/ and recording_rules/.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from components.kube.pods import Manifest
from components.observability.spec import Objectives, Thresholds

Severity = Literal["critical", "warning", "info"]
"""`critical`: someone is to be woken; `warning`: within working hours; `info`: to be read beside another alert."""


@dataclass(frozen=True)
class Bounds:
    """How many workers a group has at least and at most."""

    least: int
    most: int


@dataclass(frozen=True)
class Watched:
    """What of a platform there is to watch; rules about anything else are left out.

    Attributes:
        namespace: where it lives; every expression asks for it.
        thresholds: bounds that a stack decides.
        objectives: what users are promised.
        mesh: whether pods have sidecars.
        gateway: namespace of the gateway's proxies; None without a gateway.
        control_plane: namespace of istiod; None without a mesh.
        certificates: names of the gateway's Certificates; cert-manager has to be scraped for them.
        operator: whether the platform runs KubeRay's operator.
        worker_groups: name of each of Ray's worker groups to how many workers it may have.
        gpus: whether any worker has a GPU.
        autoscalers: names of the HorizontalPodAutoscalers.
        stores: which data stores are the platform's own, of `postgres`, `redis` and `object-store`.
        database: name of the Service that MLflow's database is behind.
        bucket: name of the Service that MLflow's artifacts are behind.
        materialization: whether Feast's online store is filled by the platform.
        backups: names of the CronJobs and Jobs that keep data.
    """

    namespace: str
    thresholds: Thresholds
    objectives: Objectives = field(default_factory=Objectives)
    mesh: bool = False
    gateway: str | None = None
    control_plane: str | None = None
    certificates: tuple[str, ...] = ()
    operator: bool = True
    worker_groups: Mapping[str, Bounds] = field(default_factory=dict)
    gpus: bool = False
    autoscalers: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()
    database: str = "postgres"
    bucket: str = "object-store"
    materialization: bool = True
    backups: tuple[str, ...] = ()

    def series(self, name: str, matchers: str = "") -> str:
        """A selector of a metric in the platform's namespace; `matchers` are further ones, such as `job="mlflow"`."""
        return f'{name}{{namespace="{self.namespace}"{f", {matchers}" if matchers else ""}}}'

    def down(self, job: str, namespace: str | None = None) -> str:
        """No pod of a job answers, or there is none; in another namespace than the platform's if one is given."""
        up = f'up{{namespace="{namespace or self.namespace}", job="{job}"}}'
        return f"max by (namespace, job) ({up}) == 0 or absent({up})"

    def unavailable(self, kind: Literal["deployment", "statefulset"], name: str, otherwise: str = "") -> str:
        """No pod of a Deployment or StatefulSet is available, or it is gone.

        Args:
            kind: of it.
            name: of it.
            otherwise: what tells so where nobody reports of Kubernetes; empty to say nothing then.
        """
        available = self.series(f"kube_{kind}_status_replicas_available", f'{kind}="{name}"')
        known = f"max by (namespace, {kind}) ({available})"
        told = f"{known} == 0 or (absent({available}) and on () {self.series('kube_pod_info')})"
        if not otherwise:
            return told
        guessed = f'label_replace(({otherwise}) unless on (namespace) {known} > 0, "{kind}", "{name}", "", "")'
        return f"max by (namespace, {kind}) ({told} or {guessed})"

    def no_sidecar(self, pods: str) -> str:
        """No pod of a name has a sidecar that is scraped; empty without a mesh."""
        of_them = self.series("up", f'job="sidecar", pod=~"{pods}-.+"')
        return f"absent({of_them})" if self.mesh else ""


def share(part: str, whole: str, by: str, window: str = "5m", least: int = 20) -> str:
    """What part of the events were of one kind, where there were enough of them; both selectors are of counters."""
    return f"sum by ({by}) (increase({part}[{window}])) / (sum by ({by}) (increase({whole}[{window}])) >= {least})"


def percentile(histogram: str, matchers: str, by: str, window: str = "5m", least: int = 20) -> str:
    """The 95th percentile of a classic histogram, where there were enough observations.

    Args:
        histogram: its name without `_bucket`.
        matchers: in braces, or empty.
        by: labels that remain.
        window: span of time.
        least: observations in it; with fewer, a single slow one would count.
    """
    buckets = f"sum by (le, {by}) (rate({histogram}_bucket{matchers}[{window}]))"
    return (
        f"histogram_quantile(0.95, {buckets})"
        f" and sum by ({by}) (increase({histogram}_count{matchers}[{window}])) >= {least}"
    )


def grown(counter: str, window: str) -> str:
    """By how much a counter grew, also one that began within the window.

    A counter with labels such as a status begins at its first event, which `increase` does not see. One that was there
    in the hour before the window is not new: Prometheus may have been away in between.
    """
    return f"(increase({counter}[{window}]) > 0 or ({counter} unless last_over_time({counter}[1h] offset {window})))"


@dataclass(frozen=True)
class Recording:
    """A recording rule: a series that others read.

    Attributes:
        record: its name, as `level:metric:operations`.
        expr: PromQL.
        labels: that it gets.
    """

    record: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def manifest(self, _runbooks: str) -> Manifest:
        """As Prometheus spells it."""
        return {"record": self.record, "expr": self.expr, **({"labels": dict(self.labels)} if self.labels else {})}


@dataclass(frozen=True)
class Alert:
    """An alerting rule.

    Attributes:
        name: in CamelCase; its page is docs/runbooks/NAME.md.
        expr: PromQL; what it finds is what is wrong.
        lasting: how long it has to be found, such as `5m`; empty for at once.
        severity: who is to see it, and when.
        summary: one line: what is wrong, with the labels that tell where.
        description: what it means for users, with the value and its unit.
        labels: further ones.
    """

    name: str
    expr: str
    severity: Severity
    summary: str
    description: str
    lasting: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    def manifest(self, runbooks: str) -> Manifest:
        """As Prometheus spells it; `runbooks` is the address before the pages' names."""
        return {
            "alert": self.name,
            "expr": self.expr,
            **({"for": self.lasting} if self.lasting else {}),
            "labels": {"severity": self.severity, "part_of": "ml-platform", **self.labels},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": f"{runbooks.rstrip('/')}/{self.name}.md",
            },
        }


Rule = Recording | Alert


@dataclass(frozen=True)
class Group:
    """Rules that are evaluated together, in their order.

    Attributes:
        name: of the group and, with `ml-platform-` before it, of its PrometheusRule.
        rules: in order: a rule may read what one before it records.
        interval: between two evaluations.
    """

    name: str
    rules: tuple[Rule, ...]
    interval: str = "30s"

    def manifest(self, runbooks: str) -> Manifest:
        """As Prometheus spells it."""
        rules = [rule.manifest(runbooks) for rule in self.rules]
        return {"name": f"ml-platform-{self.name}", "interval": self.interval, "rules": rules}
