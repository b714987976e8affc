"""The OpenAPI 3.1 description of the HTTP API, made from the table of routes: `python -m node.api.openapi` prints it.

Knows nothing of nodes and of any HTTP library. The same document is served at /api/v1/openapi.json.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from node.api.routes import PROBLEM, ROUTES, Parameter, Route
from node.api.schemas import SCHEMAS, reference

__all__ = ["description", "text"]

API_VERSION = "1.0.0"

_DESCRIPTION = """\
Metrics, health, statistics and messages of one node.
Every error is a problem document (RFC 9457).
HEAD is answered wherever GET is.
With the setting `api_token` or `api_token_file`, everything but /healthz and /readyz asks for that bearer token.
"""

_ALWAYS = {
    401: "the bearer token is missing or wrong",
    403: "the Host header names no host of this node, or the request came from a web page",
}


def description() -> dict[str, Any]:
    """The document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Positron node", "version": API_VERSION, "description": _DESCRIPTION},
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def text() -> str:
    """The document as it is kept in docs/openapi.json."""
    return json.dumps(description(), indent=2) + "\n"


def _operation(route: Route) -> dict[str, Any]:
    problems = ({} if route.is_open else _ALWAYS) | route.problems
    if route.is_strict:
        problems = {400: "a query parameter is unknown or impossible"} | problems
    responses = {
        status: {"description": meaning, "content": {route.media: {"schema": schema}}}
        for status, (schema, meaning) in route.answers.items()
    } | {
        status: {"description": meaning, "content": {PROBLEM: {"schema": reference("Problem")}}}
        for status, meaning in problems.items()
    }
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "security": [] if route.is_open else [{}, {"token": []}],
    }
    if route.parameters:
        operation["parameters"] = [_parameter(parameter) for parameter in route.parameters]
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": route.body}}}
    operation["responses"] = {str(status): responses[status] for status in sorted(responses)}
    return operation


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": parameter.text,
        "schema": parameter.schema,
    }


if __name__ == "__main__":
    sys.stdout.write(text())
