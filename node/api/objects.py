"""Objects in the JSON of the HTTP API, for it and its clients; free of any library, so that a client starts fast."""

from __future__ import annotations

from typing import TypeVar

__all__ = ["unique"]

ValueT = TypeVar("ValueT")


def unique(pairs: list[tuple[str, ValueT]]) -> dict[str, ValueT]:
    """The object, as `object_pairs_hook` of `json.loads`. ValueError where a key appears twice: which one was meant?"""
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key appears twice in one object")
    return table
