"""One encrypted connection with one peer over a byte stream: handshake, sealed records, messages, acknowledgements.

Knows no socket, clock or peer table: the stream endpoint feeds it bytes, asks it for bytes to write and decides
between two connections with the same peer. Whatever is wrong with the bytes leaves here as an exception, after which
the endpoint ends the connection: a byte stream cannot be continued behind an error.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct
from typing import Protocol

from node.crypto.suites import Suite, suites_mask
from node.errors import Code, DecodeError, ProtocolViolation
from node.transport.duplicates import Claim
from node.transport.events import Event, MessageAcknowledged, MessageFailed, MessageReceived
from node.transport.handshake import Agreement, Handshake
from node.transport.packet import Message
from node.transport.protection import agreed_keys
from node.transport.settings import TransportSettings
from node.transport.state import ConnectionState
from node.transport.stats import ConnectionSnapshot, ConnectionStats
from node.transport.stream_acks import StreamAcks
from node.transport.stream_cipher import RecordCipher
from node.transport.stream_outbox import StreamOutbox
from node.transport.stream_records import (
    HANDSHAKE_FRAME_BYTES_MAX,
    RECORD_BODY_BYTES_MAX,
    AckRecord,
    CloseRecord,
    Frames,
    FrameType,
    MessageRecord,
    PingRecord,
    check_preface,
    pack_ack,
    pack_close,
    pack_frame,
    pack_length,
    pack_ping,
    pack_preface,
    parse_record,
)
from node.types import Address, Instant, NodeId, earlier
from node.wire.handshake import RefusalReason
from node.wire.limits import (
    HALF_OPEN_TIMEOUT,
    HANDSHAKE_TIMEOUT,
    MESSAGE_BYTES_MAX,
    STREAM_WRITE_BYTES,
    TAG_BYTES,
)

__all__ = ["REFUSALS", "Refused", "StreamConnection", "StreamOrigin", "StreamOwner", "pack_parameters"]

_PARAMETERS = Struct(">QB")


class Refused(DecodeError):
    """The responder answered the OPEN with a REFUSE; nothing in it is authenticated."""

    def __init__(self, reason: int) -> None:
        self.hint = _HINTS.get(reason, "")
        super().__init__("unexpected", f"the peer refused: {self.hint or reason}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOrigin:
    """What a connection is from its first moment.

    handle: how the endpoint's callers name it. stream: how the shell names it.
    dial_number: of an initiator, larger for each later dial of its process; the responder learns it.
    """

    handle: int
    stream: int
    address: Address
    is_initiator: bool
    dial_number: int = 0


class StreamOwner(Protocol):
    """What a connection tells its endpoint while it reads."""

    def on_established(self, connection: StreamConnection, now: Instant) -> None: ...
    def on_closed_by_peer(self, connection: StreamConnection, record: CloseRecord, now: Instant) -> None: ...
    def take_room(self, size: int, now: Instant) -> None: ...
    def give_room(self, size: int) -> None: ...


def pack_parameters(dial_number: int, suites: Iterable[Suite]) -> bytes:
    """The parameters of a TCP handshake: dial number (8), 0 from a responder, and cipher suites (1), bit n for suite n.

    What follows them is ignored.
    """
    return _PARAMETERS.pack(dial_number, suites_mask(suites))


class StreamConnection:
    """See the module. Bytes go in through `frames.feed` and `handle`, and come out of `poll_write`.

    armed_at: for the endpoint's timer queue. has_room: whether the kernel takes more bytes. progress_at: when a part of
    a message came last. is_withheld: the peer must not learn that it was established.
    """

    __slots__ = (
        "_acks", "_ask_at", "_assembly", "_events", "_expected", "_handshake", "_next_message_id", "_owner",
        "_ping_due", "_receive_cipher", "_send_cipher", "_settings", "_writes", "addresses", "armed_at", "claim",
        "established_at", "expires_at", "frames", "has_room", "is_ready", "is_withheld", "origin", "outbox", "peer_id",
        "progress_at", "state", "stats",
    )  # fmt: skip

    def __init__(
        self, origin: StreamOrigin, settings: TransportSettings, handshake: Handshake, owner: StreamOwner,
        events: deque[Event], now: Instant,
    ) -> None:  # fmt: skip
        """events: where MessageReceived and the fates of messages go, in order."""
        self.origin = origin
        self.state = ConnectionState.HANDSHAKE
        self.stats = ConnectionStats()
        self.outbox = StreamOutbox()
        self.frames = Frames(HANDSHAKE_FRAME_BYTES_MAX)
        self.peer_id: NodeId | None = None
        self.claim: Claim | None = None
        self.established_at: Instant | None = None
        self.expires_at = now + (HANDSHAKE_TIMEOUT if origin.is_initiator else HALF_OPEN_TIMEOUT)
        self.armed_at: Instant | None = None
        self.progress_at = now
        self.is_ready = False
        self.is_withheld = False
        self.has_room = True
        self.addresses: list[Address] = []
        self._settings = settings
        self._handshake = handshake
        self._expected = None if origin.is_initiator else FrameType.OPEN
        self._owner = owner
        self._events = events
        self._writes: list[bytes] = []
        self._send_cipher: RecordCipher | None = None
        self._receive_cipher: RecordCipher | None = None
        self._acks = StreamAcks()
        self._ping_due = False
        self._ask_at: Instant | None = None
        self._assembly = bytearray()
        self._next_message_id = 0

    # --- reading

    def open(self) -> None:
        """Initiator: the stream is there; queues the OPEN."""
        clear = pack_preface(self._settings.network_id)
        self._writes.append(pack_frame(FrameType.OPEN, self._handshake.write_init(clear)))
        self._expected = FrameType.RESPONSE

    def handle(self, body: bytes, now: Instant) -> None:
        """Takes one frame's body; DecodeError, HandshakeError or ProtocolViolation end the connection."""
        if self.state is ConnectionState.HANDSHAKE:
            self._handle_handshake(body, now)
        elif self.state is ConnectionState.ESTABLISHED:
            self._handle_record(body, now)

    def touch(self, now: Instant) -> None:
        """Something arrived: the connection is not idle. During the handshake the time limit stands."""
        if self.state is ConnectionState.ESTABLISHED:
            self.expires_at = now + self._settings.idle_timeout
            self._ask_later(now)

    def _ask_later(self, now: Instant) -> None:
        if self._settings.keep_alive:
            self._ask_at = now + self._settings.keep_alive

    def _handle_handshake(self, body: bytes, now: Instant) -> None:
        kind, content = body[0], body[1:]
        if kind == FrameType.REFUSE and self.origin.is_initiator and len(content) == 1:
            raise Refused(content[0])
        if kind != self._expected:
            raise DecodeError("unexpected", f"frame of type {kind} during the handshake")
        if kind == FrameType.OPEN:
            self._answer(content)
            return
        if kind == FrameType.RESPONSE:
            self._handshake.read_response(content)
            self._writes.append(pack_frame(FrameType.CONFIRM, self._handshake.write_confirm()))
        else:
            self._handshake.read_confirm(content)
        self._establish(self._handshake.agreement, now)

    def _answer(self, content: bytes) -> None:
        try:
            check_preface(self._handshake.read_init(content), self._settings.network_id)
        except DecodeError as error:
            if error.reason in REFUSALS:
                self.refuse(REFUSALS[error.reason])
            raise
        self._writes.append(pack_frame(FrameType.RESPONSE, self._handshake.write_response()))
        self._expected = FrameType.CONFIRM

    def ask(self) -> None:
        """Queues a PING: whether the peer still has this connection."""
        self._ping_due = True

    def refuse(self, reason: RefusalReason) -> None:
        """Responder: queues a REFUSE; the endpoint ends the connection after it."""
        self._writes.append(pack_frame(FrameType.REFUSE, bytes((reason,))))

    def _establish(self, agreement: Agreement, now: Instant) -> None:
        parameters = agreement.peer_parameters
        if len(parameters) < _PARAMETERS.size:
            raise DecodeError("malformed", f"parameters of {len(parameters)} bytes")
        dialled, suites = _PARAMETERS.unpack_from(parameters)
        keys = agreed_keys(agreement, self._settings.suites, suites)
        self.claim = Claim(
            is_initiator=self.origin.is_initiator,
            dial_number=self.origin.dial_number if self.origin.is_initiator else dialled,
            peer_static=agreement.peer_static,
            established_at=now,
        )
        self.peer_id = agreement.peer_id
        self._send_cipher = RecordCipher(keys.suite, keys.send)
        self._receive_cipher = RecordCipher(keys.suite, keys.receive)
        self.frames.body_bytes_max = RECORD_BODY_BYTES_MAX
        self.state = ConnectionState.ESTABLISHED
        self.established_at = now
        self.touch(now)
        self._owner.on_established(self, now)

    def _handle_record(self, body: bytes, now: Instant) -> None:
        assert self._receive_cipher is not None
        plaintext = self._receive_cipher.open(body, pack_length(len(body)))
        self.stats.packets_received += 1
        self._handle_plaintext(plaintext, now)

    def _handle_plaintext(self, plaintext: bytes, now: Instant) -> None:
        match parse_record(plaintext):
            case MessageRecord() as record:
                self._receive_part(record, now)
            case AckRecord(messages, following):
                self._receive_ack(messages)
                if following:
                    self._handle_plaintext(following, now)
            case PingRecord():
                self._acks.is_due = True
            case CloseRecord() as record:
                self._owner.on_closed_by_peer(self, record, now)

    def bytes_stalled(self, since: Instant) -> int:
        """Memory that a message in parts takes, if none has come since then; else 0."""
        return len(self._assembly) if self.progress_at <= since else 0

    def _receive_part(self, record: MessageRecord, now: Instant) -> None:
        size = len(self._assembly) + len(record.data)
        if size > MESSAGE_BYTES_MAX:
            raise ProtocolViolation(Code.REASSEMBLY_LIMIT, f"a message of {size} bytes and more")
        self.progress_at = now
        if not record.is_last:
            self._owner.take_room(len(record.data), now)
            self._assembly += record.data
            return
        data = b"".join((self._assembly, record.data))
        self._drop_assembly()
        self._acks.on_received(now)
        self.stats.messages_received += 1
        assert self.peer_id is not None
        self._events.append(
            MessageReceived(connection=self.origin.handle, peer_id=self.peer_id, data=data, delivery=record.delivery)
        )

    def _drop_assembly(self) -> None:
        self._owner.give_room(len(self._assembly))
        self._assembly.clear()

    def _receive_ack(self, messages: int) -> None:
        for message_id in self.outbox.on_ack(messages):
            self.stats.messages_acknowledged += 1
            self._events.append(MessageAcknowledged(connection=self.origin.handle, message_id=message_id))

    # --- writing

    def send(self, message: Message, now: Instant) -> int:
        """Queues a message and returns its id; raises what `StreamOutbox.push` raises."""
        message_id = self._next_message_id
        is_first = not len(self.outbox)
        self.outbox.push(message_id, message)
        if is_first and self.state is ConnectionState.ESTABLISHED:
            # An answer to the first question in a silence is waited for as long as for a sign of life.
            self.expires_at = now + self._settings.idle_timeout
        self._next_message_id += 1
        self._acks.on_sent()
        self.stats.messages_sent += 1
        return message_id

    def has_writes(self) -> bool:
        """Whether `poll_write` would return anything."""
        if self._writes:
            return True
        if self.state is not ConnectionState.ESTABLISHED or not self.has_room:
            return False
        return self._acks.is_due or self._ping_due or self.outbox.has_parts()

    def poll_write(self) -> bytes:
        """What to write next, about STREAM_WRITE_BYTES; ProtocolViolation(KEY_EXHAUSTED) when the key is used up."""
        writes, self._writes = self._writes, []
        if self.state is ConnectionState.ESTABLISHED and self.has_room:
            head = self._take_ack()
            if self._ping_due:
                self._ping_due = False
                writes.append(self._seal(head + pack_ping()))
                head = b""
            size = 0
            while size < STREAM_WRITE_BYTES and self.outbox.has_parts():
                writes.append(self._seal(head + self.outbox.next_part()))
                size += len(writes[-1])
                head = b""
            if head:
                writes.append(self._seal(head))
        data = b"".join(writes)
        self.stats.bytes_sent += len(data)
        return data

    def expire(self, now: Instant) -> bool:
        """Gives up messages whose deadline has passed; whether the peer is to be told or asked something now."""
        for message_id in self.outbox.expire(now):
            self.stats.messages_expired += 1
            self._events.append(MessageFailed(connection=self.origin.handle, message_id=message_id, expired=True))
        is_silent = self._ask_at is not None and now >= self._ask_at
        if is_silent:
            self._ping_due = True
            self._ask_later(now)
        return self._acks.expire(now) or is_silent

    def end(self, close: CloseRecord | None) -> bytes:
        """Closes: every unfinished message fails; the last bytes to write, with a CLOSE where the peer can read one."""
        writes, self._writes = self._writes, []
        if self.is_withheld:
            writes, close = [], None
        if self.state is ConnectionState.ESTABLISHED and close is not None and not self._is_exhausted:
            # What has arrived must not be sent again over another connection.
            writes.append(self._seal(self._take_ack() + pack_close(close.code, close.reason)))
        self.state = ConnectionState.CLOSED
        self._drop_assembly()
        for message_id in self.outbox.unfinished():
            self._events.append(MessageFailed(connection=self.origin.handle, message_id=message_id, expired=False))
        data = b"".join(writes)
        self.stats.bytes_sent += len(data)
        return data

    def next_timeout(self) -> Instant:
        """When the connection or a message expires, or the peer is to be told or asked something."""
        due = earlier(earlier(self.outbox.next_deadline(), self._ask_at), self._acks.next_timeout())
        return self.expires_at if due is None else min(self.expires_at, due)

    def snapshot(self) -> ConnectionSnapshot:
        """The connection at this instant; the kernel owns round trips, timers and windows: they are None or 0 here."""
        return ConnectionSnapshot(
            connection=self.origin.handle,
            transport="tcp",
            peer_id=self.peer_id,
            address=self.origin.address,
            state=self.state.name.lower(),
            is_initiator=self.origin.is_initiator,
            established_at=self.established_at,
            latest_rtt=None,
            smoothed_rtt=None,
            rttvar=None,
            min_rtt=None,
            computed_rto=0,
            effective_rto=0,
            rto_backoff=0,
            congestion_window=0,
            slow_start_threshold=None,
            bytes_in_flight=self.outbox.bytes_queued,
            mtu=0,
            send_queue_messages=len(self.outbox),
            stats=self.stats,
        )

    def _take_ack(self) -> bytes:
        """What goes in front of the next record: an acknowledgement, or nothing."""
        messages = self._acks.take()
        return b"" if messages is None else pack_ack(messages)

    @property
    def _is_exhausted(self) -> bool:
        return self._send_cipher is not None and self._send_cipher.is_exhausted

    def _seal(self, plaintext: bytes) -> bytes:
        assert self._send_cipher is not None
        if self._is_exhausted:
            raise ProtocolViolation(Code.KEY_EXHAUSTED, f"{self._send_cipher.records} records on one connection")
        header = pack_length(len(plaintext) + TAG_BYTES)
        record = header + self._send_cipher.seal(plaintext, header)
        self.stats.packets_sent += 1
        return record


REFUSALS = {
    "network_mismatch": RefusalReason.NETWORK_MISMATCH,
    "unsupported_version": RefusalReason.VERSION_MISMATCH,
}
_HINTS = {int(reason): reason.name.lower() for reason in RefusalReason}
