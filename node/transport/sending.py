"""The sending half of a connection: builds packets, and learns from acknowledgements and timers what became of them.

Owns the queue of what is to be said, the ledger of what is in flight, the congestion controller and the pacer, and
brings them together; the rules are theirs. What happened to messages goes into the events of the connection.
"""

from __future__ import annotations

from collections import deque

from node.transport.ack import AckTracker
from node.transport.congestion import new_controller
from node.transport.ecn import EcnState, EcnValidation
from node.transport.events import Event, MessageAcknowledged, MessageFailed
from node.transport.mtu import MtuSearch
from node.transport.outbox import Outbox
from node.transport.pacing import Pacer
from node.transport.packet import SentPacket
from node.transport.protection import Protection
from node.transport.recovery import AckOutcome, Expiry, Recovery
from node.transport.rtt import RttEstimator
from node.transport.settings import TransportSettings
from node.transport.stats import ConnectionStats
from node.transport.trace import Trace
from node.types import SECOND, Duration, Entropy, Instant, earlier
from node.wire.frames import AckFrame, CloseFrame
from node.wire.limits import BASE_MTU, HEADER_BYTES, SKIP_PERIOD_MAX, SKIP_PERIOD_MIN, TAG_BYTES
from node.wire.parameters import Parameters

__all__ = ["Sending"]

_PROBE_PACKETS = 2
"""Packets per probe (RFC 9002 §6.2.4): with one alone, a single further loss would waste the whole wait."""

_LOSSY_TIME: Duration = 10 * SECOND
"""How long after its last loss a path is taken for one that loses."""

_ENVELOPE_BYTES = HEADER_BYTES + TAG_BYTES

_PADDING_MAX = 8
"""A packet that lacks no more than this is padded to full size."""


class Sending:
    """See the module. Messages are accepted from the beginning, packets are built after `start`.

    handle: of the connection, for its events.
    """

    __slots__ = (
        "_acks", "_entropy", "_events", "_handle", "_pacer", "_payload_max", "_probes_due", "_protection", "_settings",
        "_skip_at", "_skip_period", "controller", "ecn", "mtu", "outbox", "recovery", "rtt", "stats", "trace",
    )  # fmt: skip

    def __init__(self, handle: int, settings: TransportSettings, acks: AckTracker, events: deque[Event]) -> None:
        self.stats = ConnectionStats()
        self.rtt = RttEstimator(settings.max_ack_delay)
        self.controller = new_controller(settings.congestion, settings.mtu)
        self.recovery = Recovery(settings, self.controller, self.rtt, self.stats)
        self.outbox = Outbox(acks, settings.packet_payload)
        self._handle = handle
        self._settings = settings
        self._acks = acks
        self._events = events
        self._pacer = Pacer(settings.mtu)
        self._protection: Protection | None = None
        self.ecn = EcnValidation(is_enabled=settings.ecn)
        self.trace: Trace | None = None
        self._probes_due = 0
        self._entropy: Entropy | None = None
        self._skip_at = 0
        self._skip_period = SKIP_PERIOD_MIN
        self._payload_max = settings.packet_payload
        self.mtu = MtuSearch(settings.mtu, settings.mtu)

    @property
    def packet_bytes(self) -> int:
        """Size of a full packet, envelope included."""
        return self.outbox.packet_payload + _ENVELOPE_BYTES

    def start(self, protection: Protection, peer: Parameters, likely_mtu: int, entropy: Entropy) -> None:
        """The handshake is complete: the peer said what it takes. likely_mtu: what the path probably carries."""
        self._protection = protection
        self._entropy = entropy
        self._plan_skip()
        self.rtt.max_ack_delay = peer.max_ack_delay
        self.outbox.queue.open_credit(peer.max_data)
        self._payload_max = min(self._settings.packet_payload, peer.max_datagram - HEADER_BYTES - TAG_BYTES)
        self._search_mtu(likely_mtu)
        self.controller.on_packet_size(self.packet_bytes)

    def on_path_change(self, likely_mtu: int) -> None:
        """Packets take another path: nothing that was measured on the old one holds (RFC 9000 §9.4)."""
        self.rtt.reset()
        self.controller = new_controller(self._settings.congestion, self.packet_bytes)
        self.recovery.on_path_change(self.controller)
        assert self._protection is not None
        self.ecn.on_path_change(self._protection.next_number, is_enabled=self._settings.ecn)
        self._pacer.rate = 0
        self._search_mtu(likely_mtu)

    def on_seen_elsewhere(self) -> None:
        """The peer sees us at another address: the path, which may not have carried marks, may be another one."""
        assert self._protection is not None
        if self.ecn.state is EcnState.FAILED:
            self.ecn.on_path_change(self._protection.next_number, is_enabled=self._settings.ecn)

    def ask(self) -> None:
        """Makes the next packet one that the peer has to answer, unless it has to answer one already."""
        if not self.recovery.is_answer_near:
            self._probes_due = max(1, self._probes_due)

    # --- packets

    def next_packet(self, now: Instant, *, is_first: bool = True) -> bytes | None:
        """The next packet, sealed; None when nothing may or need be sent now.

        is_first: of its datagram or batch of them, of which all have one ECN mark, `ecn.mark`.
        """
        is_probe = self._probes_due > 0
        # Whether there is anything further for a batch, the filling of its packet shows.
        may_elicit = is_probe or (self._may_elicit(now) if is_first else self._has_room() and self._pacer.may_send(now))
        if not may_elicit and (self._acks.ack_at is None or self._acks.ack_at > now):
            return None
        if is_first:
            assert self._protection is not None
            self._protection.update_if_due(self.recovery.largest_acked, now)
        packet = self._new_packet(now)
        if is_probe:
            buffer = self._fill_probe(packet, now)
        else:
            lost_at = self.recovery.lost_at
            if lost_at is not None:
                self.outbox.watch(is_lossy=now - lost_at < _LOSSY_TIME)
            buffer = self.outbox.fill(packet, now, may_elicit)
        self.stats.messages_dropped = self.outbox.datagrams_dropped
        if not buffer:
            self._note_idle()
            return None
        if is_first:
            self.ecn.choose(is_ack_eliciting=packet.is_ack_eliciting)
        return self._seal(packet, buffer)

    def has_more(self, now: Instant) -> bool:
        """Whether another packet may leave now, after one that was not full."""
        ack_at = self._acks.ack_at
        if self._probes_due > 0 or (ack_at is not None and ack_at <= now):
            return True
        if not self.outbox.is_drained:
            return self._may_elicit(now)
        self._note_idle()
        return False

    def next_mtu_probe(self, now: Instant) -> bytes | None:
        """A packet of a size that the path has not carried yet, when one is to be tried."""
        if self.outbox.datagrams and self.outbox.is_held_back():
            self.mtu.is_wanted = True
        if not self.mtu.is_wanted:
            return None
        size = self.mtu.next_probe()
        if size is None:
            return None
        # It asks for an acknowledgement but is not in the ledger: its loss says nothing about congestion.
        data, number = self.seal_apart(b"\x01".ljust(size - HEADER_BYTES - TAG_BYTES, b"\0"), now)
        self.mtu.on_probe_sent(number, size, now + self.rtt.computed_rto())
        return data

    def seal_apart(self, frames: bytes, now: Instant) -> tuple[bytes, int]:
        """A packet that nobody will miss, and its number."""
        assert self._protection is not None
        packet = self._new_packet(now)
        data = self._protection.seal(frames)
        packet.size = len(data)
        self.stats.packets_sent += 1
        self.stats.bytes_sent += len(data)
        self.recovery.on_sent(packet)
        self._pacer.on_sent(packet.size)
        if self.trace is not None:
            self.trace.packet_sent(packet)
        return data, packet.number

    def close_packet(self, frame: CloseFrame, now: Instant) -> bytes:
        """The last packet, sealed."""
        packet = self._new_packet(now)
        return self._seal(packet, self.outbox.close_packet(packet, now, frame))

    # --- what became of them

    def on_ack(self, frame: AckFrame, now: Instant) -> None:
        """Takes an acknowledgement; ProtocolViolation for one of a packet that was never sent."""
        is_newest = frame.ranges[0][1] > self.recovery.largest_acked
        outcome = self.recovery.on_ack(frame, now)
        answered = outcome.answered
        if self.ecn.on_ack(frame, answered, is_newest=is_newest):
            self.stats.congestion_marks += 1
            newest_at = max((packet.sent_at for packet in outcome.acked), default=now)
            self.controller.on_congestion_experienced(newest_at, now)
        for packet in answered:
            for message in self.outbox.on_packet_acked(packet):
                self.stats.messages_acknowledged += 1
                self._events.append(MessageAcknowledged(connection=self._handle, message_id=message.message_id))
        if outcome.is_doubtful:
            # Two packets are answered at once, which shows whether the path has become faster.
            self._probes_due = _PROBE_PACKETS
        if outcome.lost:
            self.ecn.on_lost(outcome.lost)
            for packet in outcome.lost:
                self.outbox.on_packet_lost(packet, "reordering")
        if self.mtu.probe_number >= 0 and self.mtu.is_awaiting(frame.ranges):
            self.mtu.on_probe_acked(now)
            self._resize()
        elif outcome.lost or self.mtu.losses:
            self._look_for_black_hole(outcome, now)
        self._pacer.rate = self.controller.pacing_rate(self.rtt)
        if self.trace is not None:
            self.trace.packets_lost(outcome.lost, now)
            self.trace.metrics_updated(self.rtt, self.controller, self.recovery.bytes_in_flight, now)

    def handle_timeout(self, now: Instant) -> bool:
        """Does what is due, if anything; False when the peer has not answered for too long."""
        self._expire_messages(now)
        if self.mtu.handle_timeout(now):
            self._resize()
        if self.outbox.repeats is not None:
            self.outbox.repeats.handle_timeout(self._patience(), now)
        expiry, lost = self.recovery.on_timeout(now)
        if self.trace is not None and expiry is not Expiry.NOTHING:
            self.trace.timer_expired("ack" if expiry is Expiry.LOSS else "pto", now)
            self.trace.packets_lost(lost, now)
        if expiry is Expiry.FAILURE:
            return False
        self.ecn.on_lost(lost)
        for packet in lost:
            self.outbox.on_packet_lost(packet, "timeout" if expiry is Expiry.TIMEOUT else "reordering")
        if expiry in (Expiry.PROBE, Expiry.TIMEOUT):
            self._probes_due = _PROBE_PACKETS
        return True

    def next_timeout(self) -> Instant | None:
        """When `handle_timeout` or `next_packet` has something to do again; None when never."""
        due, deadline = self.recovery.next_timeout(), self.outbox.queue.next_deadline()
        if deadline is not None and (due is None or deadline < due):
            due = deadline
        if self.outbox.repeats is not None:
            due = earlier(due, self.outbox.repeats.next_timeout(self._patience()))
        if self._pacer.blocked_until is not None:
            due = earlier(due, self._pacer.blocked_until)
        return earlier(due, self.mtu.next_timeout()) if self.mtu.is_wanted else due

    # --- private

    def _patience(self) -> Duration:
        """How long the answer to a packet takes where the peer holds nothing back (see `AckTracker`)."""
        return self.rtt.computed_rto() - self.rtt.max_ack_delay

    def _fill_probe(self, packet: SentPacket, now: Instant) -> bytearray:
        """Probes are no larger than what every path carries: they get through where full packets no longer do."""
        self._probes_due -= 1
        payload = self.outbox.packet_payload
        self.outbox.packet_payload = min(payload, BASE_MTU - HEADER_BYTES - TAG_BYTES)
        buffer = self.outbox.fill(packet, now, may_elicit=True)
        if packet.is_unhurried or not packet.is_ack_eliciting:
            self.outbox.fill_probe(buffer, packet, self.recovery.oldest_eliciting())
        self.outbox.packet_payload = payload
        return buffer

    def _search_mtu(self, likely: int) -> None:
        self.mtu = MtuSearch(self._payload_max + HEADER_BYTES + TAG_BYTES, likely)
        self._resize()

    def _resize(self) -> None:
        self.outbox.packet_payload = self.mtu.current - HEADER_BYTES - TAG_BYTES
        self.outbox.possible_payload = self.mtu.possible - HEADER_BYTES - TAG_BYTES
        self.controller.on_mtu_change(self.packet_bytes)
        self._pacer.on_packet_size(self.packet_bytes)

    def _look_for_black_hole(self, outcome: AckOutcome, now: Instant) -> None:
        has_arrived = any(packet.size > BASE_MTU for packet in outcome.acked)
        is_lost = any(packet.size > BASE_MTU for packet in outcome.lost)
        if self.mtu.on_outcome(now, has_arrived=has_arrived, is_lost=is_lost):
            self.stats.mtu_black_holes += 1
            self._resize()

    def _expire_messages(self, now: Instant) -> None:
        for message, frame in self.outbox.queue.expire(now):
            self.stats.messages_expired += 1
            self._events.append(MessageFailed(connection=self._handle, message_id=message.message_id, expired=True))
            if frame is not None:
                self.outbox.push_control(frame)

    def _may_elicit(self, now: Instant) -> bool:
        if self._pacer.blocked_until is not None:
            self._pacer.unblock(now)
        if not self.outbox.has_eliciting():
            self._note_idle()
            return False
        return self._has_room() and self._pacer.may_send(now)

    def _note_idle(self) -> None:
        """There is nothing to send; if there is room to send, that is what limits the rate."""
        if self._has_room():
            self.recovery.rate.on_app_limited(self.recovery.bytes_in_flight)

    def _has_room(self) -> bool:
        in_flight = self.recovery.bytes_in_flight
        # A search may have found packets larger than a window that was cut before: one of them must do.
        return not in_flight or (
            in_flight + self.outbox.packet_payload + _ENVELOPE_BYTES <= self.controller.congestion_window
        )

    def _plan_skip(self) -> None:
        """Another packet number will be left out, within a period of which the peer does not know the end."""
        assert self._protection is not None
        assert self._entropy is not None
        period = self._skip_period
        self._skip_at = self._protection.next_number + period // 2 + int.from_bytes(self._entropy(4), "big") % period
        self._skip_period = min(2 * period, SKIP_PERIOD_MAX)

    def _new_packet(self, now: Instant) -> SentPacket:
        assert self._protection is not None
        if self._protection.next_number >= self._skip_at:
            # Whoever acknowledges it acknowledges what it has not received (RFC 9000 §21.4).
            self.recovery.left_out = self._protection.next_number
            self._protection.next_number += 1
            self._plan_skip()
        return SentPacket(self._protection.next_number, now, 0, is_ack_eliciting=False)

    def _seal(self, packet: SentPacket, buffer: bytearray) -> bytes:
        assert self._protection is not None
        missing = self.outbox.packet_payload - len(buffer)
        if missing <= _PADDING_MAX:
            self.mtu.is_wanted = True
            # Packets of one size can be handed to the kernel together.
            buffer += bytes(missing)
        data = self._protection.seal(bytes(buffer))
        packet.size = len(data)
        self.stats.packets_sent += 1
        self.stats.bytes_sent += len(data)
        for part in packet.parts:
            if part.cause:
                self.stats.packets_retransmitted[part.cause] += 1
                break
        self.ecn.on_sent(packet)
        self.recovery.on_sent(packet)
        if packet.is_ack_eliciting:
            # Acknowledgements are not paced (RFC 9002 §7.7); many of them must not hold up what little a receiver says.
            self._pacer.on_sent(packet.size)
        if self.trace is not None:
            self.trace.packet_sent(packet)
        return data
