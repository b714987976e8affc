"""Holds what a client sent to the schemas of the routes; every deviation is a problem that says what is allowed.

Knows the few words of JSON Schema that requests need (type, minimum, maximum, minLength, maxLength, pattern,
required, additionalProperties) and nothing of HTTP libraries.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from http import HTTPStatus

from node.api.problems import Json, RequestProblem
from node.api.routes import Parameter, Route
from node.api.schemas import Schema

__all__ = ["check_body", "parse_query"]


def parse_query(route: Route, query: Iterable[tuple[str, str]]) -> dict[str, Json]:
    """The parameters of the query by name, defaults filled in; RequestProblem for any other text."""
    known = {parameter.name: parameter for parameter in route.parameters if parameter.place == "query"}
    values = {name: found.schema["default"] for name, found in known.items() if "default" in found.schema}
    seen: dict[str, None] = {}
    for name, text in query if route.is_strict else ():
        if name not in known:
            allowed = ", ".join(known) or "no parameter"
            raise _bad(f"the parameter {name[:80]!r} is unknown; allowed is {allowed}")
        if name in seen:
            raise _bad(f"the parameter {name!r} is given twice")
        seen[name] = None
        values[name] = _from_text(known[name], text)
    return values


def check_body(schema: Schema, body: dict[str, Json]) -> dict[str, Json]:
    """The body with defaults filled in; RequestProblem unless it fits the schema, one of an object."""
    properties: dict[str, Schema] = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in body:
            raise _bad(f"{name!r} is missing; needed is {', '.join(schema['required'])}")
    if schema.get("additionalProperties", True) is False:
        for name in body:
            if name not in properties:
                raise _bad(f"{name[:80]!r} is unknown; allowed is {', '.join(properties)}")
    for name, part in properties.items():
        if name in body:
            _check(name, body[name], part)
    return {name: part["default"] for name, part in properties.items() if "default" in part} | body


def _from_text(parameter: Parameter, text: str) -> Json:
    value: Json = text
    try:
        match parameter.schema["type"]:
            # No spaces, underscores or digits of other scripts, which Python would take.
            case "integer":
                value = int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else text
            case "number":
                value = float(text) if text.isascii() and text.strip("0123456789.eE+-") == "" else text
            case _:
                pass
    except ValueError:
        pass  # stays text, which is refused just below
    _check(parameter.name, value, parameter.schema)
    return value


def _check(name: str, value: Json, schema: Schema) -> None:
    if not _is_of_type(value, schema.get("type")) or not _is_in_range(value, schema):
        raise _bad(f"{name} = {str(value)[:80]!r}: allowed is {_allowed(schema)}")


def _is_of_type(value: Json, kind: str | None) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        case _:
            return True


def _is_in_range(value: Json, schema: Schema) -> bool:
    if isinstance(value, str):
        is_short_enough = bool(schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", math.inf))
        return is_short_enough and ("pattern" not in schema or _fits(schema["pattern"], value))
    if isinstance(value, int | float):
        return bool(schema.get("minimum", -math.inf) <= value <= schema.get("maximum", math.inf))
    return True


def _fits(pattern: str, value: str) -> bool:
    # The last line break, before which Python's `$` matches as well, is no part of what ECMA-262 lets it match.
    return re.search(pattern, value) is not None and not value.endswith("\n")


def _allowed(schema: Schema) -> str:
    kind = schema["type"]
    match kind:
        case "string" if "pattern" in schema:
            return str(schema["description"])
        case "string":
            return f"text of {schema.get('minLength', 0)} to {schema.get('maxLength', 'any')} characters"
        case "boolean":
            return "true or false"
        case _:
            what = "a whole number" if kind == "integer" else "a number"
            return f"{what} from {schema['minimum']} to {schema['maximum']}"


def _bad(detail: str) -> RequestProblem:
    return RequestProblem(HTTPStatus.BAD_REQUEST, detail)
