"""Explicit congestion notification of the sending side: whether the path carries marks, and what they say.

RFC 9000 §13.4.2 and appendix A.4: the first packets are marked ECT(0) to try it out; counts in the peer's
acknowledgements show whether the marks arrived. Where they did not, or all of them arrived as CE, nothing is marked any
more. A growing count of CE marks is congestion.

The peer counts per connection, not per path. So on another path everything begins anew but the counts: what is judged
there is how they grow, and by packets that were sent there.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto

from node.transport.packet import SentPacket
from node.wire.frames import AckFrame

__all__ = ["CE", "ECT_0", "EcnState", "EcnValidation"]

ECT_0 = 0b10
CE = 0b11
"""Codepoints of RFC 3168."""

_TEST_PACKETS = 10
"""Packets marked before the first acknowledgement that counts them (RFC 9000 §A.4)."""


class EcnState(Enum):
    """What is known of the path."""

    TESTING = auto()
    CAPABLE = auto()
    FAILED = auto()


class EcnValidation:
    """mark: the ECN bits of packets that leave now; settled by `choose` once per datagram that may hold several."""

    __slots__ = ("_first_on_path", "_limit", "_lost", "_marked_by_path", "_seen", "_tried", "mark", "state")

    def __init__(self, *, is_enabled: bool) -> None:
        self.state = EcnState.TESTING if is_enabled else EcnState.FAILED
        self.mark = 0
        self._tried = 0
        self._lost = 0
        # Packets that tried it out and arrived as CE, while none arrived as it was sent.
        self._marked_by_path = 0
        self._first_on_path = 0
        self._seen = (0, 0, 0)
        # What the counts of ECT(0) and CE can add up to at most.
        self._limit = 0

    def on_path_change(self, first_number: int, *, is_enabled: bool) -> None:
        """Packets from that number on take another path, which is tried out like the first (RFC 9000 §9.4)."""
        self.state = EcnState.TESTING if is_enabled else EcnState.FAILED
        self._tried = self._lost = self._marked_by_path = 0
        self._first_on_path = first_number

    def choose(self, *, is_ack_eliciting: bool) -> int:
        """Settles the mark for what leaves next; of what is not acknowledged, nothing can be learnt."""
        is_trying = self.state is EcnState.TESTING and is_ack_eliciting and self._tried < _TEST_PACKETS
        self.mark = ECT_0 if is_trying or self.state is EcnState.CAPABLE else 0
        return self.mark

    def on_sent(self, packet: SentPacket) -> None:
        """A packet leaves with the present mark."""
        if self.mark:
            packet.is_marked = True
            self._tried += packet.is_ack_eliciting
            self._limit += 1

    def on_lost(self, packets: Iterable[SentPacket]) -> None:
        """Packets were lost; if all that were marked to try it out are, the marks may be the reason (§13.4.2)."""
        if self.state is EcnState.TESTING:
            self._lost += sum(packet.is_marked and packet.number >= self._first_on_path for packet in packets)
            self._judge_test()

    def on_ack(self, frame: AckFrame, acked: Iterable[SentPacket], *, is_newest: bool) -> bool:
        """Checks the counts of an acknowledgement; whether they tell of congestion since the last one (§13.4.2.1).

        acked: what it acknowledged for the first time. is_newest: whether it reached further than any before; others
        may have been overtaken on their way.
        """
        if not is_newest:
            return False
        marked, has_old = self._marked(acked)
        if frame.ecn is None:
            if marked:
                self.state = EcnState.FAILED
            return False
        ect_0, ect_1, ce = frame.ecn
        seen_0, seen_1, seen_ce = self._seen
        self._seen = frame.ecn
        is_wrong = ect_0 - seen_0 + ce - seen_ce < marked
        # What grew with packets of another path says no more than that our own are among it.
        if not has_old and (ect_1 != seen_1 or ect_0 < seen_0 or ce < seen_ce or ect_0 + ce > self._limit):
            is_wrong = True
        if ect_0 + ce > self._limit:
            self._limit = ect_0 + ce
        if is_wrong:
            self.state = EcnState.FAILED
        elif ect_0 > seen_0 and marked and self.state is EcnState.TESTING:
            self.state = EcnState.CAPABLE
        elif self.state is EcnState.TESTING:
            self._marked_by_path += marked
            self._judge_test()
        return self.state is not EcnState.FAILED and ce > seen_ce and not has_old

    def _judge_test(self) -> None:
        """Where no mark of the test arrives as it was sent, a device on the path drops or rewrites them all."""
        if self._lost + self._marked_by_path >= _TEST_PACKETS:
            self.state = EcnState.FAILED

    def _marked(self, acked: Iterable[SentPacket]) -> tuple[int, bool]:
        """How many of them left on this path with a mark, and whether any left on another."""
        marked, has_old, first = 0, False, self._first_on_path
        for packet in acked:
            if packet.number < first:
                has_old = True
            else:
                marked += packet.is_marked
        return marked, has_old
