"""Which pods Istio gives a sidecar.

Source: istio manifests/charts/istio-control/istio-discovery/templates/mutatingwebhook.yaml (what the webhook sees) and
pkg/kube/inject/inject.go, injectRequired (what it does), with the chart's defaults: namespaces that say nothing are not
injected. Of the two labels of a namespace `istio-injection` is the stronger one, of label and annotation of a pod the
label, and of both only "true" and "false" count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from policies.pods import PodTemplate
    from policies.view import Resource

NAMESPACE_LABEL: Final = "istio-injection"
REVISION_LABEL: Final = "istio.io/rev"
"""Of a namespace or a pod: the revision of Istio that injects it."""
POD_LABEL: Final = "sidecar.istio.io/inject"
"""Also the name of an annotation, which is deprecated."""
NEVER: Final = ("kube-system", "kube-public", "kube-node-lease", "local-path-storage")
"""Namespaces in which nothing is injected: IgnoredNamespaces in inject.go."""


def of_namespace(namespace: Resource) -> str:
    """`enabled`, empty where the namespace leaves it to its pods, or whatever else its label says, which is no."""
    if namespace.name in NEVER:
        return "disabled"
    labels = namespace.body.get("metadata", "labels")
    said = labels.get(NAMESPACE_LABEL)
    if said.exists():
        return said.text() or "disabled"
    return "enabled" if labels.get(REVISION_LABEL).exists() else ""


def is_injected(template: PodTemplate, injection: str) -> bool:
    """Whether pods of a template get a sidecar, in a namespace with such an `injection`."""
    if template.spec.get("hostNetwork").flag():
        return False
    label = template.label(POD_LABEL)
    asked = label.text() if label.exists() else template.annotation(POD_LABEL).text()
    if injection == "enabled":
        return asked != "false"
    return not injection and asked != "false" and (label.text() == "true" or template.label(REVISION_LABEL).exists())
