"""The pack on plain manifests, for those who deploy without Pulumi: `python -m policies.manifests FILE...`.

Every object takes the way that it takes from the engine, so a rule sees the same in both. Exit status: 0 where no
mandatory rule is broken, 1 where one is, 2 where a file cannot be read.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from policies import configuration, wire_view
from policies.configuration import Configuration, ConfigurationError
from policies.judge import Diagnostic, Judge
from policies.pack import RULES
from policies.view import Resource, Stack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pulumi.runtime.proto.analyzer_pb2 import AnalyzeRequest

_ENDINGS: Final = (".yaml", ".yml", ".json")
JUDGING: Final = tuple(rule for rule in RULES if not rule.asks_program)
"""The rules that can judge plain manifests."""
_WANTED: Final = frozenset(kind for rule in JUDGING for kind in rule.kinds)


class ManifestError(Exception):
    """Files cannot be read; each line of the message names a file, a document, and what is wrong."""


class _Loader(yaml.SafeLoader):
    """YAML as Kubernetes reads it: a date is a text, and a key that stands twice is a mistake."""

    yaml_implicit_resolvers = {  # noqa: RUF012 the library's own way
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [key.value for key, _ in node.value]
    if twice := sorted({key for key in keys if isinstance(key, str) and keys.count(key) > 1}):
        raise yaml.constructor.ConstructorError(None, None, f"the key {twice[0]!r} stands twice", node.start_mark)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def read(paths: Iterable[Path]) -> list[AnalyzeRequest]:
    """Every object in files and folders, as the engine would ask about it; its URN says where it stands.

    Raises:
        ManifestError: with everything that is wrong.
    """
    found: list[AnalyzeRequest] = []
    problems: list[str] = []
    for path in paths:
        files = sorted(each for each in path.rglob("*") if each.suffix in _ENDINGS) if path.is_dir() else [path]
        if not files:
            problems.append(f"{path}: has no file that ends with {', '.join(_ENDINGS)}")
        for file in files:
            try:
                found += _requests(file)
            except (ManifestError, OSError, UnicodeDecodeError, ValueError, yaml.YAMLError) as error:
                problems.append(f"{file}: {' '.join(str(error).split())}")
    if problems:
        raise ManifestError("\n".join(problems))
    return found


def judge(requests: Iterable[AnalyzeRequest], choice: Configuration) -> list[Diagnostic]:
    """What the pack finds in all of them together; there is no update to come, so nothing is left for later."""
    judges = Judge(JUDGING, choice, preview=False, today=datetime.now(UTC).date())
    found: list[Diagnostic] = []
    resources: list[Resource] = []
    for request in requests:
        resources += wire_view.resources(request, _WANTED)
        if wire_view.kind_is_unreadable(request):
            found += judges.unreadable_kind(wire_view.whole(request))
    for resource in resources:
        found += judges.resource(resource)
    return [*found, *judges.stack(Stack(tuple(resources)))]


def show(found: Iterable[Diagnostic]) -> Iterator[str]:
    """Each finding as two lines for people, the mandatory ones last, where they are seen."""
    for each in sorted(found, key=lambda one: (one.level == "mandatory", one.rule.name)):
        where = each.urn.partition("::")[2].rpartition("::")[0] or "all files together"
        yield f"{each.level}  {each.rule.name}  {where}\n    {each.message}"


def main() -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m policies.manifests", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, help="manifests, or folders of them")
    parser.add_argument("--stack", default="", help="whose levels, settings and exceptions hold; the defaults if none")
    args = parser.parse_args()
    try:
        requests = read(args.files)
        choice = Configuration()
        if args.stack:
            choice = configuration.load(Path(__file__).with_name("config"), args.stack, RULES)
    except (ConfigurationError, ManifestError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    found = judge(requests, choice)
    for line in show(found):
        sys.stdout.write(f"{line}\n")
    refused = sum(each.level == "mandatory" for each in found)
    told = (
        f"{len(requests)} objects, {len(JUDGING)} rules: {refused} mandatory findings, {len(found) - refused} remarks"
    )
    sys.stdout.write(f"{told}\n")
    return 1 if refused else 0


def _requests(file: Path) -> Iterator[AnalyzeRequest]:
    with file.open(encoding="utf-8") as text:
        for number, document in enumerate(yaml.load_all(text, _Loader), 1):
            if document is None:
                continue
            if not isinstance(document, dict) or not {"apiVersion", "kind"} <= document.keys():
                raise ManifestError(f"document {number} is no Kubernetes object: it has no apiVersion and kind")
            yield wire_view.asked(document, f"urn:pulumi:manifests::{file}, document {number}")


if __name__ == "__main__":
    sys.exit(main())
