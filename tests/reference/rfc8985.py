"""RFC 8985, "The RACK-TLP Loss Detection Algorithm for TCP", section 6.2, on top of RFC 9002's loss detection.

Steps 1 to 5 as the text has them, with packet numbers for sequence numbers: sets are walked in full and times are exact
rationals, so that it shares no code with the transport. What the transport does otherwise (docs/TRANSPORT.md, section
on departures) is marked as such.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from tests.reference.rfc9002 import LossDetection, SentPacket

__all__ = ["RackDetection"]

DUP_THRESH = 3
REORDERING_MAX = 20
REO_WND_PERSIST = 16


@dataclass
class RackDetection(LossDetection):
    """RACK.rtt is `rack_rtt`; `delivered` holds what was acknowledged, as SACK does."""

    delivered: set[int] = field(default_factory=set)
    rack_rtt: Fraction = Fraction(0)
    reo_wnd_mult: int = 1
    lateness: Fraction = Fraction(0)
    dup_thresh: int | None = DUP_THRESH

    def on_ack_received(
        self, acknowledged: set[int], ack_delay: int, now: int
    ) -> tuple[list[SentPacket], list[SentPacket]]:
        """Steps 1 and 3: the newest delivered packet gives RACK.rtt, older ones show reordering."""
        before = set(self.delivered)
        base = self.base()
        for number in sorted(acknowledged & self.sent_packets.keys()):
            later = len([one for one in before if one > number])
            if later:
                # Departure: how late it came is remembered, and the threshold follows as RFC 9002 §6.1.1 allows.
                self.lateness = max(self.lateness, now - self.sent_packets[number].time_sent - base, Fraction(1))
                if self.dup_thresh is not None and later >= self.dup_thresh:
                    self.dup_thresh = later + 1 if later < REORDERING_MAX else None
        self.delivered |= acknowledged
        newest = max(acknowledged)
        if newest in self.sent_packets:
            self.rack_rtt = Fraction(now - self.sent_packets[newest].time_sent)
        return super().on_ack_received(acknowledged, ack_delay, now)

    def base(self) -> Fraction:
        """RACK.rtt. Departure: not far below what is usual, since a packet may skip the queue of the others."""
        usual = self.smoothed_rtt - self.rttvar if self.first_rtt_sample is not None else Fraction(0)
        return max(self.rack_rtt, usual)

    def reo_wnd(self) -> Fraction:
        """Step 4: RACK_update_reo_wnd. Departure: wider where round trips vary, up to a few of them."""
        window = min(self.reo_wnd_mult * self.min_rtt / 4, self.smoothed_rtt)
        if self.lateness:
            lateness = min(self.lateness * 3 / 2, 4 * self.smoothed_rtt + self.max_ack_delay)
            variation = min(4 * self.rttvar, 2 * self.smoothed_rtt)
            return max(window, lateness, self.smoothed_rtt, variation, Fraction(self.granularity))
        return max(window, min(2 * self.rttvar, 2 * self.smoothed_rtt), Fraction(self.granularity))

    def detect_and_remove_lost_packets(self, now: int) -> list[SentPacket]:
        """Step 5: RACK_detect_loss, and the packet rule: DupThresh later packets have been delivered."""
        newest = max(self.delivered)
        timeout = self.base() + self.reo_wnd()
        lost, self.loss_time = [], None
        for number in sorted(self.sent_packets):
            packet = self.sent_packets[number]
            if number > newest:
                continue
            later = len([one for one in self.delivered if one > number])
            is_overtaken = self.dup_thresh is not None and later >= self.dup_thresh
            if is_overtaken or packet.time_sent + timeout <= now:
                lost.append(self.sent_packets.pop(number))
            elif self.loss_time is None or packet.time_sent + timeout < self.loss_time:
                self.loss_time = packet.time_sent + timeout
        return lost
