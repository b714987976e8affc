"""What a connection has received and when it says so: replay detection and acknowledgement policy (RFC 9000 §13.2)."""

from __future__ import annotations

from node.transport.ranges import RangeSet
from node.types import SECOND, Duration, Instant
from node.wire.frames import AckFrame
from node.wire.limits import ACK_RANGES_MAX, RECEIVED_RANGES_MAX, UNHURRIED_ACK_DELAY

__all__ = ["AckTracker"]

_ACK_ELICITING_THRESHOLD = 2

_PROMPT_ACKS = 8
"""So many packets are acknowledged at once: a sender whose every sample has a delay in it can never take it out, since
it trusts no delay that would beat its fastest sample (RFC 9002 §5.3). Unhurried ones count twice."""

_GAP_TIME: Duration = 10 * SECOND
"""How long after a gap a sender counts as one that wants to hear of every packet, unless there are many."""

_RANGE_BYTES_MAX = 16
_ECN_BYTES_MAX = 24
_CE = 0b11


class AckTracker:
    """Remembers received packet numbers, refuses replays, and decides when an acknowledgement is due.

    ack_at: when the next acknowledgement must be sent; None while there is nothing to acknowledge.
    """

    __slots__ = (
        "_ecn",
        "_elicited_at",
        "_floor",
        "_gap_at",
        "_largest_at",
        "_pending",
        "_prompt_acks",
        "_received",
        "_reported_floor",
        "ack_at",
        "max_ack_delay",
    )

    def __init__(self, max_ack_delay: Duration) -> None:
        self.max_ack_delay = max_ack_delay
        self.ack_at: Instant | None = None
        self._received = RangeSet()
        self._floor = 0
        self._ecn = [0, 0, 0, 0]
        self._reported_floor = 0
        self._pending = 0
        self._prompt_acks = _PROMPT_ACKS
        self._largest_at: Instant = 0
        self._elicited_at: Instant = 0
        self._gap_at: Instant | None = None

    @property
    def largest_received(self) -> int:
        """The largest packet number received; -1 before the first."""
        return self._received.largest

    def is_duplicate(self, packet_number: int) -> bool:
        """Whether the number was received before, or lies so far back that this can no longer be known."""
        received = self._received
        return packet_number <= received.largest and (packet_number < self._floor or packet_number in received)

    def on_received(
        self, packet_number: int, is_ack_eliciting: bool, now: Instant, ecn: int = 0, *, is_unhurried: bool = False
    ) -> None:
        """Takes note of an authenticated packet that is no duplicate. ecn: the two ECN bits of its IP header.

        is_unhurried: nothing in it is ever repeated, so that its acknowledgement may wait for something to ride on.
        """
        self._ecn[ecn] += 1
        received = self._received
        largest = received.largest
        # Out of order means a gap: the sender wants to know at once (RFC 9000 §13.2.1).
        is_out_of_order = packet_number != largest + 1
        received.add(packet_number, packet_number)
        if packet_number > largest:
            self._largest_at = now
        if is_out_of_order and len(received) > RECEIVED_RANGES_MAX:
            received.drop_oldest()
            self._floor = received.smallest
        if not is_ack_eliciting:
            return
        # A packet that arrives very late lies below what is reported by now; report its range once more.
        if packet_number < self._reported_floor:
            self._reported_floor = packet_number
        self._pending += 1
        if is_out_of_order:
            self._gap_at = now
        is_watched = not is_unhurried and self._gap_at is not None and self._is_watched(now, self._gap_at)
        is_urgent = is_out_of_order or ecn == _CE or is_watched
        self._elicited_at = now
        if self._pending >= _ACK_ELICITING_THRESHOLD or is_urgent or self._prompt_acks > 0:
            if self._prompt_acks > 0:
                self._prompt_acks -= 2 if is_unhurried else 1
            self.ack_at = now
        elif self.ack_at is None:
            # The promise has to hold for a late event loop, too (RFC 9000 §18.2).
            self.ack_at = now + (UNHURRIED_ACK_DELAY if is_unhurried else self.max_ack_delay // 2)

    def _is_watched(self, now: Instant, gap_at: Instant) -> bool:
        """Whether the sender repeats what is not acknowledged at once: packets are lost, and come one by one."""
        return now - gap_at < _GAP_TIME and now - self._elicited_at >= self.max_ack_delay // 4

    def take_frame(self, now: Instant, space: int) -> AckFrame | None:
        """The acknowledgement to send along, or None where the peer knows everything; clears what is due.

        space: bytes that the frame may take; the oldest ranges are left out of a packet that is too small for them.
        """
        if self.ack_at is None:
            return None
        self.ack_at = None
        self._pending = 0
        _, ect_1, ect_0, ce = self._ecn
        is_marked = ect_0 or ect_1 or ce
        if is_marked:
            space -= _ECN_BYTES_MAX
        ranges = self._received.descending(self._reported_floor, min(ACK_RANGES_MAX, space // _RANGE_BYTES_MAX))
        delay = now - self._largest_at
        return AckFrame(ranges, delay if delay > 0 else 0, (ect_0, ect_1, ce) if is_marked else None)

    def on_ack_acknowledged(self, largest: int) -> None:
        """The peer has an acknowledgement that reached up to `largest`: ranges below need not be repeated."""
        if largest > self._reported_floor:
            self._reported_floor = largest
