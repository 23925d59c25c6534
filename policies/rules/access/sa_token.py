"""A pod runs as a ServiceAccount of its own, and mounts its token only where it is meant to.

Restricted fields: `serviceAccountName` and `automountServiceAccountToken` of every pod template, those of Ray's
resources included, `automountServiceAccountToken` of every ServiceAccount, and Secrets that hold a token for ever.

Allowed values: a ServiceAccount other than `default`; `automountServiceAccountToken: false` in the template, or `true`
for the accounts in the settings; `false` in every ServiceAccount, so that a forgotten template mounts nothing. No
Secret of type `kubernetes.io/service-account-token`.

Why: a mesh tells workloads apart by nothing but their accounts, and a token that nobody uses is one that an intruder
will. Tokens of the pod expire within the hour; those in Secrets never do.
"""

from policies.pods import KINDS, templates
from policies.rule import Finding, Results, Rule, RuleSettings, as_far_as_readable
from policies.view import Node, Resource


class Settings(RuleSettings):
    """Who talks to the API server."""

    token_users: tuple[str, ...] = ("kuberay-operator", "ray-head", "ray-ready")
    """ServiceAccounts whose pods mount a token: the operator, Ray's autoscaler, and the Job that waits for Ray."""


def find(resource: Resource, settings: Settings) -> Results:
    """Judge the account, the Secret, or every pod template."""
    if (resource.group, resource.kind) == ("", "ServiceAccount"):
        yield from _account(resource)
    elif (resource.group, resource.kind) == ("", "Secret"):
        yield from _secret(resource)
    for template in templates(resource):
        if not template.spec.exists():  # of an operator's own making
            continue
        yield from as_far_as_readable(check(resource, template.spec, settings) for check in (_own_account, _mount))


def _account(resource: Resource) -> Results:
    mount = resource.body.get("automountServiceAccountToken")
    if not mount.exists() or mount.flag():
        yield Finding(
            resource,
            mount.path,
            "every pod of this account that does not say otherwise mounts its token",
            "false",
            "set automountServiceAccountToken to false here, and to true in the template that needs it",
        )


def _secret(resource: Resource) -> Results:
    kind = resource.body.get("type")
    if kind.text() == "kubernetes.io/service-account-token":
        yield Finding(
            resource,
            kind.path,
            "this Secret holds a token that never expires",
            "tokens that the kubelet renews",
            "mount a projected volume with serviceAccountToken, or ask the TokenRequest API",
        )


def _own_account(resource: Resource, spec: Node, settings: Settings) -> Results:
    del settings
    name = spec.get("serviceAccountName")
    account = name if name.exists() else spec.get("serviceAccount")
    if account.text("default") == "default":
        yield Finding(
            resource,
            name.path,
            "the pods run as the namespace's account default, as all do that say nothing",
            "a ServiceAccount of the workload's own",
            "make one, and name it in serviceAccountName",
        )


def _mount(resource: Resource, spec: Node, settings: Settings) -> Results:
    mount = spec.get("automountServiceAccountToken")
    account = spec.get("serviceAccountName").text("default")
    if (not mount.exists() or mount.flag()) and account not in settings.token_users:
        yield Finding(
            resource,
            mount.path,
            f"the pods mount the token of {account}, who is not known to use it",
            f"false, or one of the accounts {', '.join(settings.token_users)}",
            "set automountServiceAccountToken to false, or add the account to the rule's setting `tokenUsers`",
        )


RULE = Rule(
    name="sa-token",
    scope="resource",
    kinds=KINDS | {("", "Secret"), ("", "ServiceAccount")},
    settings=Settings,
    find=find,
    doc=__doc__,
)
