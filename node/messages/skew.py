"""How far the clocks of peers are from this node's, and which ages of messages are therefore acceptable.

Four instants of a question and its answer give the difference of two clocks, wrong by at most half the round trip (RFC
5905 §8); the sample with the shortest round trip of the last few is the best. No clock is ever corrected: the median
over the peers only widens the bounds of freshness, within a limit, so that neither a node whose own clock is wrong nor
a liar among its peers changes what is accepted by more than that. Times are wall nanoseconds of the node named.
"""

from __future__ import annotations

from collections import deque

from node.errors import DecodeError
from node.messages.envelope import Envelope
from node.types import SECOND, Duration, Instant, NodeId, median_of
from node.wire.limits import (
    CLOCK_AHEAD_MAX,
    CLOCK_SKEW_MAX,
    CLOCK_SKEW_NOTED,
    MESSAGE_AGE_MAX,
    PEERS_KNOWN_MAX,
    SKEW_SAMPLES_MAX,
)

__all__ = ["Clocks", "check_freshness"]

ROUND_TRIP_MAX: Duration = 10 * SECOND
"""An answer that took longer says too little of the clocks."""

CLOCK_STEP: Duration = 1 * SECOND
"""What two samples may differ by beyond what their round trips allow: clocks drift, and are slewed."""


class Clocks:
    """The differences of the clocks of the peers to this node's, as measured."""

    def __init__(self) -> None:
        self._samples: dict[NodeId, deque[tuple[Duration, Duration]]] = {}
        self._offsets: dict[NodeId, Duration] = {}
        self._skew: Duration | None = 0
        self._strayed: dict[NodeId, None] = {}

    def __len__(self) -> int:
        return len(self._samples)

    def observe(
        self, peer: NodeId, *, sent: Instant, received_there: Instant, sent_there: Instant, received: Instant
    ) -> None:
        """One question and its answer: sent and received here, in between received and sent there.

        What cannot be is ignored: an answer before the question, or one held longer than the whole took.
        """
        round_trip = (received - sent) - (sent_there - received_there)
        if not 0 <= round_trip <= ROUND_TRIP_MAX or sent_there < received_there:
            return
        offset = ((received_there - sent) + (sent_there - received)) // 2
        samples = self._samples.get(peer)
        if samples is None:
            samples = self._samples[peer] = deque(maxlen=SKEW_SAMPLES_MAX)
        elif abs(offset - (best_sample := min(samples))[1]) > (round_trip + best_sample[0]) // 2 + CLOCK_STEP:
            # No way explains that: the clock was set, or another life of the peer has another one.
            samples.clear()
        samples.append((round_trip, offset))
        best = min(samples)[1]
        # Asked with every heartbeat and every message, while the best sample of a peer stays the same for long.
        if self._offsets.get(peer) != best:
            self._offsets[peer] = best
            self._skew = None
        if len(self._samples) > PEERS_KNOWN_MAX:
            self.forget(next(iter(self._samples)))

    def forget(self, peer: NodeId) -> None:
        """That peer is gone."""
        if self._samples.pop(peer, None) is not None:
            del self._offsets[peer]
            self._skew = None

    def of(self, peer: NodeId) -> Duration | None:
        """How far that peer's clock is ahead of this node's; None before it was measured."""
        return self._offsets.get(peer)

    def strays(self, peer: NodeId) -> bool:
        """Whether that peer's clock has begun to be so wrong that what it signs may be refused.

        Once per episode, which ends when its clock is half as wrong, and not when it is gone for a while. False while
        it is this node's own clock that is doubtful.
        """
        offset = self._offsets.get(peer)
        if offset is None or self.is_doubtful():
            return False
        if abs(offset) <= CLOCK_SKEW_MAX:
            if abs(offset) <= CLOCK_SKEW_MAX // 2:
                self._strayed.pop(peer, None)
            return False
        if peer in self._strayed:
            return False
        self._strayed[peer] = None
        if len(self._strayed) > PEERS_KNOWN_MAX:
            del self._strayed[next(iter(self._strayed))]
        return True

    def skew(self) -> Duration:
        """How far the clocks of the peers are ahead, by their median; 0 before any was measured."""
        if self._skew is None:
            self._skew = median_of(self._offsets.values()) if self._offsets else 0
        return self._skew

    def is_doubtful(self) -> bool:
        """Whether this node's clock is so far from the others that a person should look at it."""
        return abs(self.skew()) > CLOCK_SKEW_NOTED

    def ahead_max(self) -> Duration:
        """How far in the future a message may be dated."""
        return CLOCK_AHEAD_MAX + min(max(self.skew(), 0), CLOCK_SKEW_MAX)

    def age_max(self) -> Duration:
        """How old a message may be."""
        return MESSAGE_AGE_MAX + min(max(-self.skew(), 0), CLOCK_SKEW_MAX)


def check_freshness(envelope: Envelope, wall: Duration, clocks: Clocks) -> None:
    """DecodeError `stale` or `future` for a message out of bounds. wall: this node's wall clock."""
    age = envelope.age(wall)
    if age > clocks.age_max():
        raise DecodeError("stale", f"{age // SECOND} s old")
    if age < -clocks.ahead_max():
        raise DecodeError("future", f"{-age // SECOND} s ahead")
