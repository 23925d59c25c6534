"""Every store whose data shall outlive it has a backup that runs by itself.

Restricted fields: StatefulSets with `volumeClaimTemplates` and PersistentVolumeClaims, against the CronJobs and the
Schedules of Velero in the stack.

Allowed values: a CronJob of the same namespace that is not suspended and names the store in the annotation
`ml-platform/backs-up` (`StatefulSet/postgres`; several with commas); a Schedule of Velero that is not paused, includes
the namespace and the pods, and takes volumes; or a namespace that the settings name, because something outside of the
stack backs it up. A StatefulSet that says `whenDeleted: Delete` says that its data can be made again. A Job that dumps
once, before a migration, is no backup.

Why: replicas and `protect` help against accidents, not against a bug that writes nonsense. The reports had procedures
for backups, and "set up daily backup job" still among the things to do.
"""

from collections.abc import Iterator
from typing import Final

from policies import pods, stores
from policies.rule import Finding, Results, Rule, RuleSettings
from policies.selection import pod_labels, selector
from policies.view import Node, Resource, Stack, Unreadable

ANNOTATION: Final = "ml-platform/backs-up"
_VOLUMES: Final = ("*", "persistentvolumeclaims", "pvc")


class Settings(RuleSettings):
    """What has a backup that the stack does not show."""

    namespaces: tuple[str, ...] = ()
    """Namespaces whose volumes something outside of the stack backs up."""


def find(stack: Stack, settings: Settings) -> Results:
    """Collect what is backed up, then judge every store; one backup that cannot be read may be that of any store."""
    named, schedules, known = set[tuple[str, str]](), list[Resource](), True
    for resource in stack.resources:
        try:
            if (resource.group, resource.kind) == ("batch", "CronJob"):
                named |= {(resource.namespace, store) for store in _backed_up(resource)}
            elif (resource.group, resource.kind) == ("velero.io", "Schedule") and _takes_volumes(resource):
                schedules.append(resource)
        except Unreadable as unreadable:
            known = False
            yield unreadable.at(resource)
    for resource in stack.resources:
        try:
            if not stores.holds_data(resource) or resource.namespace in settings.namespaces:
                continue
            store = f"{resource.kind}/{resource.name}"
            covered = any(_covers(schedule, resource) for schedule in schedules)
            if known and not covered and (resource.namespace, store) not in named:
                yield Finding(
                    resource,
                    "",
                    "nothing backs its data up",
                    f"a CronJob with {ANNOTATION}: {store}, or a Schedule of Velero that includes it",
                    "add one, or say whenDeleted: Delete where the data can be made again",
                )
        except Unreadable as unreadable:
            yield unreadable.at(resource)


def _backed_up(cron_job: Resource) -> Iterator[str]:
    said = cron_job.body.get("metadata", "annotations", ANNOTATION).text()
    if said and not cron_job.body.get("spec", "suspend").flag():
        yield from (store.strip() for store in said.split(","))


def _takes_volumes(schedule: Resource) -> bool:
    """Whether volumes are among what it takes: velero v1.17 pkg/apis/velero/v1/backup_types.go."""
    spec = schedule.body.get("spec")
    template = spec.get("template")
    snapshots, files = template.get("snapshotVolumes"), template.get("defaultVolumesToFsBackup")
    data = snapshots.flag() if snapshots.exists() else True
    included = _texts(template.get("includedResources")) or ["*"]
    excluded = _texts(template.get("excludedResources"))
    wanted = any(name in _VOLUMES for name in included) and not any(name in _VOLUMES for name in excluded)
    return not spec.get("paused").flag() and (data or files.flag()) and wanted


def _covers(schedule: Resource, store: Resource) -> bool:
    template = schedule.body.get("spec", "template")
    included = _texts(template.get("includedNamespaces")) or ["*"]
    excluded = _texts(template.get("excludedNamespaces"))
    if store.namespace in excluded or not {"*", store.namespace} & set(included):
        return False
    chosen = template.get("labelSelector")
    return not chosen.exists() or any(selector(chosen).matches(labels) for labels in _labels(store))


def _labels(store: Resource) -> Iterator[dict[str, str]]:
    """Of the pods of a StatefulSet, or of a claim itself."""
    for template in pods.templates(store):
        yield pod_labels(store, template)
    if store.kind != "StatefulSet":
        yield {key: value.text() for key, value in store.body.get("metadata", "labels").mapping().items()}


def _texts(node: Node) -> list[str]:
    return [each.text() for each in node.items()]


RULE = Rule(
    name="backup-present",
    scope="stack",
    kinds=frozenset({*stores.KINDS, ("batch", "CronJob"), ("velero.io", "Schedule")}),
    settings=Settings,
    find=find,
    doc=__doc__,
)
