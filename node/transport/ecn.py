"""Explicit congestion notification of the sending side: whether the path carries marks, and what they say.

RFC 9000 §13.4.2 and appendix A.4: the first packets are marked ECT(0) to try it out; counts in the peer's
acknowledgements show whether the marks arrived. Where they did not, nothing is marked any more. A growing count of CE
marks is congestion.
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

    __slots__ = ("_ce", "_ect_0", "_lost", "_marked", "mark", "state")

    def __init__(self, *, is_enabled: bool) -> None:
        self.state = EcnState.TESTING if is_enabled else EcnState.FAILED
        self.mark = 0
        self._marked = 0
        self._lost = 0
        self._ect_0 = 0
        self._ce = 0

    def choose(self) -> int:
        """Settles the mark for what leaves next."""
        is_trying = self.state is EcnState.TESTING and self._marked < _TEST_PACKETS
        self.mark = ECT_0 if is_trying or self.state is EcnState.CAPABLE else 0
        return self.mark

    def on_sent(self, packet: SentPacket) -> None:
        """A packet leaves with the present mark."""
        packet.is_marked = self.mark != 0
        self._marked += packet.is_marked

    def on_lost(self, packets: Iterable[SentPacket]) -> None:
        """Packets were lost; if all that were marked to try it out are, the marks may be the reason (§13.4.2)."""
        if self.state is EcnState.TESTING:
            self._lost += sum(packet.is_marked for packet in packets)
            if self._lost >= _TEST_PACKETS:
                self.state = EcnState.FAILED

    def on_ack(self, frame: AckFrame, acked: Iterable[SentPacket], *, is_newest: bool) -> bool:
        """Checks the counts of an acknowledgement; whether they tell of congestion since the last one (§13.4.2.1).

        acked: what it acknowledged for the first time. is_newest: whether it reached further than any before; others
        may have been overtaken on their way.
        """
        if self.state is EcnState.FAILED or not is_newest:
            return False
        marked = 0
        for packet in acked:
            marked += packet.is_marked
        if frame.ecn is None:
            if marked:
                self.state = EcnState.FAILED
            return False
        ect_0, ect_1, ce = frame.ecn
        grown = ect_0 - self._ect_0 + ce - self._ce
        if ect_1 or ect_0 < self._ect_0 or ce < self._ce or grown < marked or ect_0 + ce > self._marked:
            self.state = EcnState.FAILED
            return False
        if marked:
            self.state = EcnState.CAPABLE
        is_congested = ce > self._ce
        self._ect_0, self._ce = ect_0, ce
        return is_congested
