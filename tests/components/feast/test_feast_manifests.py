"""The feature store, held against Feast's own reading of its configuration and what Kubernetes asks for."""

import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml
from feast.repo_config import RepoConfig, load_repo_config

from components.feast import manifests
from components.feast.spec import FeastSpec, Oidc, OnlineServer
from components.kube.model import Autoscaling
from components.kube.pods import Around
from components.kube.wires import Database, Endpoint, KeyValueStore, SecretRef
from tests.support.manifests import container, environment, pod, restricted

AROUND = Around("data-platform", "feast", "serving")
DATABASE = Database(
    Endpoint("db", 5433, "db:5433"), "feast", "feast", SecretRef("database-feast", "password"), "verify-full"
)
REDIS = KeyValueStore(Endpoint("redis", 6380, "rediss://redis:6380"), SecretRef("redis-auth", "password"), tls=True)
ENV = manifests.environment(DATABASE, REDIS)
FILES = manifests.repository("data-platform", {"views.py": "", "tables.sql": ""})
OPEN = FeastSpec(authorization="none", online=OnlineServer(grpc=True))
CLOSED = FeastSpec()


def applied(spec: FeastSpec = CLOSED, files: dict[str, Any] = FILES) -> dict[str, Any]:
    return manifests.apply_job(spec, "feast:1", AROUND, env=ENV, files=files, digest="digest")


WORKLOADS: dict[str, dict[str, Any]] = {
    "server": manifests.server(CLOSED, "feast:1", AROUND, ENV, "digest"),
    "server with grpc": manifests.server(OPEN, "feast:1", AROUND, ENV, "digest"),
    "registry": manifests.registry(CLOSED, "feast:1", AROUND, ENV, "digest"),
    "apply": applied(),
    "materialize": manifests.materialization("*/15 * * * *", "feast:1", AROUND, ENV),
}


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_pod_is_restricted_and_bounded_and_has_no_secret_in_plain_text(name: str) -> None:
    restricted(WORKLOADS[name])


def read_by_feast(text: str, folder: Path) -> RepoConfig:
    """The configuration as Feast reads it, in an environment like that of the pods."""
    file = folder / "feature_store.yaml"
    file.write_text(text)
    values = {each["name"]: each.get("value", f"secret-of-{each['name']}") for each in ENV}
    with patch.dict(os.environ, values):
        return load_repo_config(folder, file)


def test_feast_finds_its_stores_and_passwords(tmp_path: Path) -> None:
    config = read_by_feast(manifests.server_config(CLOSED, DATABASE, REDIS), tmp_path)
    assert config.project == "commodities"
    assert config.registry.registry_type == "sql"
    assert config.registry.path == "postgresql+psycopg:///feast"
    assert config.registry.sqlalchemy_config_kwargs["pool_pre_ping"] is True
    offline = config.offline_store
    assert (offline.host, offline.port, offline.database, offline.user) == ("db", 5433, "feast", "feast")
    assert offline.password == "secret-of-PGPASSWORD"
    assert (offline.sslmode, bool(offline.sslrootcert_path)) == ("verify-full", True)
    assert config.online_store.type == "redis"
    assert config.online_store.connection_string == "redis:6380,ssl=true,password=secret-of-REDIS_PASSWORD"


def test_no_password_stands_in_the_configuration() -> None:
    assert "${PGPASSWORD}" in manifests.server_config(CLOSED, DATABASE, REDIS)
    assert "password" not in manifests.client_config(CLOSED, registry="r:6570", online="http://o:6566")


OIDC = FeastSpec(
    authorization="oidc",
    oidc=Oidc(discovery_url="https://id.example/.well-known/openid-configuration", client_id="c", audience="a"),
)


@pytest.mark.parametrize(("spec", "expected"), [(CLOSED, "kubernetes"), (OPEN, "no_auth"), (OIDC, "oidc")])
def test_authorization_is_always_written_out(spec: FeastSpec, expected: str, tmp_path: Path) -> None:
    server = manifests.server_config(spec, DATABASE, REDIS)
    client = manifests.client_config(spec, registry="r:6570", online="http://o:6566")
    for text in (server, client):
        assert yaml.safe_load(text)["auth"]["type"] == expected
    assert read_by_feast(server, tmp_path).auth_config.type == expected


def test_a_client_needs_the_two_servers_only(tmp_path: Path) -> None:
    config = read_by_feast(manifests.client_config(OPEN, registry="r:6570", online="http://o:6566"), tmp_path)
    assert (config.registry.registry_type, config.registry.path) == ("remote", "r:6570")
    assert (config.online_store.type, config.online_store.path) == ("remote", "http://o:6566")


def test_the_ports_are_those_of_the_reports() -> None:
    def ports(spec: FeastSpec) -> dict[str, int]:
        return {port["name"]: port["port"] for port in manifests.server_service(spec, "n")["spec"]["ports"]}

    assert ports(CLOSED) == {"http": 6566, "metrics": 8000}
    assert ports(OPEN) == {"http": 6566, "grpc": 6567, "metrics": 8000}
    assert "--address=0.0.0.0:6567" in container(WORKLOADS["server with grpc"], "grpc")["args"]


@pytest.mark.parametrize("name", ["server", "registry"])
def test_who_checks_tokens_may_ask_the_api_server_and_nobody_else(name: str) -> None:
    assert pod(WORKLOADS[name])["automountServiceAccountToken"] is True
    assert pod(WORKLOADS["server with grpc"])["automountServiceAccountToken"] is False
    assert pod(WORKLOADS["apply"])["automountServiceAccountToken"] is False


def test_no_probe_needs_a_token() -> None:
    asked = manifests.registry(OPEN, "feast:1", AROUND, ENV, "digest")
    for manifest, kind in ((asked, "grpc"), (WORKLOADS["registry"], "tcpSocket")):
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert kind in container(manifest)[probe]


def test_a_token_review_is_all_that_it_may_ask_cluster_wide() -> None:
    role, binding = manifests.token_review("ml", "ml-feast")
    assert role["rules"] == [
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}
    ]
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": server, "namespace": "ml"} for server in ("feast-server", "feast-registry")
    ]
    for manifest in (role, binding):
        assert "namespace" not in manifest["metadata"]


def test_a_changed_repository_is_applied_again() -> None:
    other = manifests.repository("data-platform", {"views.py": "# more", "tables.sql": ""})
    assert applied()["spec"]["template"] == applied()["spec"]["template"]
    assert applied()["spec"]["template"] != applied(files=other)["spec"]["template"]


def test_a_server_loses_no_request_when_it_ends() -> None:
    for name in ("server", "registry"):
        assert WORKLOADS[name]["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        (only,) = pod(WORKLOADS[name])["containers"]
        assert only["lifecycle"]["preStop"]["sleep"]["seconds"] >= 5
    assert "--max-requests=0" in container(WORKLOADS["server"])["args"]


def test_online_and_registry_scale_apart() -> None:
    spec = FeastSpec(online=OnlineServer(autoscaling=Autoscaling(max_replicas=8)))
    assert "replicas" not in manifests.server(spec, "feast:1", AROUND, ENV, "d")["spec"]
    assert manifests.registry(spec, "feast:1", AROUND, ENV, "d")["spec"]["replicas"] == 2


def test_sizes_and_replicas_default_to_those_of_the_reports() -> None:
    assert container(WORKLOADS["server"])["resources"]["requests"] == {"cpu": "500m", "memory": "1Gi"}
    assert WORKLOADS["server"]["spec"]["replicas"] == 2


def test_materialisation_ends_now_and_never_overlaps() -> None:
    assert WORKLOADS["materialize"]["spec"]["concurrencyPolicy"] == "Forbid"
    assert 'materialize-incremental "$(date --utc' in container(WORKLOADS["materialize"])["command"][-1]
    assert environment(WORKLOADS["materialize"])["PGDATABASE"] == "feast"
