"""Nothing is installed by a release whose objects the pack cannot see.

Restricted fields: resources of the types `kubernetes:helm.sh/v3:Release` (Pulumi), `HelmRelease` (Flux), `HelmChart`
(k3s and RKE2) and `Application` (Argo CD).

Allowed values: only releases of the charts that the settings name. Everything else is a Chart
(`kubernetes:helm.sh/v4:Chart`) or typed objects: their objects are resources of the stack, and each is judged.

Why: a release hides its objects from the preview, from the state and from every rule of this pack; and Helm keeps all
of them in one Secret, which ends at 1 MiB.
"""

from typing import Final

from policies.rule import Finding, Results, Rule, RuleSettings
from policies.view import Node, Resource

_CHARTS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("helm.sh", "Release"): ("chart",),
    ("helm.toolkit.fluxcd.io", "HelmRelease"): ("spec", "chart", "spec", "chart"),
    ("helm.cattle.io", "HelmChart"): ("spec", "chart"),
    ("argoproj.io", "Application"): ("spec", "source", "chart"),
}


class Settings(RuleSettings):
    """What may be hidden."""

    charts: tuple[str, ...] = ()
    """Charts that may be installed by a release, by the name that it gives them."""


def find(resource: Resource, settings: Settings) -> Results:
    """Refuse a release, unless its chart may be hidden."""
    chart: Node = resource.body.get(*_CHARTS[resource.group, resource.kind])
    if chart.text() not in settings.charts:
        what = f"the chart {chart.shown()}" if chart.exists() else "what it installs"
        yield Finding(
            resource,
            chart.path,
            f"the objects of {what} are seen neither in a preview nor by a rule",
            f"releases of {', '.join(settings.charts) or 'no chart'}",
            "use kubernetes.helm.v4.Chart, or declare the objects",
        )


RULE = Rule(
    name="no-blind-release",
    scope="resource",
    kinds=frozenset(_CHARTS),
    settings=Settings,
    find=find,
    doc=__doc__,
)
