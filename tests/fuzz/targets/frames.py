"""Frames of an authenticated peer: decoded or refused, and a connection that hears them stays within its bounds."""

from __future__ import annotations

from node.errors import DecodeError
from node.wire.frames import parse_frames
from tests.fuzz.targets.pieces import pieces
from tests.pair import Pair
from tests.transport.hostile import assert_sane, connected, inject, next_number

__all__ = ["fuzz_frames"]

EXECUTIONS_PER_PAIR = 64
PACKETS_MAX = 6
PAYLOAD_BYTES_MAX = 1_300

_pairs: list[tuple[Pair, list[int]]] = []


def fuzz_frames(data: bytes) -> None:
    """Pieces: payloads of packets, odd kinds under a packet number far ahead."""
    for _, content in pieces(data, PACKETS_MAX):
        try:
            parse_frames(content)
        except DecodeError:
            continue
    pair, executions = _pair()
    executions.append(1)
    for kind, content in pieces(data, PACKETS_MAX):
        if pair.server.closed() is not None or pair.client.closed() is not None:
            break
        inject(pair, content[:PAYLOAD_BYTES_MAX], next_number(pair) + kind % 2 * kind)
        pair.run(0.005)
    pair.run(0.02)
    if len(executions) >= EXECUTIONS_PER_PAIR or pair.server.closed() is not None or pair.client.closed() is not None:
        assert_sane(pair)
        _pairs.clear()


def _pair() -> tuple[Pair, list[int]]:
    if not _pairs:
        _pairs.append((connected(), []))
    return _pairs[0]
