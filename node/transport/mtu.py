"""The largest datagram that the path carries: a search by probes, and a way back (RFC 8899, DPLPMTUD).

Every path carries BASE_MTU, since the handshake came through. Larger sizes are tried one at a time, with packets that
carry nothing: a lost one costs nothing and says nothing about congestion. A size is given up after three lost probes;
the search begins anew when the raise timer runs out. When full packets stop arriving and smaller ones do not, the path
has become narrower (a black hole): back to BASE_MTU, and the search begins again after a while. Knows no packets: the
sending half reports sizes and numbers.
"""

from __future__ import annotations

from node.types import Instant
from node.wire.limits import (
    BASE_MTU,
    BLACK_HOLE_LOSSES,
    BLACK_HOLE_PAUSE,
    MTU_PROBES_MAX,
    MTU_RAISE_INTERVAL,
    MTU_SEARCH_STEP,
)

__all__ = ["MtuSearch"]


class MtuSearch:
    """current: size of the largest datagram that is known to arrive. ceiling: the largest that may be tried.

    probe_number: of the packet that probes a size; -1 while there is none. losses: above BASE_MTU, since one of those
        arrived. is_wanted: whether there was something to send that fills a packet; without that no probe is sent.
    """

    __slots__ = (
        "_high", "_likely", "_probe_deadline", "_probe_size", "_probes_lost", "_resume_at", "ceiling", "current",
        "is_wanted", "losses", "probe_number",
    )  # fmt: skip

    def __init__(self, ceiling: int, likely: int) -> None:
        """likely: what an Ethernet carries, tried first where the ceiling is above it."""
        self.ceiling = ceiling
        self.current = min(BASE_MTU, ceiling)
        self.is_wanted = False
        self._likely = likely
        self._high = ceiling
        self.losses = 0
        self._probe_size = 0
        self.probe_number = -1
        self._probe_deadline: Instant = 0
        self._probes_lost = 0
        self._resume_at: Instant | None = None

    @property
    def possible(self) -> int:
        """The largest size that is not known to be too much: what may be sent once the search is over."""
        return self._high if self._is_searching else self.current

    def next_probe(self) -> int | None:
        """The size of a probe to send now; None when there is none to send."""
        if not self.is_wanted or self.probe_number >= 0 or not self._is_searching:
            return None
        return self._probe_size or self._next_size()

    def on_probe_sent(self, number: int, size: int, deadline: Instant) -> None:
        """A probe was sent. deadline: when it counts as lost unless it was acknowledged."""
        self._probe_size, self.probe_number, self._probe_deadline = size, number, deadline

    def is_awaiting(self, ranges: tuple[tuple[int, int], ...]) -> bool:
        """Whether those packet numbers have the probe among them that is under way."""
        return self.probe_number >= 0 and any(first <= self.probe_number <= last for first, last in ranges)

    def on_probe_acked(self, now: Instant) -> None:
        """The probe has arrived: `current` grows."""
        self.current = self._probe_size
        self.losses = 0
        self._forget_probe()
        self._end_search_if_over(now)

    def handle_timeout(self, now: Instant) -> bool:
        """Counts a probe as lost whose time is up, and begins to search again in time; whether `possible` changed."""
        before = self.possible
        if self._resume_at is not None and now >= self._resume_at:
            self._resume_at = None
            self._high = self.ceiling
        if self.probe_number >= 0 and now >= self._probe_deadline:
            self.probe_number = -1
            self._probes_lost += 1
            if self._probes_lost >= MTU_PROBES_MAX:
                self._high = self._probe_size - 1
                self._forget_probe()
                self._end_search_if_over(now)
        return self.possible != before

    def next_timeout(self) -> Instant | None:
        """When `handle_timeout` has something to do."""
        if self.probe_number >= 0:
            return self._probe_deadline
        return self._resume_at if self.is_wanted else None

    def on_outcome(self, now: Instant, *, has_arrived: bool, is_lost: bool) -> bool:
        """What an acknowledgement has settled about packets above BASE_MTU; whether `current` fell because of it.

        A whole window that is lost at once counts once: a full queue somewhere does that, too.
        """
        if has_arrived:
            self.losses = 0
        elif is_lost:
            self.losses += 1
        if self.losses < BLACK_HOLE_LOSSES or self.current <= BASE_MTU:
            return False
        self.current = min(BASE_MTU, self.ceiling)
        self.losses = 0
        self._forget_probe()
        self._high = self.current
        self._resume_at = now + BLACK_HOLE_PAUSE
        return True

    @property
    def _is_searching(self) -> bool:
        return self._resume_at is None and self._high > self.current

    def _next_size(self) -> int:
        if self._high == self.ceiling:
            # Most paths carry what they are expected to, so that the search is over after one probe or two.
            return self._likely if self.current < self._likely < self.ceiling else self.ceiling
        return (self.current + self._high + 1) // 2

    def _forget_probe(self) -> None:
        self._probe_size, self.probe_number, self._probes_lost = 0, -1, 0

    def _end_search_if_over(self, now: Instant) -> None:
        if self.current < self.ceiling and self._high - self.current < MTU_SEARCH_STEP:
            self._high = self.current
            self._resume_at = now + MTU_RAISE_INTERVAL
