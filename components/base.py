"""Component: what every subsystem is made of, and the one way to declare a Kubernetes object.

A component states its type token in its class statement, gives every child its parent, never merges its
own options into children, and publishes its endpoints last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar, Generic, TypeVar, cast

import pulumi
import pulumi_random

from components.kube import objects, rbac
from components.kube.labels import fingerprint
from components.kube.model import Scale
from components.kube.pods import Around, annotate_pods
from components.kube.wires import Endpoint, SecretRef

EndpointsT = TypeVar("EndpointsT")


class KubernetesObject(pulumi.CustomResource):
    """Any Kubernetes object, declared by its manifest.

    The type token follows from apiVersion and kind exactly as the provider's own SDK derives it
    (https://www.pulumi.com/registry/packages/kubernetes/), so built-in kinds keep their built-in await logic.
    Importing the generated classes of every API group instead costs about a second per run.
    """

    def __init__(self, name: str, manifest: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None) -> None:
        group, _, version = str(manifest["apiVersion"]).rpartition("/")
        super().__init__(f"kubernetes:{group or 'core'}/{version}:{manifest['kind']}", name, dict(manifest), opts)

    def named(self) -> pulumi.Output[str]:
        """The object's name. A reader of it comes after the object, yet a preview knows it."""
        metadata: pulumi.Output[Any] = pulumi.Output.from_input(pulumi.get(self, "metadata"))
        return metadata["name"].apply(str)


def endpoint(scheme: str | None, service: KubernetesObject, namespace: pulumi.Input[str], port: int) -> Endpoint:
    """The address of a Service inside the cluster, known once the Service is there."""
    host = pulumi.Output.format("{0}.{1}.svc.cluster.local", service.named(), namespace)
    return Endpoint(
        host=host, port=port, url=pulumi.Output.format("{0}{1}:{2}", f"{scheme}://" if scheme else "", host, port)
    )


@dataclass(frozen=True)
class GeneratedSecret:
    """A Secret of generated passwords.

    Attributes:
        secret: the Secret.
        digest: changes with what it holds and tells nothing of it: as an annotation it makes pods roll and Jobs run.
    """

    secret: KubernetesObject
    digest: pulumi.Output[str]

    def ref(self, key: str) -> SecretRef:
        """Where one of the passwords lies."""
        return SecretRef(name=self.secret.named(), key=key, digest=self.digest)


def digest(*references: SecretRef) -> pulumi.Output[str]:
    """One digest for all the secrets that a pod reads; it changes when one of them does."""
    return _fingerprint(*(reference.digest for reference in references))


def _fingerprint(*texts: pulumi.Input[str]) -> pulumi.Output[str]:
    return pulumi.Output.all(*texts).apply(lambda known: fingerprint("\n".join(known)))


class Component(pulumi.ComponentResource, Generic[EndpointsT]):
    """Base of every subsystem.

    Attributes:
        endpoints: all that the rest of the platform may know about this subsystem.
    """

    token: ClassVar[str]
    endpoints: EndpointsT

    def __init_subclass__(cls, *, token: str, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.token = token

    def __init__(
        self,
        name: str,
        opts: pulumi.ResourceOptions | None = None,
        *,
        pod_annotations: Mapping[str, str] | None = None,
        on_error: pulumi.ErrorHook | None = None,
    ) -> None:
        super().__init__(self.token, name, None, opts)
        self._name_of_component = name
        self._pod_annotations = pod_annotations or {}
        self._on_error = on_error
        # Pulumi keeps to itself what a component comes after; here its children come after it too.
        self._after = cast("Sequence[pulumi.Resource]", (opts and opts.depends_on) or ())

    def child_options(
        self,
        *,
        after: Sequence[pulumi.Resource] = (),
        replace_on_changes: Sequence[str] = (),
        create_timeout: int | None = None,
        runs_pods: bool = False,
        protect: bool = False,
    ) -> pulumi.ResourceOptions:
        """Options of a child: its parent, what it comes after, its own bound in seconds; pods tell why they fail."""
        timeouts = pulumi.CustomTimeouts(create=f"{create_timeout}s", update=f"{create_timeout}s")
        return pulumi.ResourceOptions(
            parent=self,
            depends_on=[*self._after, *after],
            replace_on_changes=list(replace_on_changes) or None,
            # The new one has the name of the old one, which would be removed after it.
            delete_before_replace=True if replace_on_changes else None,
            custom_timeouts=timeouts if create_timeout else None,
            protect=protect or None,
            hooks=pulumi.ResourceHookBinding(on_error=[self._on_error]) if runs_pods and self._on_error else None,
        )

    def child(
        self,
        role: str,
        manifest: Mapping[str, Any],
        *,
        after: Sequence[pulumi.Resource] = (),
        replace_on_changes: Sequence[str] = (),
        create_timeout: int | None = None,
        protect: bool = False,
    ) -> KubernetesObject:
        """Declare one Kubernetes object of this component; its logical name is `<component>-<role>`.

        What holds data that shall outlive it is protected: neither an update nor a `destroy` removes it.
        """
        options = self.child_options(
            after=after,
            replace_on_changes=replace_on_changes,
            create_timeout=create_timeout,
            runs_pods=manifest["kind"] in objects.RUN_PODS,
            protect=protect or objects.keeps_data(manifest),
        )
        return KubernetesObject(self.child_name(role), self.annotated(manifest), options)

    def annotated(self, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
        """A manifest as `child` declares it: its pods have the annotations that all pods have."""
        annotated: Mapping[str, Any] = annotate_pods(manifest, self._pod_annotations)
        return annotated

    def around(self, workload: str, namespace: pulumi.Output[str], priority_class: pulumi.Output[str]) -> Around:
        """Declare the identity of one workload, a ServiceAccount of its name; returns what its pods meet.

        No two workloads have the same, since the mesh tells them apart by nothing else.
        """
        role = f"{workload.removeprefix(self._name_of_component)}-account".lstrip("-")
        account = self.child(role, rbac.service_account(self._name_of_component, namespace, workload))
        return Around(namespace, account.named(), priority_class)

    def generate_secret(
        self,
        role: str,
        namespace: pulumi.Input[str],
        name: str,
        passwords: Mapping[str, str],
        *,
        length: int,
        generation: int,
    ) -> GeneratedSecret:
        """Declare passwords of letters and digits, and the Secret that holds them.

        Args:
            role: of the Secret among the children.
            namespace: where it lies.
            name: of the Secret.
            passwords: key in the Secret to the role of its password among the children.
            length: of each password.
            generation: another number makes other passwords.
        """
        made = {
            key: pulumi_random.RandomPassword(
                self.child_name(password),
                length=length,
                special=False,
                keepers={"generation": str(generation)},
                opts=self.child_options(),
            ).result
            for key, password in passwords.items()
        }
        secret = self.child(role, objects.secret(self._name_of_component, namespace, name, made))
        return GeneratedSecret(secret, pulumi.Output.unsecret(_fingerprint(*made.values())))

    def bound(self, namespace: pulumi.Input[str], server: str, scale: Scale, *, role: str = "") -> None:
        """Declare what bounds a Deployment's pods: its disruption budget, and its autoscaler if it has one.

        Args:
            namespace: where it lives.
            server: name of the Deployment.
            scale: how many pods.
            role: of the Deployment among the children, where there is more than one.
        """
        prefix = f"{role}-" if role else ""
        self.child(f"{prefix}budget", objects.disruption_budget(self._name_of_component, namespace, server))
        if scale.autoscaling:
            manifest = objects.autoscaler(self._name_of_component, namespace, server, scale.autoscaling)
            self.child(f"{prefix}autoscaler", manifest)

    def tell_clients(
        self, namespace: pulumi.Input[str], others: Sequence[str], name: str, data: Mapping[str, pulumi.Input[str]]
    ) -> pulumi.Output[str]:
        """Declare a ConfigMap of what clients need, here and in the namespaces of other teams; returns its name."""
        for other in others:
            self.child(f"client-{other}", objects.config_map(self._name_of_component, other, name, data))
        return self.child("client", objects.config_map(self._name_of_component, namespace, name, data)).named()

    def child_name(self, role: str) -> str:
        """The logical name of a child: a URN holds the types of the parents, not their names."""
        return f"{self._name_of_component}-{role}"

    def publish(self, endpoints: EndpointsT) -> None:
        """Say what the rest may know, and finish: the last statement of every component."""
        self.endpoints = endpoints
        self.register_outputs(plain(endpoints))


def plain(value: Any) -> Any:
    """Endpoints as dicts, all the way down, without touching the Outputs inside, and without what comes before them."""
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value) if field.name != "after"}
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return value
