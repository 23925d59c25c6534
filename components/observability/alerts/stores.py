"""The platform's own data stores, and what is kept of them elsewhere.

Names and labels are those of postgres_exporter 0.19 (`exporter/queries.go`, `collector`), of redis_exporter 1.8x and
of kube-state-metrics. `pg_long_running_transactions` is off by default, so a transaction's age is
`pg_stat_activity`'s.
"""

from collections.abc import Iterator

from components.observability.alerts.rule import Alert, Group, Rule, Watched, grown


def group(watched: Watched) -> Group:
    """Rules about stores; none for one that is somebody else's."""
    found: list[Rule] = []
    if "postgres" in watched.stores:
        found += _postgres(watched)
    if "redis" in watched.stores:
        found += _redis(watched)
    if "object-store" in watched.stores:
        found.append(_object_store(watched))
    if watched.backups:
        found += _backups(watched)
    return Group("stores", tuple(found))


def _postgres(watched: Watched) -> Iterator[Rule]:
    limits = watched.thresholds
    yield Alert(
        name="PostgresDown",
        expr=_down(watched, "postgres", "pg_up"),
        lasting="2m",
        severity="critical",
        summary="PostgreSQL in {{ $labels.namespace }} does not answer",
        description="MLflow and Feast's registry fail, and features cannot be materialized.",
    )
    connections = f"sum by (namespace) ({watched.series('pg_stat_activity_count')})"
    allowed = f"max by (namespace) ({watched.series('pg_settings_max_connections')})"
    yield Alert(
        name="PostgresConnectionsHigh",
        expr=f"{connections} / {allowed} > {limits.store_connections_ratio:g}",
        lasting="5m",
        severity="warning",
        summary="PostgreSQL in {{ $labels.namespace }} has few connections left",
        description="{{ $value | humanizePercentage }} are in use; when all are, new ones are refused.",
    )
    deadlocks = watched.series("pg_stat_database_deadlocks", 'datname!=""')
    yield Alert(
        name="PostgresDeadlocks",
        expr=f"sum by (namespace, datname) (increase({deadlocks}[15m])) >= 1",
        severity="warning",
        summary="Transactions in {{ $labels.datname }} of PostgreSQL in {{ $labels.namespace }} lock each other out",
        description="{{ $value | humanize }} were ended within 15 minutes; what they wrote is not there.",
    )
    age = watched.series("pg_stat_activity_max_tx_duration")
    yield Alert(
        name="PostgresLongTransaction",
        expr=f"max by (namespace, datname, usename, state) ({age}) > {limits.store_transaction_seconds:g}",
        lasting="1m",
        severity="warning",
        summary="{{ $labels.usename }} has an old transaction in {{ $labels.datname }} in {{ $labels.namespace }}",
        description="It began {{ $value | humanizeDuration }} ago ({{ $labels.state }}); what it holds is locked.",
    )


def _down(watched: Watched, name: str, up: str) -> str:
    """A server that its exporter cannot reach, or a pod that is gone, exporter and all."""
    told = watched.series(up)
    return f"max by (namespace) ({told}) == 0 or {watched.unavailable('statefulset', name, f'absent({told})')}"


def _redis(watched: Watched) -> Iterator[Rule]:
    yield Alert(
        name="RedisDown",
        expr=_down(watched, "redis", "redis_up"),
        lasting="2m",
        severity="critical",
        summary="Redis in {{ $labels.namespace }} does not answer",
        description="Feast's online store is away, and with fault tolerance a new head of Ray cannot start.",
    )
    used = f"max by (namespace) ({watched.series('redis_memory_used_bytes')})"
    allowed = f"(max by (namespace) ({watched.series('redis_memory_max_bytes')}) > 0)"
    yield Alert(
        name="RedisMemoryHigh",
        expr=f"{used} / {allowed} > {watched.thresholds.store_memory_ratio:g}",
        lasting="5m",
        severity="warning",
        summary="Redis in {{ $labels.namespace }} is nearly full",
        description="{{ $value | humanizePercentage }} of its memory is used; when it is full, it refuses what is new.",
    )
    refused = grown(watched.series("redis_errors_total", 'err=~"OOM|MISCONF"'), "10m")
    yield Alert(
        name="RedisWritesRefused",
        expr=f"sum by (namespace, err) ({refused}) > 0",
        severity="critical",
        summary="Redis in {{ $labels.namespace }} refuses what is written ({{ $labels.err }})",
        description="{{ $value | humanize }} writes within 10 minutes: no room (OOM), or it cannot save (MISCONF).",
    )


def _object_store(watched: Watched) -> Rule:
    return Alert(
        name="ObjectStoreDown",
        expr=watched.unavailable("statefulset", "object-store", watched.no_sidecar("object-store")),
        lasting="2m",
        severity="critical",
        summary="The object store in {{ $labels.namespace }} is not available",
        description="Artifacts, checkpoints and backups can neither be read nor written.",
    )


def _backups(watched: Watched) -> Iterator[Rule]:
    names = "|".join(watched.backups)
    by = "namespace, job_name"
    failed = watched.series("kube_job_failed", f'job_name=~"({names})(-.+)?", condition="true"')
    yield Alert(
        name="BackupFailed",
        expr=f"max by ({by}) ({failed}) == 1",
        severity="critical",
        summary="Backup {{ $labels.job_name }} in {{ $labels.namespace }} has failed",
        description="What was to be kept is not; it stays the last backup before that counts.",
    )
    which = f'cronjob=~"{names}"'
    due = f"max by (namespace, cronjob) ({watched.series('kube_cronjob_status_last_schedule_time', which)})"
    done = f"max by (namespace, cronjob) ({watched.series('kube_cronjob_status_last_successful_time', which)})"
    begins = f"max by (namespace, cronjob) ({watched.series('kube_cronjob_next_schedule_time', which)})"
    yield Alert(
        name="BackupLate",
        expr=f"({due} > {done} or ({due} unless {done})) < time() - 3600\nor {begins} < time() - 3600",
        lasting="5m",
        severity="critical",
        summary="Backup {{ $labels.cronjob }} in {{ $labels.namespace }} is late",
        description="It was due at {{ $value | humanizeTimestamp }}, and is not done an hour later.",
    )
