"""Reference pages, written from the code: what can be configured, what is published, who may talk to whom."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from components.kube.access import Access, AccessTable, Neighbour, Workload
from policies.rule import ANY, Rule
from tests.policies.reported import Fault, Gap


@dataclass(frozen=True)
class Sample:
    """Manifests, and what a policy says of them."""

    title: str
    text: str
    messages: tuple[str, ...] = ()


def page(title: str, lead: str, model: type[BaseModel], prefix: str) -> str:
    """A Markdown page with a table for each model that `model` is made of.

    Args:
        title: of the page.
        lead: the paragraph under it.
        model: whose fields are described.
        prefix: what stands before every key.
    """
    return "\n".join([f"# {title}\n\n{lead}\n", *_tables(title, model, prefix)])


def _tables(title: str, model: type[BaseModel], prefix: str) -> Iterator[str]:
    schema = model.model_json_schema(by_alias=True)
    open_ones: list[tuple[str, dict[str, Any]]] = [(prefix, schema)]
    while open_ones:
        path, node = open_ones.pop(0)
        rows = []
        for name, field in node.get("properties", {}).items():
            rows.append(_row(path + name, field))
            for suffix, inner in _models(field):
                open_ones.append((f"{path}{name}{suffix}.", schema["$defs"][inner]))
        heading = path.rstrip(".:") or title
        described = node.get("description", "").split("\n\n")[0].replace("\n", " ")
        table = "| key | form | default | meaning |\n|---|---|---|---|\n" + "\n".join(rows)
        yield f"## `{heading}`\n\n{described}\n\n{table}\n"


def _row(key: str, field: dict[str, Any]) -> str:
    default = json.dumps(field["default"]) if "default" in field else "required"
    shown = "see below" if default.startswith(("{", "[{")) else f"`{default}`" if default != "required" else default
    meaning = field.get("description", "").replace("\n", " ").replace("|", "\\|")
    return f"| `{key}` | {_form(field)} | {shown} | {meaning} |"


def _form(field: dict[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if "anyOf" in field:
        return " or ".join(_form(option) for option in field["anyOf"])
    if "$ref" in field:
        return "map"
    if field.get("type") == "array":
        return f"list of {_form(field.get('items', {}))}"
    bounds = [f"{word} {field[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in field]
    names = {
        "string": "text",
        "object": "map of text",
        "null": "nothing",
        "integer": "number",
        "boolean": "true or false",
    }
    return " ".join([names.get(str(field.get("type")), str(field.get("type"))), *bounds])


def _models(field: dict[str, Any]) -> list[tuple[str, str]]:
    found = [("", field)] + [("", option) for option in field.get("anyOf", [])]
    found += [("[]", field["items"])] if "items" in field else []
    return [(suffix, option["$ref"].rsplit("/", 1)[1]) for suffix, option in found if "$ref" in option]


def access(tables: Mapping[str, AccessTable]) -> str:
    """A Markdown page of the access table of each stack: as a picture, and as a table."""
    lead = (
        "Who may talk to whom, written by `make golden` from `components/access.py`, where it is decided, and from "
        "`ml-platform:mesh` of each stack. What has no row is denied. NetworkPolicies and AuthorizationPolicies are "
        "made from the same rows: a pod is known to the network by its labels, to a sidecar by its service account."
    )
    parts = [f"# Access table\n\n{lead}\n"]
    for stack, table in tables.items():
        edges = sorted({f"  {_node(row.source)} --> {_node(row.target)}" for row in table.rows})
        parts.append(f"## {stack}\n\n```mermaid\nflowchart LR\n" + "\n".join(edges) + "\n```\n")
        rows = [f"| {row.source} | {row.target} | {_row_ports(table, row)} | {row.why} |" for row in table.rows]
        parts.append("| source | target | ports | why |\n|---|---|---|---|\n" + "\n".join(rows) + "\n")
        ends = [f"| {end.name} | {_who(end)} | {', '.join(end.accounts)} |" for end in table.ends]
        parts.append("| name | who that is | service account |\n|---|---|---|\n" + "\n".join(ends) + "\n")
    return "\n".join(parts)


def _node(name: str) -> str:
    """Mermaid takes some words, such as `end`, for its own where they stand alone."""
    return f'{name}["{name}"]'


def _row_ports(table: AccessTable, row: Access) -> str:
    return ", ".join(f"{name} {table.port(row, name)}" for name in row.ports)


def _who(end: Workload | Neighbour) -> str:
    if isinstance(end, Workload):
        return f"pods with {_labels(end.selector)}"
    found = [f"`{cidr}`" for cidr in end.cidrs]
    if end.namespace:
        found.append(f"pods of `{end.namespace}`" + (f" with {_labels(end.labels)}" if end.labels else ""))
    return ", ".join(found) or "anywhere"


def _labels(labels: Mapping[str, str]) -> str:
    return ", ".join(f"`{key}: {value}`" for key, value in labels.items())


def rule(known: Rule, allowed: Iterable[Sample], refused: Iterable[Sample]) -> str:
    """A Markdown page of a policy: what its file says, its settings, and samples with what is said of them."""
    sentence, *rest = (known.doc or "").strip().split("\n\n")
    named = [f"`{kind}`" for kind in sorted({kind for _, kind in known.kinds - {ANY}})]
    kinds = ", ".join([*named, *(["of every other object its metadata"] if ANY in known.kinds else [])])
    judged = "each of these objects" if known.scope == "resource" else "these objects of a stack together"
    parts = [f"# {known.name}\n\n{_line(sentence)}\n"]
    for paragraph in rest:
        word, colon, text = paragraph.partition(":")
        parts.append(f"**{word}.** {_line(text)}\n" if colon and word in _WORDS else f"{_line(paragraph)}\n")
    parts.append(f"**Judged:** {judged}: {kinds}.\n")
    if known.settings.model_fields:
        lead = f"In `policies/config/<stack>.json`, below `rules.{known.name}`.\n"
        parts += [lead, *_tables(known.name, known.settings, "settings.")]
    for title, samples in (("Refused", refused), ("Allowed", allowed)):
        parts.append(f"## {title}\n")
        for sample in samples:
            said = "".join(f"> {_line(message)}\n>\n" for message in sample.messages).removesuffix(">\n")
            parts.append(f"### {sample.title}\n\n{said}\n```yaml\n{sample.text.strip()}\n```\n")
    return "\n".join(parts)


_WORDS = ("Restricted fields", "Allowed values", "Why")


def _line(text: str) -> str:
    return " ".join(text.split())


def rules(known: Iterable[Rule]) -> str:
    """A Markdown page that leads to the page of each policy."""
    lead = "What nobody may deploy, written by `make golden` from `policies/rules`: one file, one page for each rule."
    rows = [f"| [{each.name}]({each.name}.md) | {each.scope} | {each.description} |" for each in known]
    return f"# Policies\n\n{lead}\n\n| rule | judges | what holds |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def reports(faults: Iterable[tuple[Fault, str]], gaps: Iterable[Gap]) -> str:
    """A Markdown page of what the reports built and which policy refuses what of it.

    Args:
        faults: each with the message about it.
        gaps: what no policy refuses.
    """
    lead = (
        "The platform that this one replaces, as its reports describe it, stands as manifests in "
        "[tests/policies/reports](../tests/policies/reports): `final` is how it ended, `earlier` what the reports "
        "found or left behind on the way (not all of it at once), `next` what they say comes next; `both` belongs to "
        "each. A comment on each object says which report it is from, and what had to be filled in. This command "
        "refuses it:\n\n"
        '```\nmake policy FILES="tests/policies/reports/both tests/policies/reports/final"\n```\n\n'
        "This page is written by `make golden`. `tests/policies/test_policy_reports.py` repairs each fault by itself, "
        "and it is no longer found."
    )
    rows = [
        f"| {fault.requirement} | {fault.what} | {fault.said} | {fault.state} "
        f"| [{fault.rule}](rules/{fault.rule}.md) | {_cell(message.partition('. Allowed: ')[0])} |"
        for fault, message in faults
    ]
    missed = [f"| {gap.requirement} | {gap.what} | {gap.said} | {_cell(gap.why)} |" for gap in gaps]
    note = (
        "Only what the reports say or imply is listed; what else the pack says is mostly of fields that had to be "
        "filled in. The rules have their defaults. With `CONFIG=dev` or `prod` tags are enough for an image; dev "
        "keeps nothing of a quota free, so Q1 is allowed; prod says that MLflow and Feast have a login in front "
        "(`published`), so their routes are.\n\n"
        "Q1 rests on amounts that are filled in: each pod that the reports count has the limits that they tell, or "
        "else 1 CPU, and a sidecar with the 2 CPUs that Istio gives it. The demand fits into 160 CPUs only where "
        "none are kept free, of which the default is 10 %. It fits into the 200 of the final state, where nothing is "
        "found."
    )
    return "\n".join(
        [
            f"# The reports, judged\n\n{lead}\n\n## What is refused\n\n{note}\n",
            "| | fault | where the reports say so | state | rule | what it says |\n|---|---|---|---|---|---|",
            *rows,
            "\n## What no rule catches\n",
            "| | fault | where the reports say so | why not |\n|---|---|---|---|",
            *missed,
            "",
        ]
    )


def _cell(text: str) -> str:
    return _line(text).replace("|", "\\|")
