"""Every rule against its samples, and the completeness of both."""

from pathlib import Path

import pytest

from policies import pods
from policies.judge import Diagnostic
from policies.pack import RULES
from policies.rule import Rule
from tests.policies.support import POLICIES, SAMPLES, configured, expected, judge, manifests, rule_named

LEAST = {"allowed": 2, "refused": 2, "undecided": 1, "malformed": 1}
READS_NO_PODS = frozenset(
    {
        "apply-mode",
        "await-honest",
        "crd-first",
        "credential-source",
        "default-credential",
        "no-blind-release",
        "quota-fits-cluster",
        "rbac-min",
    }
)
"""Rules for which a custom resource's pod template means nothing."""


def samples(verdict: str) -> list[Path]:
    return sorted(SAMPLES.glob(f"*/{verdict}/*.yaml"))


def name(path: Path) -> str:
    return f"{path.parts[-3]}-{path.stem}"


def gaps(rule_files: list[Path], rules: tuple[Rule, ...], folder: Path) -> list[str]:
    """What is missing for every rule file to be a rule of the pack with samples."""
    packed = {rule.name for rule in rules}
    names = [path.stem.replace("_", "-") for path in rule_files]
    found = [f"{one}: not in the pack" for one in names if one not in packed]
    found += [f"{one}: no file of that name" for one in packed if one not in names]
    for one in names:
        for verdict, least in LEAST.items():
            count = len(list((folder / one / verdict).glob("*.yaml")))
            if count < least:
                found.append(f"{one}: {count} samples in {verdict}, needs {least}")
    return found


def rule_files() -> list[Path]:
    return [path for path in POLICIES.glob("rules/*/*.py") if path.stem != "__init__"]


def test_every_rule_file_is_in_the_pack_and_has_samples() -> None:
    assert len(rule_files()) >= 2
    assert gaps(rule_files(), RULES, SAMPLES) == []


def test_a_rule_without_an_entry_or_samples_is_noticed(tmp_path: Path) -> None:
    assert "new-rule: not in the pack" in gaps([tmp_path / "new_rule.py"], RULES, SAMPLES)
    assert "new-rule: 0 samples in refused, needs 2" in gaps([tmp_path / "new_rule.py"], RULES, tmp_path)
    assert "quota-covers-demand: no file of that name" in gaps([], RULES, SAMPLES)


def test_every_sample_belongs_to_a_rule() -> None:
    assert {path.name for path in SAMPLES.iterdir()} == {rule.name for rule in RULES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_says_what_it_restricts_what_it_allows_and_why(rule: Rule) -> None:
    assert rule.doc
    assert all(word in rule.doc for word in ("Restricted fields:", "Allowed values:", "Why:"))
    assert rule.description.endswith(".")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_has_a_sample_with_a_custom_resource(rule: Rule) -> None:
    texts = [path.read_text() for path in (SAMPLES / rule.name).rglob("*.yaml")]
    assert any("apiVersion: ray.io/v1" in text for text in texts) or rule.name in READS_NO_PODS
    assert bool(rule.kinds & pods.KINDS) is (rule.name not in READS_NO_PODS)


def found_in(path: Path, *, preview: bool = False) -> list[Diagnostic]:
    rule = rule_named(path.parts[-3])
    return judge(rule, manifests(path), configured(path, rule), preview=preview)


@pytest.mark.parametrize("path", samples("allowed"), ids=name)
def test_an_allowed_sample_has_no_violation(path: Path) -> None:
    assert found_in(path) == []


@pytest.mark.parametrize("path", samples("refused"), ids=name)
def test_a_refused_sample_is_refused_with_its_message(path: Path) -> None:
    found = found_in(path)
    text = "\n".join(each.message for each in found)
    assert {each.level for each in found} == {"mandatory"}
    assert expected(path)
    assert [line for line in expected(path) if line not in text] == [], text
    assert "Fix: " in text


@pytest.mark.parametrize("path", samples("undecided"), ids=name)
def test_an_undecided_sample_warns_in_a_preview_and_is_an_error_in_a_strict_update(path: Path) -> None:
    for preview, level in ((True, "advisory"), (False, "mandatory")):
        found = found_in(path, preview=preview)
        text = "\n".join(each.message for each in found)
        assert {each.level for each in found if each.message.startswith("undecided")} == {level}
        assert [line for line in expected(path) if line not in text] == [], text


@pytest.mark.parametrize("path", samples("malformed"), ids=name)
def test_a_malformed_sample_is_a_violation(path: Path) -> None:
    found = found_in(path, preview=True)
    assert {each.level for each in found} == {"mandatory"}
    assert [line for line in expected(path) if line not in found[0].message] == [], found[0].message
