"""The objects of the benchmark: there are enough of them, they are the real ones, and the ways get the same ones."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import by_conftest, by_pack, corpus
from bench.by_conftest import SHARED
from bench.by_pack import asking
from policies.pack import RULES
from sandbox.tools import Toolbox
from tests.policies.support import SECRET_SIGNATURE, UNKNOWN_STRING


@pytest.fixture(scope="module", params=corpus.STACKS)
def program(request: pytest.FixtureRequest) -> corpus.Corpus:
    return corpus.program(request.param)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return corpus.write(corpus.of_samples(), tmp_path_factory.mktemp("corpus") / "samples")


def test_a_program_is_asked_about_as_a_whole_and_breaks_no_rule(program: corpus.Corpus) -> None:
    assert len(program.resources) > program.objects > 50
    assert asking(by_pack.pack(program.stack), program.resources)() == 0


def test_the_pack_that_is_measured_finds_what_is_wrong(samples: list[Path]) -> None:
    found = corpus.of_files("samples", samples)
    alone = asking(by_pack.pack(), found.resources, stack=False)()
    assert alone > 500
    assert asking(by_pack.pack(), found.resources)() > alone


def test_what_would_stop_an_update_stops_the_benchmark(program: corpus.Corpus) -> None:
    def crash(*_: object) -> Any:
        raise ZeroDivisionError

    (rule, *_) = (each for each in RULES if each.scope == "resource")
    broken = replace(rule, find=crash)
    with pytest.raises(RuntimeError, match=f"INTERNAL: rule {rule.name} failed"):
        asking(by_pack.pack(rules=(broken,)), program.resources)()


def test_manifests_of_a_program_are_plain(program: corpus.Corpus) -> None:
    found = corpus.of_program(program)
    assert len(found) == program.objects
    kinds = Counter(each["kind"] for each in found)
    assert {"Deployment", "RayCluster", "Secret", "NetworkPolicy"} <= kinds.keys()
    text = json.dumps(found)
    assert SECRET_SIGNATURE not in text
    assert UNKNOWN_STRING not in text


def test_every_rule_that_is_compared_is_broken_and_kept_by_many_samples(samples: list[Path]) -> None:
    found, unread = by_pack.verdicts(samples, SHARED)
    assert len(samples) > 500
    broken = Counter(rule for rule, _ in {(each.rule, each.file) for each in found})
    assert set(broken) == {rule.name for rule in SHARED}
    for rule in SHARED:
        assert 3 <= broken[rule.name] < len(samples) - 50, rule.name
    assert len(unread) < 10


def test_at_least_four_rules_are_written_in_rego_and_each_says_its_own_name() -> None:
    files = {file.stem.replace("_", "-") for file in by_conftest.REGO.glob("*.rego")}
    names = {rule.name for rule in SHARED}
    assert files == names | {"pods"}
    assert len(names) >= 4
    assert {rule.scope for rule in SHARED} == {"resource"}
    for name in names:
        text = (by_conftest.REGO / f"{name.replace('-', '_')}.rego").read_text()
        assert text.count(f'"rule": "{name}"') == text.count("deny contains") > 0


def test_the_huge_crd_is_kuberays(toolbox: Toolbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(corpus, "install", lambda _: toolbox)
    (file,) = corpus.write(corpus.crd(), tmp_path / "huge")
    assert json.loads(file.read_text())["metadata"]["name"] == "rayjobs.ray.io"
    assert file.stat().st_size > 400_000
