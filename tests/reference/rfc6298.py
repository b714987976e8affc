"""RFC 6298, "Computing TCP's Retransmission Timer", sections 2 and 5, written down as the text says it.

Exact rational numbers, no optimisation, no bounds on the input: this is what the transport is compared with, so it
shares no code with it. Times are in nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

__all__ = ["RetransmissionTimer"]

ALPHA = Fraction(1, 8)
BETA = Fraction(1, 4)
K = 4


@dataclass
class RetransmissionTimer:
    """One connection's timer. clock_granularity is G; rto_min and rto_max are the bounds of (2.4) and (2.5)."""

    clock_granularity: int
    rto_min: int = 1_000_000_000
    rto_max: int = 60_000_000_000
    srtt: Fraction | None = None
    rttvar: Fraction | None = None
    rto: Fraction = Fraction(1_000_000_000)

    def measure(self, r: int | Fraction) -> None:
        """An RTT measurement R, taken by Karn's algorithm: never from a segment that was sent twice (3)."""
        r = Fraction(r)
        if self.srtt is None or self.rttvar is None:
            # (2.2) When the first RTT measurement R is made
            self.srtt = r
            self.rttvar = r / 2
        else:
            # (2.3) When a subsequent RTT measurement R' is made; RTTVAR before SRTT
            self.rttvar = (1 - BETA) * self.rttvar + BETA * abs(self.srtt - r)
            self.srtt = (1 - ALPHA) * self.srtt + ALPHA * r
        self.rto = self._bounded(self.unbounded_rto())

    def unbounded_rto(self) -> Fraction:
        """SRTT + max (G, K*RTTVAR)."""
        assert self.srtt is not None
        assert self.rttvar is not None
        return self.srtt + max(Fraction(self.clock_granularity), K * self.rttvar)

    def expire(self) -> None:
        """(5.5) The host MUST set RTO <- RTO * 2 ("back off the timer"), up to the maximum of (2.5)."""
        self.rto = min(self.rto * 2, Fraction(self.rto_max))

    def _bounded(self, rto: Fraction) -> Fraction:
        # (2.4) Whenever RTO is computed, if it is less than the minimum, it is rounded up to it; (2.5) the maximum.
        return min(max(rto, Fraction(self.rto_min)), Fraction(self.rto_max))
