from __future__ import annotations

from typing import Any

import pytest

from node.api.problems import RequestProblem
from node.api.routes import ROUTES
from node.api.schemas import SCHEMAS
from node.api.validation import check_body, parse_query

MESSAGES, METRICS = (next(route for route in ROUTES if route.name == name) for name in ("messages", "metrics"))


def test_defaults_are_filled_in() -> None:
    assert parse_query(MESSAGES, []) == {"limit": 1000, "wait": 0}
    assert parse_query(MESSAGES, [("limit", "5"), ("after", "a-1"), ("wait", "1.5")]) == {
        "limit": 5,
        "after": "a-1",
        "wait": 1.5,
    }
    assert check_body(SCHEMAS["Send"], {"to": "x", "data": None}) == {
        "to": "x",
        "data": None,
        "reliable": True,
        "timeout": 5.0,
    }


@pytest.mark.parametrize(
    "query",
    [
        [("limit", "0")], [("limit", "1001")], [("limit", "-1")], [("limit", "1.0")], [("limit", "")],
        [("limit", "1_0")], [("limit", " 1")], [("limit", "\u0661")], [("limit", "9" * 5000)], [("limit", "true")],
        [("wait", "nan")], [("wait", "inf")], [("wait", "1e999")], [("wait", "31")], [("wait", "-0.1")],
        [("wait", "e")],
        [("after", "x" * 65)], [("after", "a-1"), ("after", "a-2")], [("unknown", "1")], [("Limit", "1")],
    ],
)  # fmt: skip
def test_any_other_query_is_a_problem_that_says_what_is_allowed(query: list[tuple[str, str]]) -> None:
    with pytest.raises(RequestProblem, match=r"allowed is|given twice") as caught:
        parse_query(MESSAGES, query)
    assert caught.value.status == 400
    assert len(str(caught.value)) < 300


def test_a_route_that_is_not_strict_takes_any_query() -> None:
    assert parse_query(METRICS, [("name[]", "up"), ("name[]", "up")]) == {}


@pytest.mark.parametrize(
    "body",
    [
        {}, {"to": "x"}, {"data": 1}, {"to": 1, "data": 1}, {"to": "", "data": 1}, {"to": "x" * 301, "data": 1},
        {"to": "x", "data": 1, "reliable": 1}, {"to": "x", "data": 1, "timeout": True},
        {"to": "x", "data": 1, "timeout": 0}, {"to": "x", "data": 1, "timeout": 61},
        {"to": "x", "data": 1, "timeout": "5"}, {"to": "x", "data": 1, "other": 1}, {"to": None, "data": 1},
    ],
)  # fmt: skip
def test_a_body_that_does_not_fit_is_a_problem(body: dict[str, Any]) -> None:
    with pytest.raises(RequestProblem, match=r"allowed is|needed is"):
        check_body(SCHEMAS["Send"], body)


def test_an_object_to_broadcast_may_have_any_keys() -> None:
    assert check_body(SCHEMAS["Broadcast"], {"to": 1}) == {"to": 1}
