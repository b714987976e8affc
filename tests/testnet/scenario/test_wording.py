"""What a schema has against a value, in the words of people."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from node.testnet.scenario.source import parse
from node.testnet.scenario.wording import nearest, shown, told


@pytest.mark.parametrize(
    ("schema", "value", "said"),
    [
        ({"type": ["string", "null"]}, "3", "x: 3: allowed is text or nothing"),
        ({"type": "object"}, "[1]", "x: [1]: allowed is a mapping"),
        ({"enum": ["a", None]}, "b", "x: 'b': allowed is one of a"),
        ({"const": 1}, "2", "x: 2: allowed is 1"),
        ({"minimum": 3}, "2", "x: 2: allowed is at least 3"),
        ({"maximum": 3}, "4", "x: 4: allowed is at most 3"),
        ({"minItems": 1}, "[]", "x: []: allowed is a list of at least 1"),
        ({"maxItems": 1}, "[1, 2]", "x: [1, 2]: allowed is a list of at most 1"),
        ({"maxLength": 1}, "abc", "x: 'abc': allowed is at most 1 characters"),
        ({"pattern": "^a", "description": "an a"}, "b", "x: 'b': allowed is an a"),
        ({"pattern": "^a", "description": "an a", "$comment": "a then more"}, "b", "x: 'b': allowed is a then more"),
        ({"properties": {"name": {}}, "additionalProperties": False}, "{nam: 1}", "x.nam: unknown; did you mean name?"),
        ({"required": ["a", "b"]}, "{b: 1}", "x: a is missing"),
    ],
)
def test_each_mistake_names_place_value_and_what_is_allowed(schema: dict[str, Any], value: str, said: str) -> None:
    source = parse(f"x: {value}\n", "s.yaml")
    (error,) = jsonschema.Draft202012Validator({"properties": {"x": schema}}).iter_errors(source.values)
    (mistake,) = told(source, error)
    assert str(mistake).startswith(f"s.yaml:1: {said}")


def test_a_guess_is_made_where_one_is_near() -> None:
    assert nearest("tarket", ["target", "peers"]) == "did you mean target? "
    assert nearest("zzz", ["target", "peers"]) == ""


def test_long_values_are_cut() -> None:
    assert len(shown("x" * 500)) == 60
    assert shown(3) == "3"
