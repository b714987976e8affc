"""A model of the path instead of a fear of loss: paces at the estimated bandwidth, and tells random loss from overflow.

Bandwidth is the largest delivery rate of the last rounds, propagation delay the smallest round trip of the last
seconds; pacing cycles around their product as in BBR (draft-cardwell-iccrg-bbr-congestion-control, version 1). What is
new is the loss floor: packets that were sent while the pacing rate was *below* the estimated bandwidth cannot have
overflowed a queue that we filled, so the share of them that is lost is the path's own. Pacing rate and window are
raised by 1 / (1 - floor), which keeps the path full under any such loss; losses above the floor change nothing, the
queue's delay does: a round in which even the fastest packet waited lowers the rate.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import Enum, auto

from node.transport.congestion.base import INITIAL_WINDOW_PACKETS, MINIMUM_WINDOW_PACKETS, initial_window
from node.transport.delivery_rate import RateSample
from node.transport.packet import SentPacket
from node.transport.rtt import INITIAL_RTT, RttEstimator
from node.types import MILLISECOND, SECOND, Duration, Instant

__all__ = ["LossFloor"]

_STARTUP_GAIN = 2.885
"""2 / ln 2: doubles the delivered rate each round."""

_CYCLE = (1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
"""Pacing gains of the steady state, one round trip each: look for more, drain what that queued, cruise."""

_WINDOW_GAIN = 2.0
_BANDWIDTH_ROUNDS = 10
_FULL_PIPE_GROWTH = 1.25
_FULL_PIPE_ROUNDS = 3
_MIN_RTT_EXPIRY: Duration = 10 * SECOND
_MIN_RTT_SLACK = 17 / 16
_PROBE_RTT_TIME: Duration = 200 * MILLISECOND

_FLOOR_SAMPLES_MIN = 60
_FLOOR_SAMPLES_MAX = 800
FLOOR_MAX = 0.3
"""Beyond this share of loss a path is broken rather than lossy; sending more would not help it."""

_QUEUE_SHARE = 0.5
_QUEUE_DELAY_MIN: Duration = 10 * MILLISECOND
_BACKOFF_STEP = 0.9
_BACKOFF_MIN = 0.7


class _Phase(Enum):
    STARTUP = auto()
    DRAIN = auto()
    CRUISE = auto()
    PROBE_RTT = auto()


class LossFloor:
    """Default for lossy paths. loss_floor: estimated share of packets that the path loses by itself."""

    __slots__ = (
        "_backoff",
        "_bandwidths",
        "_cycle_index",
        "_cycle_started_at",
        "_floor_lost",
        "_floor_sent",
        "_full_bandwidth",
        "_full_rounds",
        "_is_marked",
        "_is_stalled",
        "_min_rtt",
        "_min_rtt_at",
        "_next_round",
        "_packet_bytes",
        "_phase",
        "_probe_rtt_until",
        "_round",
        "_round_min_rtt",
        "congestion_window",
        "loss_floor",
        "slow_start_threshold",
    )

    name = "lossfloor"

    def __init__(self, packet_bytes: int) -> None:
        """packet_bytes: the largest packet that the path takes."""
        self._packet_bytes = packet_bytes
        self._phase = _Phase.STARTUP
        self._bandwidths: deque[tuple[int, int]] = deque()
        self._min_rtt: Duration | None = None
        self._min_rtt_at: Instant = 0
        self._round = 0
        self._next_round = 0
        self._round_min_rtt: Duration | None = None
        self._full_bandwidth = 0
        self._full_rounds = 0
        self._cycle_index = 0
        self._cycle_started_at: Instant = 0
        self._probe_rtt_until: Instant | None = None
        self._floor_sent = 0.0
        self._floor_lost = 0.0
        self._backoff = 1.0
        self._is_marked = False
        self._is_stalled = False
        self.loss_floor = 0.0
        self.congestion_window = initial_window(packet_bytes)
        self.slow_start_threshold: int | None = None

    @property
    def bandwidth(self) -> int:
        """Estimated bytes per second that the path delivers; 0 while unknown."""
        return self._bandwidths[0][1] if self._bandwidths else 0

    def on_packet_size(self, packet_bytes: int) -> None:
        """Begins with the initial window for packets of that many bytes."""
        self._packet_bytes = packet_bytes
        self.congestion_window = initial_window(packet_bytes)

    def on_packet_sent(self, packet: SentPacket) -> None:
        """Marks packets that no queue of ours can have dropped."""
        packet.is_below_rate = self._gain() < 1.0

    def on_packets_acked(self, packets: Sequence[SentPacket], is_window_limited: bool) -> None:
        """Counts arrivals among the marked packets."""
        self._is_stalled = False
        self._count(sum(packet.is_below_rate for packet in packets), 0)

    def on_packets_lost(self, packets: Sequence[SentPacket], now: Instant) -> None:
        """Counts losses among the marked packets; the others change nothing."""
        lost = sum(packet.is_below_rate for packet in packets)
        self._count(lost, lost)

    def on_packets_spurious(self, packets: Sequence[SentPacket]) -> None:
        """Those were not lost: the floor counts them as arrived."""
        self._count(0, -sum(packet.is_below_rate for packet in packets))

    def on_congestion_experienced(self, sent_at: Instant, now: Instant) -> None:
        """A mark tells of a queue, as a round trip does that has become long."""
        self._is_marked = True

    def on_persistent_congestion(self, now: Instant) -> None:
        """As `on_timeout`."""
        self._is_stalled = True
        self._update_window()

    def on_timeout(self, packets: Sequence[SentPacket], now: Instant) -> None:
        """Sends next to nothing until something comes back; the model stays, since it is no evidence against it."""
        self._is_stalled = True
        self._update_window()

    def on_sample(self, sample: RateSample) -> None:
        """Updates the model, the phase and the window."""
        is_new_round = sample.prior_delivered >= self._next_round
        if is_new_round:
            self._round += 1
            self._next_round = sample.delivered
        self._update_bandwidth(sample)
        self._update_min_rtt(sample)
        if is_new_round:
            self._end_round(sample)
        self._advance(sample)
        self._update_window()

    def pacing_rate(self, rtt: RttEstimator) -> int:
        """Bytes per second; in startup at least what the initial window allows."""
        rate = int(self._gain() * self._backoff * self.bandwidth / (1.0 - self.loss_floor))
        if self._phase is _Phase.STARTUP:
            # Until the pipe was full once, the estimate may only show how little there was to send.
            initial = initial_window(self._packet_bytes) * SECOND // (rtt.smoothed_rtt or INITIAL_RTT)
            return max(int(_STARTUP_GAIN * initial), rate)
        return max(1, rate)

    def _gain(self) -> float:
        match self._phase:
            case _Phase.STARTUP:
                return _STARTUP_GAIN
            case _Phase.DRAIN:
                return 1 / _STARTUP_GAIN
            case _Phase.CRUISE:
                return _CYCLE[self._cycle_index]
            case _Phase.PROBE_RTT:
                return 1.0

    def _count(self, sent: int, lost: int) -> None:
        self._floor_sent += sent
        self._floor_lost = max(0.0, self._floor_lost + lost)
        if self._floor_sent > _FLOOR_SAMPLES_MAX:
            self._floor_sent /= 2
            self._floor_lost /= 2
        if self._floor_sent >= _FLOOR_SAMPLES_MIN:
            self.loss_floor = min(self._floor_lost / self._floor_sent, FLOOR_MAX)

    def _update_bandwidth(self, sample: RateSample) -> None:
        window = self._bandwidths
        if not sample.rate or (sample.is_app_limited and sample.rate <= self.bandwidth):
            return
        # Estimates expire when there is a better one only: a pause in sending is no news of the path.
        while window and window[0][0] <= self._round - _BANDWIDTH_ROUNDS:
            window.popleft()
        while window and window[-1][1] <= sample.rate:
            window.pop()
        window.append((self._round, sample.rate))

    def _update_min_rtt(self, sample: RateSample) -> None:
        latest = sample.latest_rtt
        if latest is None:
            return
        if self._round_min_rtt is None or latest < self._round_min_rtt:
            self._round_min_rtt = latest
        if self._min_rtt is None or latest <= self._min_rtt:
            self._min_rtt, self._min_rtt_at = latest, sample.now
        elif latest <= self._min_rtt * _MIN_RTT_SLACK:
            # As good as the minimum: the estimate still holds, and the path need not be emptied to renew it.
            self._min_rtt_at = sample.now

    def _end_round(self, sample: RateSample) -> None:
        if self._phase is _Phase.STARTUP and not sample.is_app_limited:
            if self.bandwidth >= self._full_bandwidth * _FULL_PIPE_GROWTH:
                self._full_bandwidth = self.bandwidth
                self._full_rounds = 0
            else:
                self._full_rounds += 1
        if self._phase is _Phase.CRUISE and self._round_min_rtt is not None and self._min_rtt is not None:
            allowed = self._min_rtt + max(int(self._min_rtt * _QUEUE_SHARE), _QUEUE_DELAY_MIN)
            is_queued = self._round_min_rtt > allowed
            self._backoff = max(_BACKOFF_MIN, self._backoff * _BACKOFF_STEP) if is_queued else 1.0
        self._round_min_rtt = None

    def _advance(self, sample: RateSample) -> None:
        if self._phase is _Phase.STARTUP and self._full_rounds >= _FULL_PIPE_ROUNDS:
            self._phase = _Phase.DRAIN
        if self._phase is _Phase.DRAIN and sample.bytes_in_flight <= self._bdp():
            self._enter_cruise(sample.now)
        elif self._phase is _Phase.CRUISE:
            self._advance_cycle(sample)
        self._probe_rtt(sample)

    def _enter_cruise(self, now: Instant) -> None:
        self._phase = _Phase.CRUISE
        self._cycle_index = 2
        self._cycle_started_at = now

    def _advance_cycle(self, sample: RateSample) -> None:
        gain = _CYCLE[self._cycle_index]
        has_lasted = sample.now - self._cycle_started_at > (self._min_rtt or 0)
        # Draining may end early, once nothing of ours is queued any more.
        is_drained = gain < 1.0 and sample.bytes_in_flight <= self._bdp() and self._floor_sent >= _FLOOR_SAMPLES_MIN
        if has_lasted or is_drained:
            self._cycle_index = (self._cycle_index + 1) % len(_CYCLE)
            self._cycle_started_at = sample.now

    def _probe_rtt(self, sample: RateSample) -> None:
        if self._phase is _Phase.PROBE_RTT:
            if self._probe_rtt_until is not None and sample.now >= self._probe_rtt_until:
                self._min_rtt_at = sample.now
                self._enter_cruise(sample.now)
        elif self._min_rtt is not None and sample.now - self._min_rtt_at > _MIN_RTT_EXPIRY:
            if sample.is_app_limited:
                # With so little to send there is no queue of ours: the latest round trip is the propagation delay.
                self._min_rtt, self._min_rtt_at = sample.latest_rtt or self._min_rtt, sample.now
                return
            self._phase = _Phase.PROBE_RTT
            self._probe_rtt_until = sample.now + max(_PROBE_RTT_TIME, self._min_rtt)
            self._min_rtt = sample.latest_rtt or self._min_rtt

    def _bdp(self) -> int:
        """Bytes that fill the path, what it will lose included."""
        if self._min_rtt is None:
            return initial_window(self._packet_bytes)
        return int(self.bandwidth * self._min_rtt / SECOND / (1.0 - self.loss_floor))

    def _update_window(self) -> None:
        minimum = MINIMUM_WINDOW_PACKETS * self._packet_bytes
        if self._is_stalled:
            self.congestion_window = minimum
            return
        if self._phase is _Phase.PROBE_RTT:
            self.congestion_window = max(minimum, self._bdp() // 2)
            return
        gain = _STARTUP_GAIN if self._phase in (_Phase.STARTUP, _Phase.DRAIN) else _WINDOW_GAIN
        # Three bursts more: acknowledgements come in batches, and a window just large enough would wait for them.
        target = int(gain * self._bdp()) + 3 * INITIAL_WINDOW_PACKETS * self._packet_bytes
        if self._phase is _Phase.STARTUP:
            target = max(target, self.congestion_window)
        self.congestion_window = max(minimum, target)
