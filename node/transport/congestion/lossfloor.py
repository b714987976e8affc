"""A model of the path instead of a fear of loss: paces at the estimated bandwidth, and tells random loss from overflow.

Bandwidth is the largest delivery rate of the last rounds, propagation delay the smallest round trip of the last
seconds; pacing cycles around their product as in BBR (draft-cardwell-iccrg-bbr-congestion-control, version 1). Two
things are new. The loss floor (`floor`): packets that were sent below the estimated bandwidth while the queue was short
cannot have overflowed a queue that we filled, so the share of them that is lost is the path's own. Pacing rate and
window are raised by 1 / (1 - floor), which keeps the path full under any such loss, as long as no queue shows that it
is full already. And the window: twice the path, but where a queue stands the path and a little more, which grows with
the root of a flow's share only, so that flows in one queue come to equal shares as those of TCP Vegas do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import Enum, auto

from node.transport.congestion.base import MINIMUM_WINDOW_PACKETS, initial_window
from node.transport.congestion.floor import Floor
from node.transport.delivery_rate import RateSample
from node.transport.packet import SentPacket
from node.transport.rtt import INITIAL_RTT, RttEstimator
from node.types import MILLISECOND, SECOND, Duration, Instant
from node.wire.limits import SEND_QUEUE_BYTES_MAX

__all__ = ["LossFloor"]

_STARTUP_GAIN = 2.885
"""2 / ln 2: doubles the delivered rate each round."""

_CYCLE = (1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
"""Pacing gains of the steady state, one round trip each: look for more, drain what that queued, cruise."""

_RISE = 1.1
"""Growth of the estimate in one probe from which the next one follows at once."""

_BANDWIDTH_ROUNDS = 10
_FULL_PIPE_GROWTH = 1.25
_FULL_PIPE_ROUNDS = 3
_MIN_RTT_EXPIRY: Duration = 5 * SECOND // 2
"""Often enough for flows that met in a full queue to learn the propagation delay, and with it to share, within seconds;
at most 1.5 % of the path is spent on it, and nothing where the queue is short anyway."""

_PROBE_RTT_TIME_MIN: Duration = 10 * MILLISECOND
_PROBE_RTT_SHARE = 0.5

_SHORT_QUEUE = 1.3
"""Round trips up to this multiple of the smallest show a queue no longer than the own probes make it."""

_OWN_QUEUE = 9 / 8
_NO_QUEUE = 33 / 32
"""Round trips, in multiples of the smallest, that show the queue of an own probe, and that it has gone again."""

_SPARE_ROOT = 1.0
_SPARE_PACKETS = 2
_SPARE_TIME: Duration = 2 * MILLISECOND
_SPARE_BURST_PACKETS = 26
_SPARE_JITTER = 2.0
"""What a window may hold beyond the path: see `_spare`."""

_WINDOW_SURPLUS = 1.0
"""How much more than the path a window holds where no queue stands."""

_MADE_UP_STEP = 0.25
_QUEUE_SAMPLES_MIN = 8
_BACKOFF_STEP = 0.9
_BACKOFF_MIN = 0.7


class _Phase(Enum):
    STARTUP = auto()
    DRAIN = auto()
    CRUISE = auto()
    PROBE_RTT = auto()


_GAINS = {_Phase.STARTUP: _STARTUP_GAIN, _Phase.DRAIN: 1 / _STARTUP_GAIN, _Phase.CRUISE: 1.0, _Phase.PROBE_RTT: 1.0}
"""Pacing gains; CRUISE goes through its _CYCLE."""


class LossFloor:
    """Default for lossy paths. bandwidth: estimated bytes per second that the path delivers; 0 while unknown."""

    __slots__ = (
        "_backoff",
        "_bandwidths",
        "_cycle_index",
        "_cycle_started_at",
        "_floor",
        "_full_bandwidth",
        "_full_rounds",
        "_gain",
        "_initial_window",
        "_is_marked",
        "_is_queued",
        "_is_stalled",
        "_jitter",
        "_latest_rtt",
        "_made_up",
        "_min_rtt",
        "_min_rtt_at",
        "_next_round",
        "_older_min_rtt",
        "_packet_bytes",
        "_peak_rtt",
        "_phase",
        "_probe_rtt_until",
        "_probed_bandwidth",
        "_recent_rate",
        "_round",
        "_round_min_rtt",
        "_round_samples",
        "_was_queued",
        "bandwidth",
        "congestion_window",
        "slow_start_threshold",
    )

    name = "lossfloor"

    def __init__(self, packet_bytes: int) -> None:
        """packet_bytes: the largest packet that the path takes."""
        self._packet_bytes = packet_bytes
        self._enter(_Phase.STARTUP)
        self._bandwidths: deque[tuple[int, int]] = deque()
        self.bandwidth = 0
        self._min_rtt: Duration | None = None
        self._min_rtt_at: Instant = 0
        self._round = 0
        self._next_round = 0
        self._older_min_rtt: Duration | None = None
        self._round_min_rtt: Duration | None = None
        self._round_samples = 0
        self._made_up = 1.0
        self._latest_rtt: Duration | None = None
        self._jitter = 0.0
        self._peak_rtt: Duration = 0
        self._recent_rate = 0.0
        self._full_bandwidth = 0
        self._full_rounds = 0
        self._cycle_index = 0
        self._cycle_started_at: Instant = 0
        self._probe_rtt_until: Instant | None = None
        self._probed_bandwidth = 0
        self._floor = Floor()
        self._backoff = 1.0
        self._is_marked = False
        self._is_queued = False
        self._is_stalled = False
        self._was_queued = False
        self.congestion_window = self._initial_window = initial_window(packet_bytes)
        self.slow_start_threshold: int | None = None

    @property
    def loss_floor(self) -> float:
        """Estimated share of packets that the path loses by itself."""
        return self._floor.value

    def on_packet_size(self, packet_bytes: int) -> None:
        """Begins with the initial window for packets of that many bytes."""
        self.on_mtu_change(packet_bytes)
        self.congestion_window = self._initial_window

    def on_mtu_change(self, packet_bytes: int) -> None:
        """Counts in packets of that many bytes from now on."""
        self._packet_bytes = packet_bytes
        self._initial_window = initial_window(packet_bytes)

    def on_packet_sent(self, packet: SentPacket) -> None:
        """Marks packets that no queue of ours can have dropped."""
        packet.is_below_rate = self._gain < 1.0 and not self._is_queued

    def on_packets_acked(self, packets: Sequence[SentPacket], is_window_limited: bool) -> None:
        """Counts arrivals among the marked packets."""
        if self._is_stalled:
            self._is_stalled = False
            self._update_window()
        below = 0
        for packet in packets:
            below += packet.is_below_rate
        if below:
            self._floor.count(below, 0)

    def on_packets_lost(self, packets: Sequence[SentPacket], now: Instant) -> None:
        """Counts losses among the marked packets; the others change nothing."""
        lost = sum(packet.is_below_rate for packet in packets)
        self._floor.count(lost, lost)

    def on_packets_spurious(self, packets: Sequence[SentPacket]) -> None:
        """Those were not lost: the floor counts them as arrived."""
        self._floor.count(0, -sum(packet.is_below_rate for packet in packets))

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
        if sample.is_app_limited and not sample.bytes_in_flight and sample.rate <= self.bandwidth:
            # Nothing else was under way, and nothing waited: all that it tells is how long the path is.
            self._update_min_rtt(sample)
            self._advance(sample)
            return
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
        rate = int(self._gain * self._backoff * self.bandwidth * self._excess())
        least = 1
        if self._phase is _Phase.STARTUP:
            # Until the pipe was full once, the estimate may only show how little there was to send.
            initial = self._initial_window * SECOND // (rtt.smoothed_rtt or INITIAL_RTT)
            least = int(_STARTUP_GAIN * initial)
        return rate if rate > least else least

    def _enter(self, phase: _Phase) -> None:
        self._phase = phase
        self._gain = _GAINS[phase]

    def _update_bandwidth(self, sample: RateSample) -> None:
        window = self._bandwidths
        rate = sample.rate
        if rate:
            self._recent_rate += (rate - self._recent_rate) / 8
        if not rate or (sample.is_app_limited and rate <= self.bandwidth):
            return
        # Estimates expire when there is a better one only: a pause in sending is no news of the path.
        while window and window[0][0] <= self._round - _BANDWIDTH_ROUNDS:
            window.popleft()
        while window and window[-1][1] <= rate:
            window.pop()
        window.append((self._round, rate))
        self.bandwidth = window[0][1]

    def _update_min_rtt(self, sample: RateSample) -> None:
        latest = sample.latest_rtt
        if latest is None:
            return
        self._round_samples += 1
        if self._round_min_rtt is None or latest < self._round_min_rtt:
            self._round_min_rtt = latest
        # From one sample to the next, as in RFC 3550 §6.4.1: a queue changes slowly, jitter at once.
        if self._latest_rtt is not None:
            self._jitter += (abs(latest - self._latest_rtt) - self._jitter) / 16
        self._latest_rtt = latest
        min_rtt = self._min_rtt
        if min_rtt is None or latest <= min_rtt:
            min_rtt = self._min_rtt = latest
            self._min_rtt_at = sample.now
        elif latest > min_rtt * _OWN_QUEUE:
            self._was_queued = True
        elif self._was_queued and latest <= min_rtt * _NO_QUEUE:
            # Our own probe made a queue, and it has gone again: the estimate holds, and need not be renewed.
            self._was_queued = False
            self._min_rtt_at = sample.now
        if latest > self._peak_rtt:
            self._peak_rtt = latest
        # Where the smallest round trip was measured in a queue of others, that queue still shows by its changes.
        middle = (min_rtt + self._peak_rtt) / 2 + _SPARE_JITTER * self._jitter
        is_long = latest > middle and latest > min_rtt * _NO_QUEUE + _SPARE_TIME
        self._is_queued = is_long or latest > self._short_queue_rtt()

    def _short_queue_rtt(self) -> float:
        """The longest round trip that shows no more of a queue than the own probes make."""
        spare = _SPARE_TIME + _SPARE_JITTER * self._jitter
        return (self._min_rtt or 0) * _SHORT_QUEUE + spare

    def _end_round(self, sample: RateSample) -> None:
        is_queued = self._round_min_rtt is not None and self._round_min_rtt > self._short_queue_rtt()
        if self._phase is _Phase.STARTUP and not self._has_little_to_send(sample):
            if self.bandwidth >= self._full_bandwidth * _FULL_PIPE_GROWTH:
                self._full_bandwidth = self.bandwidth
                self._full_rounds = 0
            else:
                self._full_rounds += 1
            if self._is_marked or (is_queued and self._round_samples >= _QUEUE_SAMPLES_MIN):
                # Even the fastest packet waited: the pipe is full, and every further round would double the queue.
                self._full_rounds = _FULL_PIPE_ROUNDS
        # Where a queue stands, the path is full already, whatever it loses.
        if is_queued:
            self._made_up = max(0.0, self._made_up - _MADE_UP_STEP)
        elif self._made_up < 1.0:
            self._made_up = min(1.0, self._made_up + _MADE_UP_STEP)
        self._backoff = max(_BACKOFF_MIN, self._backoff * _BACKOFF_STEP) if self._is_marked else 1.0
        self._is_marked = False
        if self._min_rtt is not None:
            self._peak_rtt -= (self._peak_rtt - self._min_rtt) // 10
        self._floor.on_round()
        self._round_min_rtt = None
        self._round_samples = 0

    def _has_little_to_send(self, sample: RateSample) -> bool:
        """Whether the application is what limits the rate.

        The queue is bounded, and may be empty because most of it is under way: more than the path holds.
        """
        is_full = sample.bytes_in_flight > SEND_QUEUE_BYTES_MAX // 2 and sample.bytes_in_flight > self._bdp()
        return sample.is_app_limited and not is_full

    def _advance(self, sample: RateSample) -> None:
        if self._phase is _Phase.STARTUP and self._full_rounds >= _FULL_PIPE_ROUNDS:
            self._enter(_Phase.DRAIN)
        if self._phase is _Phase.DRAIN and sample.bytes_in_flight <= self._bdp():
            self._enter_cruise(sample.now)
        elif self._phase is _Phase.CRUISE:
            self._advance_cycle(sample)
        if self._phase is _Phase.PROBE_RTT:
            self._advance_probe_rtt(sample)
        elif self._min_rtt is not None and sample.now - self._min_rtt_at > _MIN_RTT_EXPIRY:
            self._renew_min_rtt(self._min_rtt, sample)

    def _enter_cruise(self, now: Instant) -> None:
        self._enter(_Phase.CRUISE)
        self._cycle_index = 2
        self._cycle_started_at = now

    def _advance_cycle(self, sample: RateSample) -> None:
        gain = self._gain
        has_lasted = sample.now - self._cycle_started_at > (self._min_rtt or 0)
        # Draining may end early, once nothing of ours is queued any more.
        is_drained = gain < 1.0 and sample.bytes_in_flight <= self._bdp()
        if not has_lasted and not is_drained:
            return
        # A probe that found what it asked for, without a queue, goes on: the path has become faster, or startup
        # ended too soon.
        is_rising = gain > 1.0 and not self._is_queued and self.bandwidth >= self._probed_bandwidth * _RISE
        if not is_rising:
            self._cycle_index = (self._cycle_index + 1) % len(_CYCLE)
            self._gain = _CYCLE[self._cycle_index]
        self._cycle_started_at = sample.now
        self._probed_bandwidth = self.bandwidth

    def _renew_min_rtt(self, min_rtt: Duration, sample: RateSample) -> None:
        # A queue of others may hide the propagation delay for one such period, hardly for two.
        measured = sample.latest_rtt or min_rtt
        self._min_rtt = min(measured, self._older_min_rtt or measured)
        self._older_min_rtt = min_rtt
        if self._has_little_to_send(sample):
            # There is no queue of ours: the latest round trip is the propagation delay.
            self._min_rtt_at = sample.now
            return
        self._enter(_Phase.PROBE_RTT)
        self._probe_rtt_until = None

    def _advance_probe_rtt(self, sample: RateSample) -> None:
        """Holds the window low until a packet that was sent into the emptied queue has come back."""
        if self._probe_rtt_until is None:
            if sample.bytes_in_flight <= self.congestion_window:
                self._probe_rtt_until = sample.now + max(_PROBE_RTT_TIME_MIN, sample.latest_rtt or self._min_rtt or 0)
        elif sample.now >= self._probe_rtt_until:
            self._min_rtt_at = sample.now
            self._enter_cruise(sample.now)

    def _bdp(self) -> int:
        """Bytes that fill the path, what it will lose included."""
        if self._min_rtt is None:
            return self._initial_window
        return int(self.bandwidth * self._min_rtt / SECOND * self._excess())

    def _excess(self) -> float:
        """How much more to send than arrives, to make up for what the path loses by itself."""
        floor = self._floor.value
        return 1.0 / (1.0 - floor * self._made_up) if floor else 1.0

    def _update_window(self) -> None:
        minimum = MINIMUM_WINDOW_PACKETS * self._packet_bytes
        if self._is_stalled:
            self.congestion_window = minimum
            return
        if self._phase is _Phase.PROBE_RTT:
            self.congestion_window = max(minimum, int(_PROBE_RTT_SHARE * self._bdp()))
            return
        # Where no queue stands, a host that is late by milliseconds must not run out of window.
        gain = 1.0 + _WINDOW_SURPLUS * self._made_up
        bdp = self._bdp()
        target = int((gain if gain > self._gain else self._gain) * bdp) + self._spare(bdp)
        if target < self.congestion_window and self._phase is _Phase.STARTUP:
            target = self.congestion_window
        self.congestion_window = target if target > minimum else minimum

    def _spare(self, bdp: int) -> int:
        """Bytes that the window holds beyond the path: what a flow may have in a queue that it shares.

        Flows that fill a queue together divide the path in proportion to what each has in it. As in TCP Vegas that
        must not grow in proportion to a flow's rate, or who has much would keep it; the root gives small flows more.
        The rest is for bursts of the pacer and for round trips that vary by themselves.
        """
        packets = _SPARE_PACKETS + _SPARE_ROOT * (bdp / self._packet_bytes) ** 0.5
        burst = min(self.bandwidth * _SPARE_TIME / SECOND, _SPARE_BURST_PACKETS * self._packet_bytes)
        # A line that lets a burst through shows a bandwidth that it does not have for long: what arrives lately counts.
        jitter = min(self.bandwidth, self._recent_rate) * _SPARE_JITTER * self._jitter / SECOND
        return int(packets * self._packet_bytes + burst + jitter)
