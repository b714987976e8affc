"""Ports for nodes that are started as a person would start them, with numbers that follow from each other."""

from __future__ import annotations

import socket
from collections.abc import Iterable

__all__ = ["two_in_a_row"]


def two_in_a_row(candidates: Iterable[int]) -> tuple[int, int]:
    """Two UDP ports in a row, whose TCP and metrics ports are free too."""
    for first in candidates:
        if all(_is_free(port) for port in (first, first + 1, first + 2, first + 576, first + 577)):
            return first, first + 1
    raise AssertionError("no free ports")


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("", port))
            except OSError:
                return False
    return True
