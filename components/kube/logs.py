"""The log agent: an OpenTelemetry Collector that reads files and hands their lines on, with what is known of the pod.

Sources: README.md of filelogreceiver, otlphttpexporter, exporterhelper and healthcheckextension, OpenTelemetry
Collector 0.160; Loki, "Ingesting logs to Loki using OpenTelemetry Collector".
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from components.kube.model import Resources
from components.kube.pods import Manifest, container, http_probe, resources
from components.kube.wires import LogStore

AGENT = "log-agent"
"""Of the container, wherever it runs."""


@dataclass(frozen=True)
class LogAgent:
    """What brings logs to their store.

    Attributes:
        store: where they go.
        image: of an OpenTelemetry Collector.
        size: of one.
    """

    store: LogStore
    image: str
    size: Resources


_HEALTH = 13133
_CONFIG, _URL = "COLLECTOR_CONFIG", "LOGS_URL"


def agent(
    by: LogAgent,
    *,
    files: Sequence[str],
    resource: Mapping[str, str],
    env: Sequence[Manifest] = (),
    remembers: str = "",
    **fields: object,
) -> Manifest:
    """The container. What the store does not take it keeps trying to hand on, and reads no further until then.

    Args:
        by: where lines go, and what takes them there.
        files: patterns of what is read.
        resource: attributes of every line; a value may be `${env:NAME}`.
        env: that those values need.
        remembers: directory that outlives the container, for how far each file was read; without, every file is read
            from its beginning by each new container.
        **fields: of the container.
    """
    known = [{"key": key, "value": value, "action": "upsert"} for key, value in resource.items()]
    steps = {
        "memory_limiter": {"check_interval": "1s", "limit_percentage": 80, "spike_limit_percentage": 20},
        **({"resource": {"attributes": known}} if known else {}),
    }
    storage = {"file_storage": {"directory": remembers}} if remembers else {}
    config = {
        "extensions": {"health_check": {"endpoint": f"0.0.0.0:{_HEALTH}"}, **storage},
        "receivers": {
            "file_log": {
                "include": list(files),
                "include_file_path": True,
                "start_at": "beginning",
                "retry_on_failure": {"enabled": True, "max_elapsed_time": "0s"},
                **({"storage": "file_storage"} if remembers else {}),
            }
        },
        "processors": steps,
        "exporters": {
            "otlp_http": {
                "endpoint": f"${{env:{_URL}}}",
                **({"headers": {"X-Scope-OrgID": by.store.tenant}} if by.store.tenant else {}),
                "retry_on_failure": {"max_elapsed_time": "0s"},
                "sending_queue": {"queue_size": 20, "block_on_overflow": True, "batch": {"flush_timeout": "1s"}},
            }
        },
        "service": {
            "extensions": ["health_check", *storage],
            "pipelines": {"logs": {"receivers": ["file_log"], "processors": list(steps), "exporters": ["otlp_http"]}},
            "telemetry": {"logs": {"level": "warn"}, "metrics": {"level": "none"}},
        },
    }
    probe = http_probe("/", _HEALTH, initial=0)
    return container(
        AGENT,
        by.image,
        resources(by.size),
        args=[f"--config=env:{_CONFIG}"],
        env=[
            {"name": _CONFIG, "value": json.dumps(config, sort_keys=True)},
            {"name": _URL, "value": by.store.url},
            *env,
        ],
        startupProbe={**probe, "periodSeconds": 2, "failureThreshold": 30},
        livenessProbe={**probe, "failureThreshold": 6},
        **fields,
    )
