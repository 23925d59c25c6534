"""Validation errors in plain words: which key, what was found, what is allowed."""

import difflib
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails


def sentences(error: ValidationError, model: type[BaseModel], prefix: str) -> list[str]:
    """Every error as one sentence, each beginning with the key as it stands in the file.

    Args:
        error: what validation raised.
        model: the model that was validated; it tells which keys are allowed.
        prefix: what stands before every key, such as `ml-platform:`.
    """
    details = error.errors(include_url=False)
    return [_sentence(detail, model, prefix) for detail in details if not _follows(detail, details)]


def _follows(detail: ErrorDetails, details: Sequence[ErrorDetails]) -> bool:
    """Whether an error is but the consequence of another: a list whose items are all wrong counts as empty."""
    place = detail["loc"]
    return detail["type"] == "too_short" and any(
        other["loc"][: len(place)] == place and len(other["loc"]) > len(place) for other in details
    )


def _sentence(detail: ErrorDetails, model: type[BaseModel], prefix: str) -> str:
    path = [part for part in detail["loc"] if not (isinstance(part, str) and part.startswith("function-"))]
    key = prefix + _key(path)
    found = "" if isinstance(detail["input"], dict | list | BaseModel) else f" (found {detail['input']!r})"
    match detail["type"]:
        case "extra_forbidden":
            allowed = _allowed_keys(model, path[:-1])
            near = difflib.get_close_matches(str(path[-1]), allowed, n=1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            said = f"is not a known key; {hint}allowed here: {', '.join(allowed) or 'nothing'}"
        case "missing":
            said = "is missing and has no default"
        case "model_type" | "dict_type":
            said = f"must be a map of keys{found}; allowed here: {', '.join(_allowed_keys(model, path))}"
        case "too_short":
            said = f"must have at least {detail['ctx']['min_length']} entry"
        case "too_long":
            said = f"must have at most {detail['ctx']['max_length']} entries"
        case "tuple_type" | "list_type":
            said = f"must be a list{found}"
        case "value_error":
            said = f"{detail['ctx']['error']}{found}"
        case _:
            message = detail["msg"].replace("Input should be", "must be")
            said = f"{message[0].lower()}{message[1:]}{found}"
    return f"{key}: {said}"


def _key(path: Sequence[int | str]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.lstrip(".")


def _allowed_keys(model: type[BaseModel], path: Sequence[int | str]) -> list[str]:
    """The keys of the model that a path leads to, by the schema that editors use too."""
    schema = model.model_json_schema(by_alias=True)
    node: dict[str, Any] = schema
    for part in path:
        node = _resolve(schema, node)
        node = node.get("items", {}) if isinstance(part, int) else node.get("properties", {}).get(part, {})
    return sorted(_resolve(schema, node).get("properties", {}))


def _resolve(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    for option in [node, *node.get("anyOf", []), *node.get("allOf", [])]:
        if "$ref" in option:
            return dict(schema["$defs"][option["$ref"].rsplit("/", 1)[1]])
    return node
