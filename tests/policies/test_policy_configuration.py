"""The configuration files of the stacks, and every way in which one can be wrong."""

import json
from fractions import Fraction
from pathlib import Path

import pytest
import yaml

from policies import quantity
from policies.configuration import Configuration, ConfigurationError, load
from policies.pack import RULES
from policies.rules.quota.quota_covers_demand import Settings
from tests.policies.support import POLICIES, rule_named

EXCEPTION = {
    "rule": "quota-covers-demand",
    "resource": "Pod/ns/a",
    "reason": "a reason that tells",
    "owner": "me",
    "expires": "2027-01-01",
}


def mistake(folder: Path, content: object) -> str:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "test.json").write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        load(folder, "test", RULES)
    return str(refused.value)


@pytest.mark.parametrize("path", sorted((POLICIES / "config").glob("*.json")), ids=lambda path: path.stem)
def test_the_files_of_the_stacks_are_valid_and_name_every_rule(path: Path) -> None:
    found = load(path.parent, path.stem, RULES)
    assert set(found.levels) == {rule.name for rule in RULES}


def test_production_is_strict_and_every_rule_mandatory() -> None:
    found = load(POLICIES / "config", "prod", RULES)
    assert found.strict
    assert {found.level(rule) for rule in RULES} == {"mandatory"}


def test_a_stack_without_a_file_is_strict_with_default_settings(tmp_path: Path) -> None:
    found = load(tmp_path, "nobody", RULES)
    assert found == Configuration()
    assert found.strict
    assert {found.level(rule) for rule in RULES} == {"mandatory"}
    assert found.of(rule_named("quota-covers-demand")) == Settings()


def test_a_stack_may_be_named_with_its_organisation(tmp_path: Path) -> None:
    (tmp_path / "dev.json").write_text('{"strict": false}')
    assert not load(tmp_path, "organization/ml-platform/dev", RULES).strict


def test_settings_are_read_by_their_names_in_the_file(tmp_path: Path) -> None:
    settings = {"headroom": 0.25, "injectedNamespaces": ["a"], "proxy": {"limits": {"cpu": "1", "memory": "1Gi"}}}
    (tmp_path / "test.json").write_text(json.dumps({"rules": {"quota-covers-demand": {"settings": settings}}}))
    found = load(tmp_path, "test", RULES).of(rule_named("quota-covers-demand"))
    assert isinstance(found, Settings)
    assert (found.headroom, found.injected_namespaces, found.proxy.limits.cpu) == (0.25, ("a",), "1")


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ({"strickt": True}, ["strickt", "did you mean 'strict'?", "Allowed: exceptions, rules, strict"]),
        ({"rules": {"quota-covers-demnd": {}}}, ["rules.quota-covers-demnd", "'quota-covers-demand'?"]),
        ({"rules": {"quota-covers-demand": {"levle": "advisory"}}}, ["levle", "Allowed: level, settings"]),
        ({"rules": {"quota-covers-demand": {"level": "hard"}}}, ["quota-covers-demand.level", "'mandatory'"]),
        (
            {"rules": {"quota-covers-demand": {"settings": {"headrom": 1}}}},
            ["rules.quota-covers-demand.settings.headrom", "'headroom'?", "injectedNamespaces"],
        ),
        (
            {"rules": {"quota-covers-demand": {"settings": {"proxy": {"limit": {}}}}}},
            ["settings.proxy.limit", "Allowed: limits, requests"],
        ),
        (
            {"rules": {"gpu-runs-image-cuda": {"settings": {"models": {"K80": {"newst": "11"}}}}}},
            ["settings.models.K80.newst", "Allowed: newest, oldest"],
        ),
        ({"rules": {"quota-covers-demand": {"settings": {"headroom": 2}}}}, ["headroom", "less than 1"]),
        ({"rules": {"quota-covers-demand": {"settings": {"nodes": "x"}}}}, ["nodes", "integer"]),
        ({"exceptions": [EXCEPTION | {"rule": "quota"}]}, ["exceptions.0.rule", "unknown name 'quota'"]),
        ({"exceptions": [EXCEPTION | {"until": "x"}]}, ["exceptions.0.until", "Allowed: expires, owner"]),
        ({"exceptions": [EXCEPTION | {"expires": "soon"}]}, ["exceptions.0.expires", "date"]),
        ({"exceptions": [EXCEPTION | {"reason": ""}]}, ["exceptions.0.reason"]),
        ({"exceptions": [{"rule": "quota-covers-demand"}]}, ["exceptions.0.owner", "exceptions.0.reason"]),
        ([], ["test.json"]),
        ('{"strict": true, "strict": false}', ["'strict' stands twice"]),
        ("{", ["this is not JSON"]),
    ],
)
def test_a_mistake_names_file_key_and_what_is_allowed(tmp_path: Path, content: object, parts: list[str]) -> None:
    message = mistake(tmp_path, content)
    assert "/test.json: " in message
    assert [part for part in parts if part not in message] == [], message


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    wrong = {"settings": {"headrom": 1, "node": 1}}
    message = mistake(tmp_path, {"rules": {"quota-covers-demand": wrong, "quota": {}}})
    assert len(message.splitlines()) == 3


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_capacity_is_that_of_the_simulated_cluster(stack: str) -> None:
    """`sandbox/nodes.yaml` has the cluster of the reports (`docs/requirements.md` Q2)."""
    nodes = list(yaml.safe_load_all((POLICIES.parent / "sandbox" / "nodes.yaml").read_text()))
    there = [node["status"]["allocatable"] for node in nodes]

    def whole(name: str) -> Fraction:
        return sum((quantity.parse(one[name]) for one in there if name in one), Fraction(0))

    rules = json.loads((POLICIES / "config" / f"{stack}.json").read_text())["rules"]
    allocatable = rules["quota-fits-cluster"]["settings"]["allocatable"]
    assert {name: quantity.parse(text) for name, text in allocatable.items()} == {
        name: whole(name) for name in ("cpu", "memory")
    }
    assert rules["gpu-quota"]["settings"]["capacity"] == {"nvidia.com/gpu": whole("nvidia.com/gpu")}
    assert rules["quota-covers-demand"]["settings"]["nodes"] == rules["storage-sum"]["settings"]["nodes"] == len(nodes)


def test_an_amount_that_is_no_quantity_is_refused_with_its_key(tmp_path: Path) -> None:
    chosen = {"rules": {"quota-fits-cluster": {"settings": {"allocatable": {"cpu": "plenty"}}}}}
    (tmp_path / "dev.json").write_text(json.dumps(chosen))
    with pytest.raises(ConfigurationError, match=r"quota-fits-cluster\.settings\.allocatable: .*expected a quantity"):
        load(tmp_path, "dev", RULES)
