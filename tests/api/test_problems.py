from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.api.problems import RequestProblem, parse_object


@given(body=st.binary(max_size=64) | st.text(max_size=64).map(str.encode))
def test_any_bytes_give_an_object_or_a_problem(body: bytes) -> None:
    try:
        value = parse_object(body)
    except RequestProblem as problem:
        seen = (int(problem.status), bool(problem.detail))
    else:
        seen = (400, isinstance(value, dict))
    assert seen == (400, True)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"[1]", "JSON array; allowed is an object"),
        (b'"text"', "JSON string"),
        (b"1", "JSON number"),
        (b"true", "JSON boolean"),
        (b"null", "JSON null"),
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff", "not UTF-8"),
        (b'{"a": NaN}', "NaN is no JSON number"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' + b"9" * 10_000 + b"}", "not JSON"),
    ],
)
def test_what_is_no_object_is_named(body: bytes, words: str) -> None:
    with pytest.raises(RequestProblem) as caught:
        parse_object(body)

    assert words in caught.value.detail


def test_an_object_is_returned_as_it_is() -> None:
    assert parse_object(b'{"a": [1, 2.5, null, "\xc3\xa9"]}') == {"a": [1, 2.5, None, "é"]}
