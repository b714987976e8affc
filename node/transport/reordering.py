"""How much reordering a path shows, and how long a packet may therefore be overtaken before it counts as lost.

Two rules, as in RFC 9002 §6.1 and RFC 8985. By packets: so many that were sent later have arrived. By time: one that
was sent longer than the reordering window after it has. Both adapt: to packets that arrive late before anything was
declared lost, and to losses that turn out to be none. After 16 recoveries without such news they are forgotten.
"""

from __future__ import annotations

from node.transport.rtt import GRANULARITY, RttEstimator
from node.types import Duration

__all__ = ["PACKET_THRESHOLD", "PACKET_THRESHOLD_MAX", "Reordering"]

PACKET_THRESHOLD = 3
"""Later packets that must have arrived before one counts as lost (RFC 9002 §6.1.1)."""

PACKET_THRESHOLD_MAX = 20
"""Where packets are overtaken by more than this, their number says nothing, and time alone decides (RFC 8985 §6.2)."""

_WINDOW_DIVISOR = 4
"""The reordering window begins with a quarter of the smallest round trip (RFC 8985 §6.2 step 4)."""

_LATENESS_RTTS_MAX = 4
"""Round trips by which a path may be believed to delay one packet more than others."""

_VARIATION_RTTS_MAX = 2
"""Round trips that the variation may stand for: it is above half of one after an outlier alone."""

_RECOVERIES_REMEMBERED = 16
"""Recoveries after which reordering that was not seen again is forgotten (RFC 8985 §6.2 step 4)."""


class Reordering:
    """packet_threshold: later packets that must have arrived; 0 where their number decides nothing."""

    __slots__ = ("_lateness", "_multiplier", "_recoveries_left", "packet_threshold")

    def __init__(self) -> None:
        self.packet_threshold = PACKET_THRESHOLD
        self._multiplier = 1
        self._lateness: Duration = 0
        self._recoveries_left = _RECOVERIES_REMEMBERED

    def window(self, rtt: RttEstimator) -> Duration:
        """How much later a packet may have been sent and still arrive first.

        RFC 8985 allows up to one smoothed RTT, in steps of a quarter of the smallest. Where jitter reorders, that is
        too little: round trips that vary may swap packets that are as far apart, and where that was seen, the window
        covers half as much again as was seen, a round trip, and four times the variation as the RTO does. Both are
        bounded by round trips: what a peer that stood still made seconds late says nothing about the path.
        """
        if rtt.min_rtt is None or rtt.smoothed_rtt is None or rtt.rttvar is None:
            return GRANULARITY
        smoothed = rtt.smoothed_rtt
        window: Duration = min(self._multiplier * rtt.min_rtt // _WINDOW_DIVISOR, smoothed)
        if self._lateness:
            seen = min(self._lateness * 3 // 2, _LATENESS_RTTS_MAX * smoothed + rtt.max_ack_delay)
            return max(window, seen, smoothed, min(4 * rtt.rttvar, _VARIATION_RTTS_MAX * smoothed), GRANULARITY)
        return max(window, min(2 * rtt.rttvar, _VARIATION_RTTS_MAX * smoothed), GRANULARITY)

    def on_overtaken(self, packets: int, lateness: Duration) -> None:
        """A packet arrived although later ones had arrived before.

        packets: how many of them. lateness: how much longer than others its acknowledgement took.
        """
        self._recoveries_left = _RECOVERIES_REMEMBERED
        self._lateness = max(self._lateness, lateness, 1)
        if self.packet_threshold and packets >= self.packet_threshold:
            self.packet_threshold = packets + 1 if packets < PACKET_THRESHOLD_MAX else 0

    def on_spurious(self) -> None:
        """A loss turned out to be none; at most once per round trip."""
        self._recoveries_left = _RECOVERIES_REMEMBERED
        self._multiplier += 1

    def on_recovery(self) -> None:
        """Losses have begun a recovery."""
        self._recoveries_left -= 1
        if self._recoveries_left < 0:
            self.packet_threshold = PACKET_THRESHOLD
            self._multiplier = 1
            self._lateness = 0
            self._recoveries_left = _RECOVERIES_REMEMBERED
