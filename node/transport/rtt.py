"""Round-trip time and retransmission timer of one connection (RFC 9002 §5, RFC 6298 §2 and §5).

Samples come from acknowledgements of packet numbers that are never reused, so that none can be ambiguous (Karn's
problem does not arise).
"""

from __future__ import annotations

from node.types import MILLISECOND, Duration

__all__ = ["GRANULARITY", "INITIAL_RTT", "SAMPLE_TIME", "SAMPLE_WEIGHT_MAX", "RttEstimator"]

GRANULARITY: Duration = 1 * MILLISECOND
"""Clock granularity G: no timer is set finer than this (RFC 9002 §6.1.2)."""

INITIAL_RTT: Duration = 100 * MILLISECOND
"""Assumed before the first sample. RFC 9002 §6.2.2 says 333 ms; a testnet's paths are shorter."""


SAMPLE_TIME: Duration = 250 * MILLISECOND
"""Time for which one sample stands. RFC 6298 §3 counts on one in every round trip; a link that has a heartbeat in two
seconds would show for a minute and a half what its path is over with."""

SAMPLE_WEIGHT_MAX = 8
"""What one sample counts for at most; more would let a lucky one decide alone when a path counts as lossy."""


class RttEstimator:
    """latest_rtt, smoothed_rtt, rttvar and min_rtt of a path; None before the first sample.

    adjusted_rtt: the latest sample without the time for which the peer held its acknowledgement back.
    """

    __slots__ = ("adjusted_rtt", "latest_rtt", "max_ack_delay", "min_rtt", "rttvar", "smoothed_rtt")

    def __init__(self, max_ack_delay: Duration) -> None:
        """max_ack_delay: what the peer may hold an acknowledgement back."""
        self.max_ack_delay = max_ack_delay
        self.latest_rtt: Duration | None = None
        self.adjusted_rtt: Duration = 0
        self.smoothed_rtt: Duration | None = None
        self.rttvar: Duration | None = None
        self.min_rtt: Duration | None = None

    def reset(self) -> None:
        """Forgets every sample: the path is another one."""
        self.latest_rtt = self.smoothed_rtt = self.rttvar = self.min_rtt = None
        self.adjusted_rtt = 0

    def renew_min(self) -> None:
        """The path may have become longer for good: the smallest begins with the latest sample (RFC 9002 §5.2)."""
        self.min_rtt = self.latest_rtt

    def update(self, latest_rtt: Duration, ack_delay: Duration, since: Duration = 0) -> None:
        """Takes one sample (RFC 9002 §5.3). ack_delay: as the peer reported it; capped at its own promise.

        since: time since the sample before; one that is alone for long counts for several.
        """
        self.latest_rtt = latest_rtt
        self.adjusted_rtt = latest_rtt
        if self.smoothed_rtt is None or self.rttvar is None or self.min_rtt is None:
            self.min_rtt = self.smoothed_rtt = latest_rtt
            self.rttvar = latest_rtt // 2
            return
        if latest_rtt < self.min_rtt:
            self.min_rtt = latest_rtt
        if ack_delay > self.max_ack_delay:
            ack_delay = self.max_ack_delay
        adjusted_rtt = latest_rtt - ack_delay if latest_rtt >= self.min_rtt + ack_delay else latest_rtt
        self.adjusted_rtt = adjusted_rtt
        is_rare = since > SAMPLE_TIME
        for step in range(min(SAMPLE_WEIGHT_MAX, (since + SAMPLE_TIME // 2) // SAMPLE_TIME) if is_rare else 1):
            # rttvar first: RFC 6298 §2.3 takes the deviation from the smoothed value as it was before this sample. It
            # takes every other repetition only, or it falls too far.
            if step % 2 == 0:
                self.rttvar = (3 * self.rttvar + abs(self.smoothed_rtt - adjusted_rtt)) // 4
            self.smoothed_rtt = (7 * self.smoothed_rtt + adjusted_rtt) // 8

    def computed_rto(self) -> Duration:
        """smoothed_rtt + max(G, 4 * rttvar) + max_ack_delay (RFC 6298 §2.3, RFC 9002 §6.2.1), without any floor."""
        if self.smoothed_rtt is None or self.rttvar is None:
            return INITIAL_RTT + 2 * INITIAL_RTT + self.max_ack_delay
        # The peer may hold its acknowledgement this long on purpose; a shorter timer would probe a healthy path.
        variation = 4 * self.rttvar
        return self.smoothed_rtt + (variation if variation > GRANULARITY else GRANULARITY) + self.max_ack_delay

    def loss_delay(self, numerator: int, denominator: int) -> Duration:
        """How long a packet may be overtaken before it counts as lost (RFC 9002 §6.1.2): a multiple of the RTT."""
        if self.smoothed_rtt is None or self.latest_rtt is None:
            base = INITIAL_RTT
        else:
            base = max(self.smoothed_rtt, self.latest_rtt)
        return max(numerator * base // denominator, GRANULARITY)
