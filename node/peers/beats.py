"""The frames by which nodes show each other that they live.

    [HEARTBEAT, 0, digest, sent, echoed, held]   a heartbeat, with times in wall microseconds of its sender: `echoed` is
                                                 the last `sent` of its receiver, 0 for none, and `held` for how long
    [HEARTBEAT, 1, number]                       are you there?
    [HEARTBEAT, 2, number]                       yes; from whoever was asked, or from a relay in its place
    [HEARTBEAT, 3, number, key]                  ask that node for me
    [HEARTBEAT, 4, number]                       I am there, and heard the question; nothing is known of the other yet

From a heartbeat and its echo four instants are known, of which clocks are compared (RFC 5905 §8).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from node.errors import DecodeError
from node.identity.keys import NODE_ID_BYTES
from node.messages.packing import Value
from node.types import MICROSECOND, Duration, Instant, NodeId
from node.wire.limits import PEERS_KNOWN_MAX

__all__ = ["Act", "Beat", "ClockSample", "Clockwork", "Question", "parse_beat"]

_NUMBER_MAX = (1 << 63) - 1


class Act(IntEnum):
    """What a frame does; the numbers are wire format."""

    BEAT = 0
    PING = 1
    ACK = 2
    RELAY = 3
    NACK = 4


@dataclass(slots=True)
class Beat:
    """A heartbeat. sent, echoed, held: microseconds."""

    digest: bytes
    sent: int
    echoed: int
    held: int


@dataclass(frozen=True, slots=True)
class Question:
    """Any other frame. target: whom a relay is to ask."""

    act: Act
    number: int
    target: NodeId | None = None


@dataclass(slots=True, kw_only=True)
class ClockSample:
    """Four instants of two clocks, in wall nanoseconds: sent and received here, in between received and sent there."""

    sent: Instant
    received_there: Instant
    sent_there: Instant
    received: Instant


class Clockwork:
    """The echoes that are owed to peers. wall_offset: wall clock minus the clock of `now`."""

    def __init__(self, wall_offset: Duration) -> None:
        self.wall_offset = wall_offset
        self._heard: dict[NodeId, tuple[int, Instant]] = {}

    def fields(self, peer: NodeId, digest: bytes, now: Instant) -> tuple[Value, ...]:
        """A heartbeat to that peer."""
        sent, at = self._heard.get(peer, (0, now))
        return int(Act.BEAT), digest, (now + self.wall_offset) // MICROSECOND, sent, (now - at) // MICROSECOND

    def heard(self, peer: NodeId, beat: Beat, now: Instant) -> ClockSample | None:
        """Takes note of a heartbeat; the comparison that it completes."""
        self._heard.pop(peer, None)
        self._heard[peer] = beat.sent, now
        if len(self._heard) > PEERS_KNOWN_MAX:
            del self._heard[next(iter(self._heard))]
        if not beat.echoed:
            return None
        return ClockSample(
            sent=beat.echoed * MICROSECOND,
            received_there=(beat.sent - beat.held) * MICROSECOND,
            sent_there=beat.sent * MICROSECOND,
            received=now + self.wall_offset,
        )

    def forget(self, peer: NodeId) -> None:
        """That peer is gone."""
        self._heard.pop(peer, None)


Frame: TypeAlias = Beat | Question


def parse_beat(fields: list[Value]) -> Frame:
    """The frame in these fields; DecodeError for anything else."""
    match fields:
        case [int(act), bytes(digest), int(sent), int(echoed), int(held), *_] if act == Act.BEAT:
            if not (0 <= sent <= _NUMBER_MAX and 0 <= echoed <= _NUMBER_MAX and 0 <= held <= _NUMBER_MAX):
                raise DecodeError("malformed", "a time out of range")
            return Beat(digest, sent, echoed, held)
        case [int(act), int(number), bytes(target), *_] if act == Act.RELAY and len(target) == NODE_ID_BYTES:
            return Question(Act.RELAY, number, NodeId(target))
        case [int(act), int(number), *_] if act in (Act.PING, Act.ACK, Act.NACK):
            return Question(Act(act), number)
        case [int(act), *_] if act > max(Act):
            raise DecodeError("unknown_kind", f"heartbeat action {act}")
        case _:
            raise DecodeError("malformed", "a heartbeat of another shape")
