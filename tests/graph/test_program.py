"""Laws that hold for every resource of every stack, on the whole program's raw registrations."""

from collections.abc import Iterator
from typing import Any

import pulumi
import pytest
from pydantic import ValidationError

from components.outputs import PlatformOutputs
from components.platform import check_crds
from components.settings import Settings
from tests.support.configuration import load_with, stack_config
from tests.support.recorder import Recording, Registration, record

CLUSTER_SCOPED = {"ClusterRole", "ClusterRoleBinding", "Namespace", "PriorityClass"}


VARIANTS = ["dev", "dev unwatched", "prod", "prod that watches itself"]
"""Stacks as they are, without those who watch, and with Prometheus, Alertmanager, Loki and Jaeger of its own."""


def settings_of(variant: str) -> Settings:
    """The settings of one of the variants."""
    stack, _, wish = variant.partition(" ")
    config = stack_config(stack, watched=wish != "unwatched")
    if stack == "prod":
        config["kubernetes:context"] = "a-cluster"
    if wish == "that watches itself":
        own: dict[str, Any] = {"managed": {}}
        prometheus = {"managed": {"alertmanager": own}}
        config["ml-platform:observability"] = {
            "prometheus": prometheus,
            "logs": {"loki": own},
            "traces": {"store": own},
            "dashboards": {"grafana": own},
        }
    return load_with(config, stack)[0]


@pytest.fixture(scope="module", params=VARIANTS)
def recording(request: pytest.FixtureRequest) -> Recording:
    return record(settings_of(request.param), stack=request.param.partition(" ")[0])


def kind(resource: Registration) -> str:
    return resource.type.rsplit(":", 1)[1]


def test_the_recorder_saw_the_platform(recording: Recording) -> None:
    assert len(recording.kubernetes) >= 15
    assert {kind(resource) for resource in recording.kubernetes} >= {
        "Namespace",
        "ResourceQuota",
        "RayCluster",
        "Deployment",
    }


def test_every_resource_has_a_component_as_its_parent(recording: Recording) -> None:
    components = {urn for urn, resource in recording.resources.items() if not resource.custom}
    for resource in recording.kubernetes:
        assert resource.parent in components, resource.urn


def test_every_child_is_named_after_its_component(recording: Recording) -> None:
    for resource in recording.kubernetes:
        assert resource.name.startswith(recording.resources[resource.parent].name + "-"), resource.urn


def test_every_component_registers_its_outputs(recording: Recording) -> None:
    components = [resource for resource in recording.resources.values() if not resource.custom]
    assert len(components) >= 2
    for component in components:
        assert component.outputs_registered, component.urn


def test_every_object_is_made_by_the_provider_of_the_stacks_cluster(recording: Recording) -> None:
    for resource in recording.kubernetes:
        assert "pulumi:providers:kubernetes::cluster" in resource.provider, resource.urn


def test_every_object_carries_the_standard_labels(recording: Recording) -> None:
    for resource in recording.kubernetes:
        labels = resource.inputs["metadata"]["labels"]
        assert labels["app.kubernetes.io/part-of"] == "ml-platform", resource.urn
        assert labels["app.kubernetes.io/managed-by"] == "pulumi", resource.urn


def test_every_namespaced_object_names_its_namespace(recording: Recording) -> None:
    (namespace,) = recording.of_type("Namespace")
    # By these alone Prometheus may look up whom it scrapes in another namespace.
    elsewhere = {"observability-role-istio-system", "observability-role-istio-system-binding"}
    for resource in recording.kubernetes:
        if kind(resource) not in CLUSTER_SCOPED and resource.name not in elsewhere:
            assert resource.inputs["metadata"]["namespace"] == namespace.inputs["metadata"]["name"], resource.urn


def test_every_namespaced_object_comes_after_the_namespace(recording: Recording) -> None:
    (namespace,) = recording.of_type("Namespace")
    for resource in recording.kubernetes:
        if kind(resource) not in CLUSTER_SCOPED:
            assert namespace.urn in after(recording, resource), resource.urn


def test_every_workload_comes_after_quota_and_defaults(recording: Recording) -> None:
    bounds = {resource.urn for resource in [*recording.of_type("ResourceQuota"), *recording.of_type("LimitRange")]}
    workloads = [
        resource for resource in recording.kubernetes if kind(resource) in {"Deployment", "RayCluster", "DaemonSet"}
    ]
    assert workloads
    for workload in workloads:
        assert bounds <= after(recording, workload), workload.urn


def test_the_cluster_comes_after_its_operator_and_leaves_before_it(recording: Recording) -> None:
    (cluster,) = [resource for resource in recording.kubernetes if kind(resource) == "RayCluster"]
    (operator,) = [made for made in recording.of_type("Deployment") if made.name == "ray-operator"]
    assert operator.urn in after(recording, cluster)


def test_no_service_account_mounts_its_token(recording: Recording) -> None:
    accounts = recording.of_type("ServiceAccount")
    assert len(accounts) >= 4
    for account in accounts:
        assert account.inputs["automountServiceAccountToken"] is False


def test_every_container_asks_for_resources(recording: Recording) -> None:
    seen = 0
    for resource in recording.kubernetes:
        for container in containers(resource.inputs):
            seen += 1
            assert set(container["resources"]) == {"requests", "limits"}, (resource.urn, container["name"])
    assert seen >= 4


def test_no_role_has_a_wildcard(recording: Recording) -> None:
    roles = recording.of_type("Role")
    assert roles
    for role in roles:
        for rule in role.inputs["rules"]:
            assert "*" not in {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}


def test_the_exports_are_exactly_the_contract_and_hold_its_shape(recording: Recording) -> None:
    assert set(recording.exports) == {field.alias for field in PlatformOutputs.model_fields.values()}
    assert PlatformOutputs.read("recorded", recording.exports).contract == "v1"


def test_no_secret_is_exported(recording: Recording) -> None:
    assert "recorded-x" not in str(recording.exports)


def test_a_preview_of_an_empty_cluster_knows_every_name() -> None:
    recording = record(settings_of("dev"), preview=True)
    for resource in recording.kubernetes:
        assert isinstance(resource.inputs["metadata"]["name"], str), resource.urn


def test_an_operator_that_is_already_there_is_not_made_again() -> None:
    settings = Settings.model_validate({"ray": {"operator": {"mode": "existing"}}})
    recording = record(settings)
    assert recording.of_type("Deployment")
    assert not [resource for resource in recording.kubernetes if resource.name.startswith("ray-operator")]
    assert [resource for resource in recording.kubernetes if kind(resource) == "RayCluster"]


def test_without_authentication_there_is_no_token_and_the_contract_says_so() -> None:
    recording = record(Settings.model_validate({"ray": {"authentication": "disabled"}}))
    assert not [
        made for made in recording.of_type("RandomPassword") if "$mlplatform:ray" in made.urn or "::ray-" in made.urn
    ]
    assert recording.exports["ray"]["token"] is None


def test_redis_is_wired_where_fault_tolerance_is_chosen() -> None:
    redis = {"host": "redis-shared", "passwordSecret": "redis-password", "pods": {"app": "redis"}}
    recording = record(
        Settings.model_validate({"stores": {"redis": {"external": redis}}, "ray": {"gcsFaultTolerance": True}})
    )
    (cluster,) = [resource for resource in recording.kubernetes if kind(resource) == "RayCluster"]
    assert cluster.inputs["spec"]["gcsFaultToleranceOptions"]["redisAddress"] == "redis://redis-shared:6379"


def named(recording: Recording, name: str) -> Registration:
    (found,) = [resource for resource in recording.kubernetes if resource.name == name]
    return found


def test_ray_leaves_before_the_redis_that_holds_its_state() -> None:
    recording = record(Settings.model_validate({"ray": {"gcsFaultTolerance": True}}))
    cluster = after(recording, named(recording, "ray-cluster"))
    assert named(recording, "stores-redis").urn in cluster
    assert named(recording, "ray-operator").urn in cluster


def test_a_release_of_mlflow_serves_after_dump_and_migration(recording: Recording) -> None:
    server = after(recording, named(recording, "mlflow-server"))
    migration = after(recording, named(recording, "mlflow-migration"))
    assert named(recording, "mlflow-migration").urn in server
    assert named(recording, "mlflow-backup").urn in migration
    made = {named(recording, name).urn for name in ("stores-databases", "stores-buckets")}
    assert made <= after(recording, named(recording, "mlflow-backup"))


def test_nothing_has_a_value_of_what_is_made_anew_with_its_name(recording: Recording) -> None:
    """Pulumi removes a Job before it makes it anew, and with it whatever has a value of it: a server that serves."""
    jobs = {job.urn for job in recording.of_type("Job")}
    assert len(jobs) >= 4
    (namespace,) = recording.of_type("Namespace")
    assert namespace.urn in named(recording, "mlflow-migration").property_dependencies["metadata"]
    for resource in recording.kubernetes:
        for key, urns in resource.property_dependencies.items():
            assert not jobs & set(urns), (resource.urn, key)


def test_features_are_served_after_the_repository_was_applied(recording: Recording) -> None:
    for server in ("feast-server", "feast-registry"):
        assert named(recording, "feast-apply").urn in after(recording, named(recording, server))


def test_mlflow_and_feast_stop_nobody_else_from_coming_up(recording: Recording) -> None:
    waits = after(recording, named(recording, "ray-cluster"))
    for server in ("mlflow-server", "feast-server", "feast-registry"):
        assert named(recording, server).urn not in waits


def test_ingress_controllers_are_told_to_send_to_services_and_not_to_pods(recording: Recording) -> None:
    # A headless one has no address to send to.
    services = [each for each in recording.of_type("Service") if each.inputs["spec"].get("clusterIP") != "None"]
    assert len(services) >= 5
    for service in services:
        assert service.inputs["metadata"]["annotations"]["ingress.kubernetes.io/service-upstream"] == "true"


def behind_a_gateway(**changed: Any) -> Recording:
    """Prod with another gateway."""
    config = {**stack_config("prod"), "kubernetes:context": "a-cluster"}
    config["ml-platform:cluster"]["addons"].append("cert-manager")
    config["ml-platform:tenancy"] = {**config["ml-platform:tenancy"], "meshInjection": True}
    config["ml-platform:gateway"] = {**config["ml-platform:gateway"], **changed}
    return record(load_with(config, "prod")[0], stack="prod")


def test_a_route_leads_to_a_service_that_is_there_before_it_and_goes_first() -> None:
    recording = behind_a_gateway()
    services = {made.inputs["metadata"]["name"]: made for made in recording.of_type("Service")}
    routes = [made for made in recording.kubernetes if kind(made) == "HTTPRoute"]
    assert len(routes) == 3
    for route in routes:
        ((target,),) = [rule["backendRefs"] for rule in route.inputs["spec"]["rules"]]
        service = services[target["name"]]
        assert target["port"] in {port["port"] for port in service.inputs["spec"]["ports"]}
        assert service.urn in after(recording, route)
        assert named(recording, "gateway-listeners").urn in after(recording, route)


def test_a_certificate_is_asked_for_before_the_listeners_that_show_it() -> None:
    recording = behind_a_gateway(tls={"issuer": "internal"})
    certificate, listeners = named(recording, "gateway-tls"), named(recording, "gateway-listeners")
    assert certificate.urn in after(recording, listeners)
    shown = {ref["name"] for each in listeners.inputs["spec"]["listeners"] for ref in each["tls"]["certificateRefs"]}
    assert shown == {certificate.inputs["spec"]["secretName"]}


def test_a_gateway_of_others_gets_routes_and_nothing_else() -> None:
    existing = {"name": "shared", "namespace": "gateways", "listener": "https"}
    recording = behind_a_gateway(tls=None, existing=existing, cloudflareAccess={"team": "acme", "audience": "a1" * 32})
    kinds = {kind(made) for made in recording.kubernetes}
    assert "HTTPRoute" in kinds
    assert not kinds & {"Gateway", "Certificate"}


@pytest.mark.parametrize(
    ("installed", "expected"),
    [
        ("1.5.0", "kuberayVersion is 1.6.2, but the CRDs of stack o/p/s are of 1.5.0"),
        (None, "o/p/s has no KubeRay CRDs"),
    ],
)
def test_crds_that_are_absent_or_of_another_release_are_refused(installed: str | None, expected: str) -> None:
    with pytest.raises(pulumi.RunError, match=expected):
        check_crds(installed, "o/p/s", "1.6.2")
    assert check_crds("1.6.2", "o/p/s", "1.6.2") == "1.6.2"


def test_a_contract_without_a_field_is_refused_by_name(recording: Recording) -> None:
    for field in ("dashboard", "cluster"):
        ray = {key: value for key, value in recording.exports["ray"].items() if key != field}
        with pytest.raises(Exception, match=f"ray.{field}"):
            PlatformOutputs.read("other", {**recording.exports, "ray": ray})


def test_a_stack_of_before_there_was_a_gateway_has_none(recording: Recording) -> None:
    older = {key: value for key, value in recording.exports.items() if key != "gateway"}
    assert PlatformOutputs.read("older", older).gateway is None


def test_a_stack_without_a_contract_is_refused_in_plain_words() -> None:
    with pytest.raises(Exception, match="publishes no platform contract") as raised:
        PlatformOutputs.read("organization/ml-platform/dev", {"contract": None})
    assert not isinstance(raised.value, ValidationError)


def after(recording: Recording, resource: Registration) -> set[str]:
    """Everything that is made before a resource, through any number of steps."""
    found: set[str] = set()
    open_ones = [resource.urn]
    while open_ones:
        current = recording.resources.get(open_ones.pop())
        if current:
            new = set(current.dependencies) - found
            found |= new
            open_ones += new
    return found


def containers(node: Any) -> Iterator[dict[str, Any]]:
    """Every container of every pod template, wherever a custom resource keeps it."""
    if isinstance(node, dict):
        for key in ("containers", "initContainers"):
            yield from node.get(key) or []
        for value in node.values():
            yield from containers(value)
    elif isinstance(node, list):
        for item in node:
            yield from containers(item)


def test_what_pulls_an_image_has_as_long_as_the_cluster_that_needs_it() -> None:
    settings = settings_of("prod")
    pulls = record(settings, stack="prod").of_type("DaemonSet")
    assert len(pulls) == 2
    assert {each.timeouts["create"] for each in pulls} == {settings.ray.ready_timeout_seconds}


@pytest.mark.parametrize("variant", ["dev", "dev unwatched"])
def test_those_that_serve_tell_of_it_where_someone_keeps_traces(variant: str) -> None:
    recording = record(settings_of(variant))
    (cluster,) = [each for each in recording.kubernetes if kind(each) == "RayCluster"]
    head = cluster.inputs["spec"]["headGroupSpec"]["template"]
    told = {
        "mlflow": variables(deployed(recording, "mlflow")["containers"][0]),
        "feast-server": variables(deployed(recording, "feast-server")["containers"][0]),
        "ray-serve": variables(head["spec"]["containers"][0]),
    }
    if variant == "dev unwatched":
        assert not any(name.startswith("OTEL_") for found in told.values() for name in found)
        return
    for service, found in told.items():
        assert found["OTEL_SERVICE_NAME"] == service
        assert found["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] == recording.exports["observability"]["traces"]["url"]
    # With the same variables, MLflow's clients would send the traces of models there and not to the tracking server.
    assert told["ray-serve"]["MLFLOW_ENABLE_OTLP_EXPORTER"] == "false"


def deployed(recording: Recording, name: str) -> dict[str, Any]:
    (found,) = [each for each in recording.of_type("Deployment") if each.inputs["metadata"]["name"] == name]
    return dict(found.inputs["spec"]["template"]["spec"])


def variables(container: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each.get("value") for each in container["env"]}
