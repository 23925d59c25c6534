"""Watching itself: what is not scraped or not evaluated cannot raise an alarm.

Names are Prometheus's own (https://prometheus.io/docs/concepts/jobs_instances/, `rules/manager.go`).
"""

from collections.abc import Iterator

from components.observability.alerts.rule import Alert, Group, Rule, Watched


def group(watched: Watched) -> Group:
    """Rules about the watching."""
    return Group("meta", (*_targets(watched), *_rules()))


def jobs(watched: Watched) -> dict[str, str | None]:
    """Jobs that have a target as long as the platform is whole, with their namespace; None where it may be any."""
    ours = [
        "ray-head",
        "mlflow",
        "feast-server",
        *(["kuberay-operator"] if watched.operator else []),
        *(["ray-worker"] if any(bounds.least for bounds in watched.worker_groups.values()) else []),
        *(["sidecar"] if watched.mesh else []),
        *(store for store in watched.stores if store in ("postgres", "redis")),
    ]
    return {
        **dict.fromkeys(ours, watched.namespace),
        **({"istiod": watched.control_plane} if watched.control_plane else {}),
        **({"gateway": watched.gateway} if watched.gateway else {}),
        **dict.fromkeys(["kube-state-metrics", "kubelet", *(["gpu"] if watched.gpus else [])]),
    }


def _targets(watched: Watched) -> Iterator[Rule]:
    yield Alert(
        name="TargetDown",
        expr=f"{watched.series('up')} == 0",
        lasting="10m",
        severity="warning",
        summary="{{ $labels.pod }} in {{ $labels.namespace }} cannot be scraped as {{ $labels.job }}",
        description="What the alerts say of it is old, or nothing.",
    )
    yield Alert(
        name="TargetMissing",
        expr="\nor ".join(_absent(job, namespace) for job, namespace in jobs(watched).items()),
        lasting="10m",
        severity="warning",
        summary="Nothing is scraped as {{ $labels.job }}",
        description="Alerts that read it cannot fire: its pods are gone, or no monitor finds them.",
    )
    samples = watched.series("scrape_samples_scraped")
    yield Alert(
        name="ScrapeTooBig",
        expr=f"max by (namespace, job, pod) ({samples}) > {watched.thresholds.scrape_samples}",
        lasting="15m",
        severity="warning",
        summary="{{ $labels.pod }} in {{ $labels.namespace }} has too many metrics as {{ $labels.job }}",
        description="One scrape has {{ $value | humanize }} samples; Prometheus needs memory and disk for each.",
    )


def _absent(job: str, namespace: str | None) -> str:
    place = f'namespace="{namespace}", ' if namespace else ""
    return f'absent(up{{{place}job="{job}"}})'


def _rules() -> Iterator[Rule]:
    yield Alert(
        name="RuleEvaluationFails",
        expr=(
            "sum by (namespace, rule_group)"
            ' (increase(prometheus_rule_evaluation_failures_total{rule_group=~".*;ml-platform-.+"}[15m])) > 0'
        ),
        severity="critical",
        summary="Rules of {{ $labels.rule_group }} cannot be evaluated",
        description="They failed {{ $value | humanize }} times within 15 minutes; their alerts cannot fire.",
    )
    yield Alert(
        name="Watchdog",
        expr="vector(1)",
        severity="info",
        summary="Alerts of the ML platform are evaluated",
        description="It always fires. Who does not get it, gets no alert at all.",
    )
