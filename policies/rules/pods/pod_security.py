"""Every pod keeps to the Pod Security Standard `restricted`, and every namespace enforces one.

Restricted fields: of each pod template, those of Ray's resources and what KubeRay adds to them included: host
namespaces, `hostPort`, volume types, `securityContext` of pod and containers (privilege, escalation, capabilities,
user, seccomp, AppArmor, SELinux, `procMount`, `sysctls`, Windows host processes), and `host` in probes and hooks; of
each Namespace the label `pod-security.kubernetes.io/enforce`.

Allowed values: those of the profile Restricted; the label is one of the settings.

Why: a process that gets out of one of these pods is then nobody on the node. The namespace may enforce `baseline`, as
the pods that KubeRay adds for a RayJob do not satisfy `restricted`; what the program itself writes has no such excuse,
and this rule finds it before the first pod is refused. A mesh that needs `NET_ADMIN` in every pod has a CNI plugin for
it. Source: Kubernetes, "Pod Security Standards", and k8s.io/pod-security-admission/policy.
"""

from collections.abc import Iterator
from typing import Final

from policies import ray
from policies.pods import KINDS, PodTemplate, templates
from policies.rule import Finding, Results, Rule, RuleSettings, as_far_as_readable
from policies.view import Node, Resource, Unreadable

_ENFORCE: Final = "pod-security.kubernetes.io/enforce"
_APP_ARMOR: Final = "container.apparmor.security.beta.kubernetes.io/"
_VOLUMES: Final = frozenset(
    {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
)
_SYSCTLS: Final = frozenset(
    {
        "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range", "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem", "net.ipv4.tcp_syncookies", "net.ipv4.tcp_wmem",
    }
)  # fmt: skip
_SELINUX: Final = frozenset({"", "container_engine_t", "container_init_t", "container_kvm_t", "container_t"})
_PROFILES: Final = frozenset({"RuntimeDefault", "Localhost"})
_HANDLERS: Final = (
    ("livenessProbe",), ("readinessProbe",), ("startupProbe",), ("lifecycle", "postStart"), ("lifecycle", "preStop"),
)  # fmt: skip


class Settings(RuleSettings):
    """What a namespace may enforce."""

    enforced: tuple[str, ...] = ("restricted", "baseline")
    """Values of the label; `baseline` where operators add pods that do not satisfy `restricted`."""


Flaw = tuple[Node, str, str]
"""Where, what was found, what is allowed."""


def find(resource: Resource, settings: Settings) -> Results:
    """Judge the namespace or every pod template, and go on where one field cannot be read."""
    if (resource.group, resource.kind) == ("", "Namespace"):
        yield from _namespace(resource, settings)
        return
    for template in templates(resource):
        yield from _told(resource, _pod(template))
    for cluster in ray.clusters(resource):
        if cluster.get("enableInTreeAutoscaling").flag():
            head = cluster.get("headGroupSpec", "template", "spec", "securityContext")
            yield from _told(resource, _process(cluster.get("autoscalerOptions"), head))


def _told(resource: Resource, flaws: Iterator[Flaw | Unreadable]) -> Results:
    for flaw in flaws:
        if isinstance(flaw, Unreadable):
            yield flaw
            continue
        node, found, allowed = flaw
        fix = (
            "set it in the pod's or container's securityContext (RESTRICTED_POD and restricted_container in components)"
        )
        yield Finding(resource, node.path, found, allowed, fix)


def _namespace(resource: Resource, settings: Settings) -> Iterator[Finding]:
    label = resource.body.get("metadata", "labels", _ENFORCE)
    if label.text() not in settings.enforced:
        yield Finding(
            resource,
            label.path,
            f"the namespace enforces {label.shown()}" if label.exists() else "the namespace enforces nothing",
            " or ".join(settings.enforced),
            f"label the namespace with {_ENFORCE} (ml-platform:tenancy.podSecurity)",
        )


def _pod(template: PodTemplate) -> Iterator[Flaw | Unreadable]:
    spec = template.spec
    context = spec.get("securityContext")
    yield from as_far_as_readable((
        _host_namespaces(spec), _volumes(spec), _sysctls(context), _user(context), _profiles(context),
        _app_armor_annotations(template.node.get("metadata", "annotations")),
    ))  # fmt: skip
    for part in ("containers", "initContainers", "ephemeralContainers"):
        for container in spec.get(part).items():
            yield from _process(container, context)


def _process(container: Node, pod: Node) -> Iterator[Flaw | Unreadable]:
    """One container, or what stands for it, in a pod with this security context."""
    context = container.get("securityContext")
    yield from as_far_as_readable((
        _privilege(context), _capabilities(context), _user(context), _non_root(context, pod), _seccomp(context, pod),
        _profiles(context), _ports(container), _handlers(container),
    ))  # fmt: skip


def _host_namespaces(spec: Node) -> Iterator[Flaw]:
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(key).flag():
            yield spec.get(key), "the pod shares a namespace of its node", "false or absent"


def _volumes(spec: Node) -> Iterator[Flaw]:
    for volume in spec.get("volumes").items():
        kinds = {key for key, node in volume.mapping().items() if key != "name" and node.exists()}
        if kinds - _VOLUMES:
            yield volume, f"the volume is of type {', '.join(sorted(kinds))}", ", ".join(sorted(_VOLUMES))


def _sysctls(context: Node) -> Iterator[Flaw]:
    for sysctl in context.get("sysctls").items():
        if sysctl.get("name").text() not in _SYSCTLS:
            yield sysctl.get("name"), f"sysctl {sysctl.get('name').shown()} is not safe", ", ".join(sorted(_SYSCTLS))


def _app_armor_annotations(annotations: Node) -> Iterator[Flaw]:
    for key, profile in annotations.mapping().items():
        if key.startswith(_APP_ARMOR) and not profile.text().startswith(("runtime/default", "localhost/")):
            yield profile, "AppArmor is switched off", "runtime/default or localhost/*"


def _privilege(context: Node) -> Iterator[Flaw]:
    if context.get("privileged").flag():
        yield context.get("privileged"), "the container is privileged", "false or absent"
    escalation = context.get("allowPrivilegeEscalation")
    if not escalation.exists() or escalation.flag():
        yield escalation, "a process may get more privileges than its parent", "false"
    if context.get("procMount").text("Default") != "Default":
        yield context.get("procMount"), "/proc is not masked", "Default or absent"


def _capabilities(context: Node) -> Iterator[Flaw]:
    dropped = context.get("capabilities", "drop")
    if "ALL" not in [node.text() for node in dropped.items()]:
        yield dropped, "not all capabilities are dropped", "[ALL]"
    for node in context.get("capabilities", "add").items():
        if node.text() != "NET_BIND_SERVICE":
            allowed = "NET_BIND_SERVICE or none; a mesh redirects traffic by its CNI plugin"
            yield node, f"capability {node.shown()} is added", allowed


def _user(context: Node) -> Iterator[Flaw]:
    if context.get("runAsUser").integer(1) == 0:
        yield context.get("runAsUser"), "the user is root", "another number, or absent"


def _non_root(context: Node, pod: Node) -> Iterator[Flaw]:
    own = context.get("runAsNonRoot")
    if not (own if own.exists() else pod.get("runAsNonRoot")).flag():
        yield own, "the container may run as root", "true here or for the pod"


def _seccomp(context: Node, pod: Node) -> Iterator[Flaw]:
    own = context.get("seccompProfile", "type")
    if not own.exists() and not pod.get("seccompProfile", "type").exists():
        yield own, "system calls are not filtered", "RuntimeDefault or Localhost here or for the pod"


def _profiles(context: Node) -> Iterator[Flaw]:
    """What may be absent, but not anything."""
    for key in ("seccompProfile", "appArmorProfile"):
        kind = context.get(key, "type")
        if kind.exists() and kind.text() not in _PROFILES:
            yield kind, f"the profile is {kind.shown()}", " or ".join(sorted(_PROFILES))
    linux = context.get("seLinuxOptions")
    if linux.get("type").text() not in _SELINUX:
        yield linux.get("type"), f"the SELinux type is {linux.get('type').shown()}", "one that containers have"
    for key in ("user", "role"):
        if linux.get(key).text():
            yield linux.get(key), f"the SELinux {key} is set", "absent"
    if context.get("windowsOptions", "hostProcess").flag():
        yield context.get("windowsOptions", "hostProcess"), "this is a process of the host", "false or absent"


def _ports(container: Node) -> Iterator[Flaw]:
    for port in container.get("ports").items():
        if port.get("hostPort").integer(0):
            yield port.get("hostPort"), "a port of the node is taken", "absent"


def _handlers(container: Node) -> Iterator[Flaw]:
    for handler in _HANDLERS:
        for action in ("httpGet", "tcpSocket"):
            host = container.get(*handler, action, "host")
            if host.text():
                yield host, "the node's kubelet is sent to another host", "absent"


RULE = Rule(
    name="pod-security",
    scope="resource",
    kinds=KINDS | {("", "Namespace")},
    settings=Settings,
    find=find,
    doc=__doc__,
)
