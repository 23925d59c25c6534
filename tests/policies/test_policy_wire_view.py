"""Which resources of a request a rule sees, how much of them, and what it may know of the engine's plan."""

from typing import Any

import pytest

from policies.decode import UNKNOWN, Secret
from policies.rule import ANY
from policies.view import Stack
from policies.wire_view import kind_is_unreadable, order, resources
from tests.policies.support import Manifest, request, stack_request

PROVIDER = ("pulumi:providers", "kubernetes")
RELEASE = ("helm.sh", "Release")
POD = ("", "Pod")
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "rayclusters.ray.io"},
    "spec": {"group": "ray.io"},
}


def seen(manifest: Manifest, *wanted: tuple[str, str]) -> list[tuple[str, str, str]]:
    found = resources(request(manifest), frozenset(wanted))
    return [(each.group, each.kind, each.identity) for each in found]


def typed(token: str, **properties: Any) -> Manifest:
    return {"pulumi": {"type": token, "name": "it"}, **properties}


def test_what_is_no_kubernetes_object_has_the_kind_of_its_token() -> None:
    provider = typed("pulumi:providers:kubernetes", enableServerSideApply="true")
    release = typed("kubernetes:helm.sh/v3:Release", chart="minio")
    assert seen(provider, PROVIDER) == [(*PROVIDER, "kubernetes/it")]
    assert seen(release, RELEASE) == [(*RELEASE, "Release/it")]
    assert seen(provider, POD, ANY) == seen(release, POD) == []


@pytest.mark.parametrize(
    ("token", "kind"),
    [("kubernetes:core/v1:Pod", POD), ("kubernetes:apps/v1:Deployment", ("apps", "Deployment"))],
)
def test_a_body_that_does_not_say_what_it_is_does_not_hide_it(token: str, kind: tuple[str, str]) -> None:
    assert seen(typed(token, spec={}), kind) == [(*kind, f"{kind[1]}/it")]
    assert seen(typed(token, spec={}, kind=kind[1]), kind) == [(*kind, f"{kind[1]}/it")]


@pytest.mark.parametrize("fields", [{"kind": UNKNOWN}, {"apiVersion": UNKNOWN}, {"kind": UNKNOWN, "apiVersion": "v1"}])
def test_a_kind_that_cannot_be_read_is_told_and_not_passed_over(fields: Manifest) -> None:
    assert kind_is_unreadable(request(typed("kubernetes:core/v1:Pod", **fields)))
    assert not kind_is_unreadable(request(typed("kubernetes:core/v1:Pod", kind="Pod", apiVersion="v1")))
    assert not kind_is_unreadable(request(typed("aws:s3:Bucket", kind=UNKNOWN)))


def test_of_a_kind_that_no_rule_names_only_the_outline_is_decoded() -> None:
    (outline,) = resources(request(CRD), frozenset({ANY, POD}))
    assert outline.body.raw == {key: CRD[key] for key in ("apiVersion", "kind", "metadata")}
    (whole,) = resources(request(CRD), frozenset({ANY, ("apiextensions.k8s.io", "CustomResourceDefinition")}))
    assert whole.body.raw == CRD


def test_the_outline_of_a_secret_holds_none_of_its_values() -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s"},
        "stringData": Secret({"token": "hidden"}),
    }
    (outline,) = resources(request(secret), frozenset({ANY}))
    assert "stringData" not in outline.body.mapping()


def test_elements_of_a_list_are_objects_for_a_rule_that_wants_any() -> None:
    items = [{"metadata": {"name": "a"}}, CRD]
    typed_list = {"apiVersion": "v1", "kind": "ConfigMapList", "items": items}
    assert seen(typed_list, ANY)[0] == ("", "ConfigMap", "ConfigMap/a")
    assert seen({"apiVersion": "v1", "kind": "List", "items": items[1:]}, ANY)[0][1] == "CustomResourceDefinition"


def test_a_custom_resource_whose_kind_ends_like_a_list_is_itself() -> None:
    custom = {"apiVersion": "example.com/v1", "kind": "AllowList", "metadata": {"name": "a"}, "spec": {}}
    assert seen(custom, ANY) == [("example.com", "AllowList", "AllowList/a")]


def test_what_the_program_asked_of_the_engine_is_passed_on() -> None:
    asked = {"protect": True, "timeouts": {"create": 60, "update": 120, "delete": 180}}
    (found,) = resources(request(CRD | {"pulumi": asked}), frozenset({ANY}))
    options = found.options
    bounds = (options.create_timeout_seconds, options.update_timeout_seconds, options.delete_timeout_seconds)
    assert (options.protect, *bounds) == (True, 60, 120, 180)


def test_a_resource_comes_after_what_it_depends_on_and_after_what_its_parents_depend_on() -> None:
    made = [
        CRD | {"pulumi": {"name": "crd"}},
        typed("example:index:Component") | {"pulumi": {"type": "a:b:C", "name": "component", "after": ["crd"]}},
        CRD | {"pulumi": {"name": "child", "parent": "component"}},
        CRD | {"pulumi": {"name": "grandchild", "after": ["child"]}},
        CRD | {"pulumi": {"name": "other"}},
    ]
    wire = stack_request(made)
    stack = Stack(tuple(each for one in wire for each in resources(one, frozenset({ANY}))), order(wire))
    by_name = {each.logical_name: each for each in stack.resources}
    assert set(by_name) == {"crd", "child", "grandchild", "other"}
    later = {name for name, each in by_name.items() if stack.comes_after(each, by_name["crd"])}
    assert later == {"child", "grandchild"}
    assert not stack.comes_after(by_name["crd"], by_name["grandchild"])
