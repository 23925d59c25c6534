"""Facts of Kubernetes and Grafana about who shows what is watched.

Source: https://grafana.com/docs/grafana/v13.2/administration/provisioning/, ../../setup-grafana/configure-docker/ and
../../setup-grafana/configure-grafana/ (a variable GF_SECTION_KEY stands for `key` of `[section]`).
"""

import json
from collections.abc import Mapping
from typing import Any

from components.kube import objects
from components.kube.access import Port, Workload, served
from components.kube.labels import fingerprint
from components.kube.model import Scale
from components.kube.pods import (
    SECRETS_HASH,
    TMP,
    Around,
    Manifest,
    container,
    http_probe,
    pod,
    resources,
    scratch,
    secret_env,
)
from components.kube.wires import SecretRef
from components.observability.backends import jaeger, loki, prometheus
from components.observability.spec import DashboardsSpec, ManagedGrafana, ObservabilitySpec

GRAFANA = "grafana"
"""Of the Deployment and its Service, and who shows what is watched in the access table."""

ADMIN, SECRET = "admin", "grafana-admin"
"""The user that may do everything, and the Secret that holds the password under that name."""

PORT = 3000

_COMPONENT = "observability"
_USER = 472
# Of the image: Dockerfile of Grafana.
_HOME, _PROVISIONING, _DASHBOARDS = "/var/lib/grafana", "/etc/grafana/provisioning", "/var/lib/dashboards"
_KINDS = ("datasources", "dashboards")
_SETTINGS = {
    # Nothing leaves the namespace that nobody admitted, and data sources of these kinds are in the image.
    "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
    "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
    "GF_ANALYTICS_REPORTING_ENABLED": "false",
    "GF_NEWS_NEWS_FEED_ENABLED": "false",
    "GF_PLUGINS_PREINSTALL_AUTO_UPDATE": "false",
    "GF_PATHS_LOGS": f"{_HOME}/log",
    "GF_SECURITY_ADMIN_USER": ADMIN,
    "GF_SNAPSHOTS_EXTERNAL_ENABLED": "false",
    "GF_USERS_ALLOW_SIGN_UP": "false",
}


def workloads(spec: DashboardsSpec | None) -> list[Workload]:
    """The platform's own Grafana."""
    return [served(GRAFANA, http=Port(PORT, "http"))] if spec and spec.grafana.managed else []


def data_sources(spec: ObservabilitySpec) -> list[dict[str, Any]]:
    """What it asks: the platform's own Prometheus, whoever keeps logs, and the platform's own Jaeger.

    Of a trace store of the cluster it is known where spans go, and not where they are read.
    """
    url = f"http://{prometheus.PROMETHEUS}:{prometheus.PORT}"
    found: list[dict[str, Any]] = [
        {"name": "Prometheus", "type": "prometheus", "uid": "prometheus", "url": url, "isDefault": True}
    ]
    if spec.logs:
        theirs = spec.logs.loki.existing
        kept: dict[str, Any] = {"name": "Loki", "type": "loki", "uid": "loki"}
        kept["url"] = loki.existing_url(theirs).removesuffix(loki.OTLP) if theirs else f"http://{loki.LOKI}:{loki.PORT}"
        if theirs and theirs.tenant:
            kept["jsonData"] = {"httpHeaderName1": "X-Scope-OrgID"}
            kept["secureJsonData"] = {"httpHeaderValue1": theirs.tenant}  # no secret: Loki asks nobody to prove it
        found.append(kept)
    if spec.traces and spec.traces.store.managed:
        url = f"http://{jaeger.JAEGER}:{jaeger.PORTS['http']}"
        found.append({"name": "Jaeger", "type": "jaeger", "uid": "jaeger", "url": url})
    return [{"access": "proxy", "editable": False, **each} for each in found]


def provisioning(spec: ObservabilitySpec, shown: DashboardsSpec) -> dict[str, str]:
    """The files by which it knows whom to ask and what to show, by their kind; JSON is YAML too."""
    provider = {
        "name": "ml-platform",
        "folder": shown.folder,
        "type": "file",
        "disableDeletion": True,
        "options": {"path": _DASHBOARDS},
    }
    found = {
        "datasources": {"apiVersion": 1, "prune": True, "datasources": data_sources(spec)},
        "dashboards": {"apiVersion": 1, "providers": [provider]},
    }
    return {kind: json.dumps(text, indent=2, sort_keys=True) for kind, text in found.items()}


def config_map(files: Mapping[str, str], namespace: Any) -> Manifest:
    """What it reads when it starts."""
    return objects.config_map(_COMPONENT, namespace, f"{GRAFANA}-config", files)


def grafana(
    spec: ManagedGrafana,
    image: str,
    around: Around,
    *,
    admin: SecretRef,
    files: Mapping[str, str],
    dashboards: Mapping[str, Mapping[str, str]],
) -> Manifest:
    """The Grafana: what it knows is in ConfigMaps, and what people change in it ends with its pod.

    Args:
        spec: decisions.
        image: of the server.
        around: its namespace.
        admin: the administrator's password, which it takes whenever it starts.
        files: as in its ConfigMap.
        dashboards: ConfigMaps of dashboards, by name, to what is in each.
    """
    probe = http_probe("/api/health", "http", initial=0)
    server = container(
        GRAFANA,
        image,
        resources(spec.resources),
        env=[
            *({"name": name, "value": value} for name, value in _SETTINGS.items()),
            secret_env("GF_SECURITY_ADMIN_PASSWORD", admin),
        ],
        ports=[{"name": "http", "containerPort": PORT}],
        startupProbe={**probe, "periodSeconds": 2, "failureThreshold": 90},
        readinessProbe=probe,
        livenessProbe={**probe, "failureThreshold": 6},
        volumeMounts=[
            *(
                {
                    "name": "config",
                    "mountPath": f"{_PROVISIONING}/{kind}/platform.yaml",
                    "subPath": kind,
                    "readOnly": True,
                }
                for kind in _KINDS
            ),
            {"name": "dashboards", "mountPath": _DASHBOARDS, "readOnly": True},
            {"name": "home", "mountPath": _HOME},
            TMP,
        ],
    )
    volumes = [
        {"name": "config", "configMap": {"name": f"{GRAFANA}-config"}},
        {"name": "dashboards", "projected": {"sources": [{"configMap": {"name": name}} for name in dashboards]}},
        *scratch(home="512Mi", tmp="64Mi"),
    ]
    return objects.deployment(
        _COMPONENT,
        around.namespace,
        GRAFANA,
        pod=pod(around, _USER, server, volumes=volumes),
        scale=Scale(replicas=1),
        seconds=spec.ready_timeout_seconds,
        annotations={
            "ml-platform/config-hash": fingerprint(json.dumps([files, dashboards], sort_keys=True)),
            SECRETS_HASH: admin.digest,
        },
    )


def service(namespace: Any) -> Manifest:
    """The Service over it."""
    return objects.service(
        _COMPONENT, namespace, GRAFANA, {"app.kubernetes.io/name": GRAFANA}, {"http": (PORT, "http")}
    )
