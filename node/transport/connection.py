"""One encrypted connection with one peer over UDP: a machine of five verbs.

`receive`, `handle_timeout` and the commands change it; after each, `poll_transmit` and `poll_event` are drained until
both are empty, and `next_timeout` says when to come back. It knows no socket, clock or peer table: the endpoint routes
datagrams to it, and decides between two connections with the same peer. What is here is its life from handshake to
end; packets are built by `sending`, acted on by `receiving`, and sealed and opened by `protection`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from node.errors import Code, DecodeError, HandshakeError, ProtocolViolation, UnknownPeer
from node.transport.ack import AckTracker
from node.transport.duplicates import Claim
from node.transport.events import AddressChanged, Closed, Connected, Event, MessageFailed
from node.transport.flow_control import ReceiveCredit
from node.transport.opening import Opening
from node.transport.packet import Datagram, Message, Transmit
from node.transport.path import PATH_PACKET_BYTES, Path
from node.transport.pool import NoRoom, ReassemblyPool
from node.transport.protection import Protection, agreed_keys
from node.transport.reassembly import Reassembly
from node.transport.receiving import ConnectionFrame, Receiving
from node.transport.sending import Sending
from node.transport.settings import TransportSettings
from node.transport.snapshot import snapshot_of
from node.transport.state import ConnectionState, Origin
from node.transport.stats import ConnectionSnapshot
from node.transport.trace import Trace
from node.types import Address, Instant, NodeId, earlier
from node.wire.frames import CloseFrame, ConfirmedFrame, PathChallengeFrame, PathResponseFrame, append_path
from node.wire.handshake import RefusalReason, parse_refuse
from node.wire.header import Header, PacketType
from node.wire.limits import (
    AEAD_FAILURES_MAX,
    ETHERNET_MTU_IPV4,
    ETHERNET_MTU_IPV6,
    HEADER_BYTES,
    MTU_MAX,
)
from node.wire.parameters import Parameters, parse_parameters

__all__ = ["Connection"]

_CLOSE_REPEATS_MAX = 3

_CODES = {int(code): code for code in Code}


class Connection:
    """See the module. `receive` raises DecodeError or HandshakeError for a datagram that was dropped unchanged."""

    __slots__ = (
        "_acks", "_asked_at", "_close_due", "_close_frame", "_close_repeats", "_heard_at",
        "_next_message_id", "_opening", "_protection", "_receiving", "_settings", "claim", "closed_at",
        "established_at", "events", "has_more", "hint", "init", "origin", "path", "peer_id", "pool", "reset_token",
        "sending", "state", "stats",
    )  # fmt: skip

    def __init__(
        self,
        origin: Origin,
        settings: TransportSettings,
        opening: Opening,
        path: Path,
        now: Instant,
    ) -> None:
        """pool: memory for messages in parts, which an endpoint shares among its connections."""
        self.origin = origin
        self.path = path
        self.pool = ReassemblyPool(settings.reassembly_bytes_max)
        self.state = ConnectionState.HANDSHAKE
        self.peer_id: NodeId | None = None
        self.claim: Claim | None = None
        self.established_at: Instant | None = None
        self.closed_at: Instant | None = None
        self.hint = ""
        self.init = opening.init
        self.reset_token = b""
        self._settings = settings
        self._opening: Opening | None = opening
        self.events: deque[Event] = deque()
        self._acks = AckTracker(settings.max_ack_delay)
        self.sending = Sending(origin.handle, settings, self._acks, self.events)
        self.stats = self.sending.stats
        self._protection: Protection | None = None
        self._receiving: Receiving | None = None
        self._next_message_id = 0
        self._heard_at = self._asked_at = now
        self._close_frame: CloseFrame | None = None
        self._close_due = False
        self._close_repeats = 0
        self.has_more = True

    def start_trace(self, bytes_max: int, now: Instant) -> Trace:
        """Records what happens from now on, up to so many bytes."""
        trace = Trace(self.origin.handle, is_client=self.origin.is_initiator, bytes_max=bytes_max, now=now)
        if self.peer_id is not None:
            trace.started(self.peer_id, self.path.address, now)
        self.sending.trace = trace
        return trace

    # --- the five verbs

    def receive(self, header: Header, datagram: Datagram, now: Instant) -> None:
        """Takes a datagram whose header names this connection."""
        handler = _HANDLERS.get((self.state, header.packet_type))
        if handler is None:
            raise DecodeError("unexpected", f"{header.packet_type.name} while {self.state.name}")
        handler(self, header, datagram, now)

    def receive_data(self, number: int, data: bytes, datagram: Datagram, now: Instant) -> None:
        """The short way of `receive` for a DATA packet while established.

        data: the packet itself; datagram: as it came in, perhaps joined with others.
        """
        if self._acks.is_duplicate(number):
            if self.sending.trace is not None:
                self.sending.trace.packet_dropped("duplicate", len(data), now)
            raise DecodeError("replayed", f"packet {number}")
        payload = self._open(number, data, now)
        stats = self.stats
        stats.packets_received += 1
        stats.bytes_received += len(data)
        if self.sending.trace is not None:
            self.sending.trace.packet_received(number, len(data), now)
        self._heard_at = now
        if datagram.address != self.path.address:
            is_newest = number > self._acks.largest_received
            pto = self.sending.rtt.computed_rto()
            self.path.on_elsewhere(datagram.address, len(data), pto, now, is_newest=is_newest)
        # Only a responder that has our CONFIRM can seal a packet.
        self._opening = None
        assert self._receiving is not None
        try:
            frames = self._receiving.receive(number, payload, now, datagram.ecn)
        except DecodeError as error:
            self._end(Code.FRAME_ENCODING, str(error), now)
        except ProtocolViolation as violation:
            self._end(violation.code, violation.reason, now)
        except NoRoom as full:
            raise DecodeError("no_room", f"packet {number}") from full
        else:
            for frame in frames:
                self._apply(frame, now)

    def bytes_stalled(self, since: Instant) -> int:
        """Memory of the pool that is used, if no part of a message has come since then; else 0."""
        receiving = self._receiving
        return receiving.bytes_taken if receiving is not None and receiving.progress_at <= since else 0

    def handle_timeout(self, now: Instant) -> None:
        """Does what is due; called early or often it does nothing."""
        if self._opening is not None and not self._opening.handle_timeout(now):
            self._end(Code.HANDSHAKE_TIMEOUT, "no answer to the handshake", now, tell_peer=False)
        if self.state is ConnectionState.CLOSING and self.closed_at is not None and now >= self.closed_at:
            self.state = ConnectionState.CLOSED
        if self.state in (ConnectionState.CLOSING, ConnectionState.CLOSED):
            return
        if self.state is ConnectionState.ESTABLISHED and self._is_idle(now):
            self._end(Code.IDLE_TIMEOUT, "nothing was received", now)
            return
        self.path.handle_timeout(now)
        try:
            if not self.sending.handle_timeout(now):
                self._end(Code.RETRIES_EXHAUSTED, f"no answer to {self._settings.max_retries} retransmissions", now)
        except ProtocolViolation as violation:
            self._end(violation.code, violation.reason, now)

    def poll_transmit(self, now: Instant, segments_max: int = 1) -> Transmit | None:
        """The next datagram, or up to segments_max of one size; None when there is nothing to send now.

        Sets has_more: whether it is worth asking again at this instant.
        """
        self.has_more = True
        if self._opening is not None:
            datagram = self._opening.poll_transmit()
            if datagram is not None:
                return Transmit(self.path.address, datagram, len(datagram))
        if self.state is ConnectionState.CLOSING:
            return self._transmit_close(now)
        if self.state is not ConnectionState.ESTABLISHED:
            return None
        assert self._protection is not None
        assert self._receiving is not None
        if self._receiving.is_credit_due:
            self._receiving.grant_credit(now)
        sending, path = self.sending, self.path
        if path.response is not None or path.candidate is not None or sending.mtu.is_wanted or sending.outbox.datagrams:
            apart = self._packet_apart(now)
            if apart is not None:
                return apart
        first = self._next_packet(now)
        if first is None:
            return None
        if len(first) < sending.packet_bytes:
            self.has_more = sending.has_more(now)
            return Transmit(path.address, first, len(first), sending.ecn.mark)
        return self._transmit_batch(first, segments_max, now)

    def poll_event(self) -> Event | None:
        """The next happening, oldest first."""
        return self.events.popleft() if self.events else None

    def next_timeout(self) -> Instant | None:
        """When `handle_timeout` or `poll_transmit` has something to do again; None when never."""
        if self.state is ConnectionState.CLOSED:
            return None
        if self.state is ConnectionState.CLOSING:
            return self.closed_at
        due, ack_at = self.sending.next_timeout(), self._acks.ack_at
        if ack_at is not None and (due is None or ack_at < due):
            due = ack_at
        if self.state is ConnectionState.ESTABLISHED:
            idle_at = self._idle_timeout()
            if due is None or idle_at < due:
                due = idle_at
        if self._opening is not None:
            due = earlier(due, self._opening.next_timeout())
        return due if self.path.candidate is None else earlier(due, self.path.next_timeout())

    # --- commands

    def send(self, message: Message) -> int:
        """Queues a message and returns its id; raises what `Outbox.push` raises, UnknownPeer once closed."""
        if self.state not in (ConnectionState.HANDSHAKE, ConnectionState.ESTABLISHED):
            raise UnknownPeer(f"connection {self.origin.handle} is {self.state.name.lower()}")
        message_id = self._next_message_id
        self.sending.outbox.push(message_id, message)
        self.stats.messages_dropped = self.sending.outbox.datagrams_dropped
        self._next_message_id += 1
        self.stats.messages_sent += 1
        return message_id

    def close(self, code: Code, reason: str, now: Instant, *, tell_peer: bool = True) -> None:
        """Ends the connection and, unless the peer is known to know, tells it; does nothing once it is closing."""
        self._end(code, reason, now, tell_peer=tell_peer)

    def reset(self, now: Instant) -> None:
        """The peer has shown that it lost this connection: it was started again."""
        self._end(Code.PEER_RESTARTED, "the peer does not know this connection any more", now, tell_peer=False)

    def repeat_response(self, now: Instant) -> None:
        """The peer's INIT came again: our RESPONSE may have been lost."""
        if self._opening is not None:
            self._opening.repeat(now)

    def snapshot(self) -> ConnectionSnapshot:
        """The connection at this instant."""
        return snapshot_of(self)

    # --- handshake

    def _receive_retry(self, _header: Header, datagram: Datagram, now: Instant) -> None:
        assert self._opening is not None
        self._opening.on_retry(datagram.data, now)

    def _receive_refuse(self, _header: Header, datagram: Datagram, now: Instant) -> None:
        # It is not authenticated: only who saw the INIT could send it, but that may be anybody on the path. So it
        # explains the time-out that follows, and brings it nearer where waiting is in vain; it ends nothing.
        assert self._opening is not None
        reason = parse_refuse(datagram.data)
        self._opening.check_answer(datagram.data)
        self.hint = reason.name.lower()
        if reason is not RefusalReason.BUSY:
            self._opening.shorten(now)

    def _receive_response(self, _header: Header, datagram: Datagram, now: Instant) -> None:
        opening = self._opening
        if opening is None or not self.origin.is_initiator:
            raise DecodeError("unexpected", "RESPONSE to a responder")
        opening.on_response(datagram.data, now)
        confirm = opening.handshake.write_confirm()
        parameters = self._establish(opening, now)
        opening.confirm(parameters.connection_id, confirm)

    def _receive_confirm(self, _header: Header, datagram: Datagram, now: Instant) -> None:
        opening = self._opening
        if opening is None or self.origin.is_initiator:
            raise DecodeError("unexpected", "CONFIRM to an initiator")
        opening.handshake.read_confirm(datagram.data[HEADER_BYTES:])
        self._establish(opening, now)
        self._opening = None
        # Elicits an acknowledgement and tells the initiator to stop repeating its CONFIRM.
        self.sending.outbox.push_control(ConfirmedFrame())

    def _receive_late_confirm(self, _header: Header, _datagram: Datagram, _now: Instant) -> None:
        # The CONFIRMED frame is on its way and repeated until it is acknowledged.
        raise DecodeError("duplicate", "CONFIRM")

    def _receive_late_response(self, _header: Header, _datagram: Datagram, now: Instant) -> None:
        if self._opening is not None:
            self._opening.repeat(now)
        raise DecodeError("duplicate", "RESPONSE")

    def _establish(self, opening: Opening, now: Instant) -> Parameters:
        agreement = opening.handshake.agreement
        try:
            parameters = parse_parameters(agreement.peer_parameters)
        except DecodeError as error:
            self._end(Code.HANDSHAKE_FAILED, str(error), now, tell_peer=False)
            raise HandshakeError("malformed", str(error)) from error
        self.peer_id = agreement.peer_id
        self.claim = Claim(
            is_initiator=self.origin.is_initiator,
            dial_number=self.origin.handle if self.origin.is_initiator else parameters.dial_number,
            peer_static=agreement.peer_static,
            established_at=now,
        )
        keys = agreed_keys(agreement, self._settings.suites, parameters.suites)
        self._protection = Protection(keys, parameters.connection_id, self.sending.rtt, self.stats, now)
        self.reset_token = parameters.reset_token
        self.sending.start(self._protection, parameters, _likely_mtu(self.path.address), self.path.entropy)
        reassembly = Reassembly(ReceiveCredit(self._settings.initial_window), self.pool)
        self._receiving = Receiving(
            self.origin.handle, agreement.peer_id, reassembly, self._acks, self.sending, self.events
        )
        if self.sending.trace is not None:
            self.sending.trace.started(agreement.peer_id, self.path.address, now)
        self.state = ConnectionState.ESTABLISHED
        self.established_at = now
        self._heard_at = now
        self.events.append(
            Connected(
                connection=self.origin.handle,
                peer_id=agreement.peer_id,
                address=self.path.address,
                is_initiator=self.origin.is_initiator,
            )
        )
        return parameters

    # --- receiving

    def _apply(self, frame: ConnectionFrame, now: Instant) -> None:
        match frame:
            case CloseFrame():
                code = _CODES.get(frame.code, Code.APPLICATION)
                self._end(code, frame.reason, now, tell_peer=False, by_peer=True)
            case PathChallengeFrame():
                if self.path.on_challenge(frame):
                    self.sending.on_seen_elsewhere()
            case PathResponseFrame():
                self._apply_path_response(frame)

    def _apply_path_response(self, frame: PathResponseFrame) -> None:
        before = self.path.address
        if not self.path.on_response(frame):
            return
        self.stats.path_changes += 1
        if self.path.address[0] != before[0]:
            # Another port of the same host is a NAT that has forgotten its binding, and leads the same way.
            self.sending.on_path_change(_likely_mtu(self.path.address))
        assert self.peer_id is not None
        self.events.append(
            AddressChanged(connection=self.origin.handle, peer_id=self.peer_id, address=self.path.address)
        )

    def _receive_while_closing(self, header: Header, datagram: Datagram, now: Instant) -> None:
        self._open(header.packet_number, datagram.data, now)
        if self._close_repeats < _CLOSE_REPEATS_MAX:
            self._close_repeats += 1
            self._close_due = True

    def _open(self, number: int, data: bytes, now: Instant) -> bytes:
        assert self._protection is not None
        try:
            return self._protection.open(number, data, now)
        except DecodeError:
            if self.sending.trace is not None:
                self.sending.trace.packet_dropped("payload_decrypt_error", len(data), now)
            if self._protection.aead_failures > AEAD_FAILURES_MAX:
                self._end(Code.KEY_EXHAUSTED, f"{self._protection.aead_failures} packets were forged", now)
            raise

    # --- sending

    def _packet_apart(self, now: Instant) -> Transmit | None:
        """A packet that is not part of the flow: about the path, or a probe of its MTU."""
        if self.path.response is not None:
            response = self.path.next_response()
            if response is not None:
                return self._transmit_path(response, self.path.address, now)
        if self.path.candidate is not None:
            to = self.path.candidate.address
            challenge = self.path.next_challenge(PATH_PACKET_BYTES, self.sending.rtt.computed_rto(), now)
            if challenge is not None:
                return self._transmit_path(challenge, to, now)
        probe = self.sending.next_mtu_probe(now)
        return None if probe is None else Transmit(self.path.address, probe, len(probe))

    def _transmit_path(self, frame: PathChallengeFrame | PathResponseFrame, to: Address, now: Instant) -> Transmit:
        buffer = bytearray()
        append_path(buffer, frame)
        data, _ = self.sending.seal_apart(bytes(buffer), now)
        return Transmit(to, data, len(data))

    def _is_idle(self, now: Instant) -> bool:
        """Whether nothing has come for too long; asks the peer for a sign of life before that."""
        keep_alive = self._settings.keep_alive
        if keep_alive and now >= max(self._heard_at, self._asked_at) + keep_alive:
            self._asked_at = now
            self.sending.ask()
        return now >= self._idle_at()

    def _idle_at(self) -> Instant:
        """When the silence will have lasted too long; an answer to the first question after it is waited for, too."""
        asked_at = self.sending.recovery.asked_at
        begun_at = self._heard_at if asked_at is None or asked_at < self._heard_at else asked_at
        return begun_at + self._settings.idle_timeout

    def _idle_timeout(self) -> Instant:
        keep_alive = self._settings.keep_alive
        idle_at = self._idle_at()
        return min(idle_at, max(self._heard_at, self._asked_at) + keep_alive) if keep_alive else idle_at

    def _next_packet(self, now: Instant, *, is_first: bool = True) -> bytes | None:
        assert self._protection is not None
        if self._protection.is_exhausted:
            self._end(Code.KEY_EXHAUSTED, "packet numbers are used up", now, tell_peer=False)
            return None
        return self.sending.next_packet(now, is_first=is_first)

    def _transmit_batch(self, first: bytes, segments_max: int, now: Instant) -> Transmit:
        """A full packet and those that may follow it at once; the last one may be smaller."""
        packets, full = [first], len(first)
        segments_max = min(segments_max, MTU_MAX // full)
        while len(packets) < segments_max and len(packets[-1]) == full:
            packet = self._next_packet(now, is_first=False)
            if packet is None:
                self.has_more = False
                break
            packets.append(packet)
        else:
            self.has_more = len(packets[-1]) == full or self.sending.has_more(now)
        return Transmit(self.path.address, b"".join(packets), full, self.sending.ecn.mark)

    def _transmit_close(self, now: Instant) -> Transmit | None:
        if not self._close_due or self._close_frame is None:
            return None
        self._close_due = False
        data = self.sending.close_packet(self._close_frame, now)
        return Transmit(self.path.address, data, len(data))

    # --- the end

    def _end(self, code: Code, reason: str, now: Instant, *, tell_peer: bool = True, by_peer: bool = False) -> None:
        if self.state in (ConnectionState.CLOSING, ConnectionState.CLOSED):
            return
        if self._receiving is not None:
            self._receiving.release()
        if self.sending.trace is not None:
            self.sending.trace.closed(code, reason, now, by_peer=by_peer)
        for message_id in list(self.sending.outbox.queue.messages):
            self.events.append(MessageFailed(connection=self.origin.handle, message_id=message_id, expired=False))
        self.events.append(
            Closed(
                connection=self.origin.handle,
                peer_id=self.peer_id,
                address=self.path.address,
                code=code,
                reason=reason,
                by_peer=by_peer,
                is_initiator=self.origin.is_initiator,
                hint=self.hint,
            )
        )
        if tell_peer and self.state is ConnectionState.ESTABLISHED:
            # An initiator's CONFIRM that is still under way goes first: without it the peer could not read the CLOSE.
            self.state = ConnectionState.CLOSING
            self._close_frame = CloseFrame(code, reason)
            self._close_due = True
            self.closed_at = now + 3 * self.sending.rtt.computed_rto()
        else:
            self._opening = None
            self.state = ConnectionState.CLOSED


def _likely_mtu(address: Address) -> int:
    return ETHERNET_MTU_IPV6 if ":" in address[0] else ETHERNET_MTU_IPV4


_Handler = Callable[[Connection, Header, Datagram, Instant], None]

_HANDLERS: dict[tuple[ConnectionState, PacketType], _Handler] = {
    (ConnectionState.HANDSHAKE, PacketType.RETRY): Connection._receive_retry,
    (ConnectionState.HANDSHAKE, PacketType.REFUSE): Connection._receive_refuse,
    (ConnectionState.HANDSHAKE, PacketType.RESPONSE): Connection._receive_response,
    (ConnectionState.HANDSHAKE, PacketType.CONFIRM): Connection._receive_confirm,
    (ConnectionState.ESTABLISHED, PacketType.RESPONSE): Connection._receive_late_response,
    (ConnectionState.ESTABLISHED, PacketType.CONFIRM): Connection._receive_late_confirm,
    (ConnectionState.CLOSING, PacketType.DATA): Connection._receive_while_closing,
}
