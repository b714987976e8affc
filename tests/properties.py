"""Properties that several tests share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from node.errors import DecodeError
from node.transport.stats import DROP_REASONS

__all__ = ["decoded"]

_Value = TypeVar("_Value")


def decoded(parser: Callable[[bytes], _Value], data: bytes) -> _Value | None:
    """What the parser makes of the bytes; None where it refuses them, which it may do in one way only."""
    try:
        return parser(data)
    except DecodeError as error:
        reason = error.reason
    assert reason in DROP_REASONS, f"{reason!r} is no reason that the statistics know"
    return None
