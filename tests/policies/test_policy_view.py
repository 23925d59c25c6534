"""How a rule reads a body: by paths, through secrets, and never past what is unknown or of a wrong shape."""

import pytest

from policies.decode import UNKNOWN, Secret
from policies.pack import RULES
from policies.rule import Rule
from policies.view import Malformed, Node, Resource, Undecided, Unreadable

BODY = Node({"spec": {"template": {"a.b/c": 1}, "hidden": Secret({"key": Secret("value")}), "unknown": UNKNOWN}})


def test_a_path_is_read_in_one_step_or_in_many() -> None:
    assert BODY.get("spec", "template", "a.b/c") == BODY.get("spec").get("template").get("a.b/c")
    assert BODY.get("spec", "template", "a.b/c") == Node(1, 'spec.template["a.b/c"]')
    assert BODY.get() == BODY


def test_what_is_absent_is_read_as_nothing_with_its_path() -> None:
    assert BODY.get("spec", "none", "below") == Node(None, "spec.none.below")


def test_what_is_read_through_a_secret_stays_one() -> None:
    node = BODY.get("spec", "hidden", "key")
    assert (node.text(), node.hidden, node.shown()) == ("value", True, "[secret]")
    assert BODY.get("spec").mapping()["hidden"].get("none").hidden


@pytest.mark.parametrize(("keys", "error", "path"), [
    (("spec", "unknown", "below", "further"), Undecided, "spec.unknown"),
    (("spec", "template", "a.b/c", "below"), Malformed, 'spec.template["a.b/c"]'),
])  # fmt: skip
def test_a_path_ends_where_nothing_can_be_read(keys: tuple[str, ...], error: type[Unreadable], path: str) -> None:
    with pytest.raises(error) as raised:
        BODY.get(*keys)
    assert raised.value.path == path


def test_a_kind_that_cannot_be_read_is_told_each_time() -> None:
    resource = Resource("urn", "kubernetes:apps/v1:Deployment", Node({"kind": UNKNOWN, "metadata": {"name": "a"}}))
    for _ in range(2):
        with pytest.raises(Undecided):
            _ = resource.kind
    assert (resource.group, resource.identity) == ("apps", "?/a")


def test_what_is_remembered_of_a_resource_is_no_part_of_it() -> None:
    asked, other = (Resource("urn", "kubernetes:core/v1:Pod", Node({"kind": "Pod"})) for _ in range(2))
    assert (asked.kind, asked.group, asked.namespace) == ("Pod", "", "default")
    assert asked == other


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_defaults_of_a_rule_are_made_once_and_stay_as_they_are(rule: Rule) -> None:
    assert rule.defaults is rule.defaults
    assert rule.defaults == rule.settings()
    for field in type(rule.defaults).model_fields:
        with pytest.raises(ValueError, match="frozen"):
            setattr(rule.defaults, field, None)
