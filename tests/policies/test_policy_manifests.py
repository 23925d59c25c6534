"""The pack on plain manifests: the same verdicts as through the engine, and a sentence for what cannot be read."""

import sys
from datetime import date
from pathlib import Path

import pytest

from policies import manifests
from policies.configuration import Configuration, ConfigurationError, RuleException
from policies.decode import decode
from policies.manifests import ManifestError
from policies.pack import RULES
from policies.rule import Rule
from tests.policies.support import SAMPLES, expected

OBJECT = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["manifests", *map(str, arguments)])
    return manifests.main()


@pytest.mark.parametrize("rule", ["quota-covers-demand", "gpu-runs-image-cuda"])
def test_what_the_engine_would_refuse_is_refused_with_file_and_document(
    rule: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = sorted((SAMPLES / rule / "refused").glob("*.yaml"))
    assert samples
    for sample in samples:
        assert run(monkeypatch, sample) == 1
        told = capsys.readouterr().out
        assert f"mandatory  {rule}  {sample}, document " in told
        assert [line for line in expected(sample) if line not in told] == []


def test_a_folder_is_judged_as_one_and_a_clean_one_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "one.yaml").write_text(f"{OBJECT}---\n---\n{OBJECT}")
    (tmp_path / "below" / "two.json").write_text('{"apiVersion": "v1", "kind": "List", "items": []}')
    (tmp_path / "README.md").write_text("no manifest")
    assert run(monkeypatch, tmp_path) == 0
    assert capsys.readouterr().out.startswith("3 objects, ")


def test_objects_in_a_list_are_judged(tmp_path: Path) -> None:
    sample = (SAMPLES / "gpu-runs-image-cuda" / "refused" / "ray_gpu_image_on_k80.yaml").read_text()
    element = "\n".join(f"    {line}" for line in sample.splitlines() if not line.startswith("#"))
    (tmp_path / "list.yaml").write_text(f"apiVersion: v1\nkind: List\nitems:\n  -\n{element}\n")
    found = manifests.judge(manifests.read([tmp_path]), Configuration())
    assert "gpu-runs-image-cuda" in {each.rule.name for each in found}


def test_the_choices_of_a_stack_hold_where_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one.yaml").write_text(OBJECT)
    assert run(monkeypatch, "--stack", "dev", tmp_path) == 0
    capsys.readouterr()

    def broken(*_: object) -> Configuration:
        raise ConfigurationError("policies/config/dev.json: rules.quta: unknown name")

    monkeypatch.setattr("policies.configuration.load", broken)
    assert run(monkeypatch, "--stack", "dev", tmp_path) == 2
    assert capsys.readouterr().err == "error: policies/config/dev.json: rules.quta: unknown name\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("key: value\n", "document 1 is no Kubernetes object: it has no apiVersion and kind"),
        (f"{OBJECT}---\n- item\n", "document 2 is no Kubernetes object"),
        ("apiVersion: v1\nkind: A\nkind: B\n", "the key 'kind' stands twice"),
        ("{", "expected the node content"),
        ("a: !!python/object/apply:os.system [x]\n", "could not determine a constructor"),
    ],
)
def test_what_cannot_be_read_is_an_error_with_its_file(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(ManifestError) as raised:
        manifests.read([tmp_path, tmp_path / "missing.yaml"])
    first, second = str(raised.value).splitlines()
    assert first.startswith(f"{tmp_path / 'bad.yaml'}: ")
    assert said in first
    assert second.startswith(f"{tmp_path / 'missing.yaml'}: ")


def test_a_folder_without_manifests_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="has no file that ends with"):
        manifests.read([tmp_path])


def test_a_date_is_a_text_as_kubernetes_reads_it(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(f"{OBJECT}data: {{day: 2026-11-20}}\n")
    (request,) = manifests.read([tmp_path])
    assert decode(request.properties)["data"] == {"day": "2026-11-20"}


def test_a_kind_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("apiVersion: v1\nkind: 7\n")
    found = manifests.judge(manifests.read([tmp_path]), Configuration())
    assert {each.message.split(":")[0] for each in found} == {"undecided"}


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.asks_program], ids=lambda rule: rule.name)
def test_what_only_a_program_can_say_is_not_asked_of_manifests(rule: Rule, tmp_path: Path) -> None:
    sample = next(
        path for path in sorted((SAMPLES / rule.name / "refused").glob("*.yaml")) if "pulumi: {" not in path.read_text()
    )
    (tmp_path / "one.yaml").write_text(sample.read_text())
    exception = RuleException(
        rule=rule.name, resource="Any/thing", reason="of the program", owner="platform", expires=date(2027, 3, 31)
    )
    found = manifests.judge(manifests.read([tmp_path]), Configuration(exceptions=(exception,)))
    assert rule.name not in {each.rule.name for each in found}
