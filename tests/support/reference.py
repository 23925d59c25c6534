"""Reference pages, written from the code: what can be configured, what is published, who may talk to whom."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from components.kube.access import Access, AccessTable, Neighbour, Workload


def page(title: str, lead: str, model: type[BaseModel], prefix: str) -> str:
    """A Markdown page with a table for each model that `model` is made of.

    Args:
        title: of the page.
        lead: the paragraph under it.
        model: whose fields are described.
        prefix: what stands before every key.
    """
    schema = model.model_json_schema(by_alias=True)
    parts = [f"# {title}\n\n{lead}\n"]
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
        parts.append(f"## `{heading}`\n\n{described}\n\n{table}\n")
    return "\n".join(parts)


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
