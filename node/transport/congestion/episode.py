"""A recovery period of a controller of windows: one reduction for all losses of a round, taken back if there were none.

RFC 9002 §7.3.2 says when a period begins. What it took away is given back once every packet that was declared lost in
it turns out to have arrived, as RFC 4015 does for TCP: then reordering or a delay looked like loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from node.transport.packet import SentPacket
from node.types import Instant
from node.wire.limits import LOST_PACKETS_MAX

__all__ = ["RecoveryEpisode"]

_State = TypeVar("_State")


class RecoveryEpisode(Generic[_State]):
    """Tells a controller when to reduce its window, and when that was a mistake.

    started_at: when the last period began; packets sent up to then belong to it. -1 before the first one.
    """

    __slots__ = ("_missing", "_saved", "started_at")

    def __init__(self) -> None:
        self.started_at: Instant = -1
        self._saved: _State | None = None
        self._missing: dict[int, None] = {}

    def covers(self, sent_at: Instant) -> bool:
        """Whether a packet sent then belongs to the period that has begun already."""
        return sent_at <= self.started_at

    def on_lost(self, packets: Sequence[SentPacket], now: Instant, state: _State) -> bool:
        """Takes note of losses; whether they begin a period. state: what to give back if they were none."""
        begins = not self.covers(max(packet.sent_at for packet in packets))
        if begins:
            self._begin(now, state)
        self._miss(packets)
        return begins

    def on_timeout(self, packets: Sequence[SentPacket], now: Instant, state: _State) -> None:
        """Everything was declared lost; within a running period, what to give back stays that from before it."""
        if self._saved is None:
            self._begin(now, state)
        self.started_at = now
        self._miss(packets)

    def on_marked(self, sent_at: Instant, now: Instant) -> bool:
        """A packet sent then met congestion for certain; whether that begins a period, one that nothing takes back."""
        self._settle()
        begins = not self.covers(sent_at)
        if begins:
            self.started_at = now
        return begins

    def on_spurious(self, packets: Sequence[SentPacket]) -> _State | None:
        """The state from before the period, once all that was lost in it has arrived; None before."""
        known = len(self._missing)
        for packet in packets:
            self._missing.pop(packet.number, None)
        if not known or self._missing:
            return None
        saved = self._saved
        self.end()
        return saved

    def end(self) -> None:
        """Ends the period, so that the next loss begins another."""
        self._settle()
        self.started_at = -1

    def _begin(self, now: Instant, state: _State) -> None:
        self._settle()
        self.started_at = now
        self._saved = state

    def _miss(self, packets: Sequence[SentPacket]) -> None:
        if self._saved is None:
            return
        self._missing.update((packet.number, None) for packet in packets)
        if len(self._missing) > LOST_PACKETS_MAX:
            # Of more packets than recovery remembers it cannot be learnt that all of them arrived.
            self._settle()

    def _settle(self) -> None:
        self._saved = None
        self._missing.clear()
