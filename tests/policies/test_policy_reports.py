"""The pack refuses what the reports built: each of their faults by name, and for that reason."""

import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from policies import manifests
from policies.pack import RULES
from tests.policies import reported
from tests.policies.reported import FOLDER, STATES, Fault, Gap
from tests.policies.reported_faults import FAULTS, GAPS

TAGS = {("R1", "image-pinned"), ("R6", "image-pinned"), ("M1", "image-pinned")}


def name(each: Fault | Gap) -> str:
    return f"{each.requirement} {each.what}"


@pytest.mark.parametrize("fault", FAULTS, ids=name)
def test_a_fault_of_the_reports_is_told_until_it_is_repaired(fault: Fault) -> None:
    assert len(reported.told(fault)) == 1
    objects = reported.documents(fault.state)
    for repair in (fault.behind, fault.repair):
        if repair:
            repair(objects)
    found = reported.judged(objects)
    assert fault.is_told_by(found) == []
    # The repair leaves everything readable, so the rule has judged and not given up.
    unread = {each.message for each in found if each.unreadable}
    assert unread == {each.message for each in reported.verdict(fault.state) if each.unreadable}


@pytest.mark.parametrize(
    ("stack", "allowed"),
    [
        ("dev", {*TAGS, ("Q1", "quota-covers-demand")}),
        ("prod", {*TAGS, ("M6", "exposure"), ("G1", "exposure")}),
    ],
)
def test_the_choices_of_a_stack_allow_these_faults_alone(stack: str, allowed: set[tuple[str, str]]) -> None:
    """Tags are enough for both; dev keeps nothing of a quota free; prod has a gateway before MLflow and Feast."""
    silent = {
        (fault.requirement, fault.rule)
        for fault in FAULTS
        if not fault.behind and not fault.is_told_by(reported.verdict(fault.state, stack))
    }
    assert silent == allowed


def test_more_than_half_of_what_the_quota_has_to_cover_is_for_sidecars() -> None:
    def demand(*repairs: reported.Repair) -> float:
        quota = "ResourceQuota/data-platform/data-platform-quota"
        objects = reported.documents("earlier")
        for repair in (reported.put(quota, "spec", "hard", "limits.cpu", to="10"), *repairs):
            repair(objects)
        told = [each.message for each in reported.judged(objects) if each.rule.name == "quota-covers-demand"]
        found = re.search(r"demand at maximum scale is ([0-9.]+) CPU", "\n".join(told))
        assert found, told
        return float(found[1])

    # A small sidecar may use 200m, a usual one 2 CPUs: nine tenths of its share are what is saved.
    usual, small = demand(), demand(reported.small_sidecars)
    assert (usual - small) / 0.9 > usual / 2


@pytest.mark.parametrize("gap", [gap for gap in GAPS if gap.place], ids=name)
def test_what_is_listed_as_not_caught_is_not_caught(gap: Gap) -> None:
    known = {rule.name for rule in RULES}
    assert known >= {*gap.rules}
    found = [
        each.message
        for each in reported.verdict(gap.state)
        if each.message.startswith(gap.place) and each.rule.name in (gap.rules or known)
    ]
    assert found == [], "a rule catches it now: move it from GAPS to FAULTS"


@pytest.mark.parametrize("state", STATES)
def test_every_state_is_refused_as_a_folder(
    state: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [str(FOLDER / folder) for folder in STATES[state]]
    monkeypatch.setattr(sys, "argv", ["manifests", *folders])
    assert manifests.main() == 1
    told = Counter(re.findall(r"^mandatory  ([a-z0-9-]+)  ", capsys.readouterr().out, re.MULTILINE))
    assert told == Counter(each.rule.name for each in reported.verdict(state))
    assert {fault.rule for fault in FAULTS if fault.state == state and not fault.behind} <= told.keys()


@pytest.mark.parametrize("state", STATES)
def test_everything_is_readable_but_the_size_of_the_cluster(state: str) -> None:
    assert {each.rule.name for each in reported.verdict(state) if each.unreadable} == {"quota-fits-cluster"}


@pytest.mark.parametrize("state", STATES)
def test_every_place_that_is_named_is_an_object(state: str) -> None:
    objects = reported.documents(state).keys()
    places = [each.place for each in (*FAULTS, *GAPS) if each.state == state and each.place]
    assert [place for place in places if place.split(" ")[0] not in objects] == []


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*/*.yaml")), ids=lambda file: f"{file.parent.name}/{file.name}")
def test_each_object_says_which_report_it_is_from(file: Path) -> None:
    for document in file.read_text().split("\n---\n"):
        assert re.match(r"# Reports? 00[0-4][ ,]", document), document.splitlines()[0]
