"""Objects with each key once."""

from __future__ import annotations

import json

import pytest

from node.api.objects import unique


def test_an_object_whose_keys_differ_is_taken_as_it_is() -> None:
    assert json.loads('{"a": {"a": 1}, "b": []}', object_pairs_hook=unique) == {"a": {"a": 1}, "b": []}


@pytest.mark.parametrize("text", ['{"a": 1, "a": 1}', '[{"b": {"a": 1, "c": 2, "a": 3}}]'])
def test_a_key_that_appears_twice_in_one_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a key appears twice in one object"):
        json.loads(text, object_pairs_hook=unique)
