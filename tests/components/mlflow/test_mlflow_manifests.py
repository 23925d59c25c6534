"""The tracking server, held against what MLflow, libpq and Kubernetes ask for."""

from configparser import ConfigParser
from fnmatch import fnmatch
from typing import Any

import pytest

from components.kube.model import Autoscaling
from components.kube.pods import Around
from components.kube.wires import Bucket, Database, Endpoint, SecretRef
from components.mlflow import manifests
from components.mlflow.spec import GarbageCollection, MLflowSpec
from tests.support.manifests import container, environment, pod, restricted

AROUND = Around("data-platform", "mlflow", "serving")
DATABASE = Database(
    Endpoint("db", 5433, "db:5433"), "mlflow", "mlflow", SecretRef("database-mlflow", "password"), "verify-full"
)
BUCKET = Bucket("http://s3:9000", "us-east-1", "mlflow-artifacts", SecretRef("s3", "id"), SecretRef("s3", "key"))
SESSION = SecretRef("mlflow-auth", "session-key")
USERS = {user: SecretRef("mlflow-auth", user) for user in ("admin", "platform")}


def server(spec: MLflowSpec, *, authenticated: bool = True, watched: bool = False) -> dict[str, Any]:
    return manifests.deployment(
        spec,
        "mlflow:1",
        AROUND,
        hosts=manifests.allowed_hosts("data-platform", spec.hosts),
        database=DATABASE,
        bucket=BUCKET,
        session_key=SESSION if authenticated else None,
        settings=manifests.config(spec, "data-platform") if authenticated else None,
        digest="digest",
        watched=watched,
    )


SPEC = MLflowSpec()
WORKLOADS: dict[str, dict[str, Any]] = {
    "server": server(SPEC),
    "server without users": server(SPEC, authenticated=False),
    "server that is watched": server(SPEC, watched=True),
    "backup": manifests.backup_job(SPEC, "client:1", AROUND, release="mlflow:1", database=DATABASE, backups=BUCKET),
    "migration": manifests.migration_job(SPEC, "mlflow:1", AROUND, database=DATABASE, users=USERS, digest="digest"),
    "gc": manifests.garbage_collection(
        SPEC, GarbageCollection(), "mlflow:1", AROUND, database=DATABASE, bucket=BUCKET, admin=USERS["admin"]
    ),
}


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_pod_is_restricted_and_bounded_and_has_no_secret_in_plain_text(name: str) -> None:
    restricted(WORKLOADS[name])
    assert pod(WORKLOADS[name])["automountServiceAccountToken"] is False


def answered(hosts: str, header: str) -> bool:
    """MLflow's own comparison (mlflow/server/security_utils.py, is_allowed_host_header)."""
    return any(fnmatch(header, host) if "*" in host else header == host for host in hosts.split(","))


NAMES = ["mlflow", "mlflow.ml", "mlflow.ml.svc", "mlflow.ml.svc.cluster.local", "$(POD_IP)"]


@pytest.mark.parametrize("header", [*NAMES, *(f"{name}:5000" for name in NAMES)])
def test_every_name_of_the_service_is_answered_with_and_without_its_port(header: str) -> None:
    assert answered(manifests.allowed_hosts("ml", ()), header)


@pytest.mark.parametrize("header", ["mlflow.example", "mlflow.example:443", "localhost:41234", "127.0.0.1:5000"])
def test_gateways_and_port_forwards_are_answered(header: str) -> None:
    assert answered(manifests.allowed_hosts("ml", ("mlflow.example",)), header)


@pytest.mark.parametrize(
    "header", ["evil.example", "mlflow.other.svc", "mlflow.ml.svc.evil.example", "mlflow.example", "10.0.0.1:5000", ""]
)
def test_other_names_are_refused(header: str) -> None:
    assert not answered(manifests.allowed_hosts("ml", ()), header)


def test_the_ui_may_change_things_from_the_hosts_that_it_is_served_at() -> None:
    hosts = ("mlflow.example", "mlflow.local")
    found = environment(server(MLflowSpec(hosts=hosts)))
    assert found["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"] == "https://mlflow.example,https://mlflow.local"
    assert "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS" not in environment(WORKLOADS["server"])


def test_artifacts_go_through_the_server_only() -> None:
    args = container(WORKLOADS["server"])["args"]
    assert "--artifacts-destination=s3://mlflow-artifacts" in args
    assert not [arg for arg in args if "default-artifact-root" in arg or "no-serve-artifacts" in arg]


def test_a_rollout_takes_no_server_away_before_the_next_is_ready() -> None:
    spec = WORKLOADS["server"]["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    pause = container(WORKLOADS["server"])["lifecycle"]["preStop"]["sleep"]["seconds"]
    graceful = next(arg for arg in container(WORKLOADS["server"])["args"] if "graceful" in arg).split()[-1]
    assert pause >= 5
    assert pause + int(graceful) < pod(WORKLOADS["server"])["terminationGracePeriodSeconds"]


def test_replicas_prefer_nodes_of_their_own() -> None:
    (rule,) = pod(WORKLOADS["server"])["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    labels = WORKLOADS["server"]["spec"]["template"]["metadata"]["labels"]
    assert rule["podAffinityTerm"]["labelSelector"]["matchLabels"].items() <= labels.items()


def test_with_an_autoscaler_the_number_of_replicas_is_not_ours() -> None:
    assert server(MLflowSpec(replicas=3))["spec"]["replicas"] == 3
    assert "replicas" not in server(MLflowSpec(autoscaling=Autoscaling(max_replicas=4)))["spec"]


def test_sizes_and_replicas_default_to_those_of_the_reports() -> None:
    assert container(WORKLOADS["server"])["resources"] == {
        "requests": {"cpu": "500m", "memory": "1Gi"},
        "limits": {"cpu": "1", "memory": "2Gi"},
    }
    assert WORKLOADS["server"]["spec"]["replicas"] == 2
    (port,) = manifests.service("data-platform")["spec"]["ports"]
    assert port["port"] == 5000


def test_the_database_is_named_without_host_and_password() -> None:
    for name in ("server", "migration", "gc"):
        found = environment(WORKLOADS[name])
        assert found["MLFLOW_BACKEND_STORE_URI"] == "postgresql+psycopg2:///mlflow"
        assert (found["PGHOST"], found["PGPORT"], found["PGUSER"]) == ("db", "5433", "mlflow")
        assert found["PGSSLMODE"] == "verify-full"
        assert found["PGSSLROOTCERT"].startswith("/etc/ssl/")
        assert found["PGPASSWORD"] == {"name": "database-mlflow", "key": "password"}


def test_a_release_is_what_makes_the_backup_run() -> None:
    def release(image: str) -> Any:
        job = manifests.backup_job(SPEC, "client:1", AROUND, release=image, database=DATABASE, backups=BUCKET)
        return job["spec"]["template"]

    assert release("mlflow:1") == release("mlflow:1")
    assert release("mlflow:1") != release("mlflow:2")
    assert environment(WORKLOADS["backup"])["DATABASES"].split() == ["mlflow", "mlflow-auth"]


def test_a_migration_is_tried_once() -> None:
    assert WORKLOADS["migration"]["spec"]["backoffLimit"] == 0
    assert environment(WORKLOADS["migration"])["PASSWORD_ADMIN"] == {"name": "mlflow-auth", "key": "admin"}


def test_users_are_asked_for_by_file_and_one_key_signs_their_sessions() -> None:
    config = ConfigParser()
    config.read_string(manifests.config(SPEC, "data-platform")["data"]["basic_auth.ini"])
    assert config["mlflow"]["database_uri"] == "postgresql+psycopg2:///mlflow-auth"
    assert config["mlflow"]["default_permission"] == "READ"
    assert "admin_password" not in config["mlflow"]
    found = environment(WORKLOADS["server"])
    assert found["MLFLOW_FLASK_SERVER_SECRET_KEY"] == {"name": "mlflow-auth", "key": "session-key"}
    assert "--app-name=basic-auth" in container(WORKLOADS["server"])["args"]


def test_without_users_there_is_no_trace_of_them() -> None:
    bare = WORKLOADS["server without users"]
    assert "--app-name=basic-auth" not in container(bare)["args"]
    assert "mlflow-auth" not in str(bare)


def test_a_changed_configuration_replaces_the_pods() -> None:
    def annotations(spec: MLflowSpec) -> Any:
        return server(spec)["spec"]["template"]["metadata"]["annotations"]

    assert annotations(SPEC) == annotations(MLflowSpec())
    assert annotations(SPEC) != annotations(MLflowSpec(default_permission="EDIT"))


def test_collections_never_overlap_and_spare_what_is_young() -> None:
    spec = WORKLOADS["gc"]["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert "--older-than=30d" in container(WORKLOADS["gc"])["args"]


def test_who_scrapes_is_shown_the_files_that_the_server_writes() -> None:
    own, shown = server(SPEC, watched=True)["spec"]["template"]["spec"]["containers"]
    (written,) = [arg.partition("=")[2] for arg in own["args"] if arg.startswith("--expose-prometheus=")]
    assert {each["name"]: each["value"] for each in shown["env"]} == {"PROMETHEUS_MULTIPROC_DIR": written}
    (mounted,) = shown["volumeMounts"]
    assert {"name": mounted["name"], "mountPath": written} in own["volumeMounts"]
    (listened,) = shown["ports"]
    (described,) = [each for each in manifests.workloads(SPEC, watched=True) if each.name == "mlflow"]
    assert described.ports[listened["name"]].number == listened["containerPort"]
    assert described.metrics == {listened["name"]: "/metrics"}
