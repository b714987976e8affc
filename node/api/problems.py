"""Errors of the HTTP API as problem documents (RFC 9457), and the reading of a JSON body that may be anything.

Knows nothing of nodes. Input is what a stranger sent; output is a value or an error that says what is allowed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import TypeAlias

from aiohttp import web

from node.api.limits import BODY_BYTES_MAX
from node.api.objects import unique

__all__ = ["TOO_LARGE", "Json", "RequestProblem", "parse_object", "problem"]

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

TOO_LARGE = f"the body is too large; allowed are at most {BODY_BYTES_MAX} bytes"


class RequestProblem(Exception):
    """The client asked for something that cannot be. detail: a sentence that says what is allowed.

    members: what a program can read beside it (extension members, RFC 9457 §3.2).
    """

    def __init__(self, status: HTTPStatus, detail: str, members: Mapping[str, Json] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.members = members or {}


def problem(status: HTTPStatus, detail: str, members: Mapping[str, Json] | None = None) -> web.Response:
    """The response that says it."""
    return web.json_response(
        {**(members or {}), "type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail},
        status=status,
        content_type="application/problem+json",
    )


def parse_object(body: bytes) -> dict[str, Json]:
    """The JSON object in `body`; RequestProblem for anything else."""
    try:
        value = json.loads(body, parse_constant=_refuse_constant, object_pairs_hook=unique)
    except UnicodeDecodeError as error:
        raise _bad(f"the body is not UTF-8 at byte {error.start}") from error
    except RecursionError as error:
        raise _bad("the body is nested too deeply") from error
    except ValueError as error:
        raise _bad(f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise _bad(f'the body is a JSON {_kind(value)}; allowed is an object, such as {{"text": "hello"}}')
    return value


def _bad(detail: str) -> RequestProblem:
    return RequestProblem(HTTPStatus.BAD_REQUEST, detail)


def _refuse_constant(word: str) -> Json:
    raise ValueError(f"{word} is no JSON number")


def _kind(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case _:
            return "array"
