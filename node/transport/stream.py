"""The TCP endpoint: a machine of five verbs over byte streams, with the commands and events of the UDP endpoint.

Knows no socket and no clock. The shell opens the streams that `StreamConnect` asks for and reports what happens to all
of them (`StreamOpened`, `StreamData`, `StreamClosed`); it writes what `StreamWrite` says. Bytes of a peer never raise
out of `receive`: they end that peer's connection and are counted.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from heapq import heappop, heappush

from node.crypto.noise import StaticKey
from node.errors import Code, DecodeError, HandshakeError, ProtocolViolation, UnknownPeer, UsageError
from node.identity.keys import Identity
from node.transport.admission import HalfOpen, HandshakeRates
from node.transport.duplicates import Choice, choose
from node.transport.events import Closed, Connected, Event
from node.transport.handshake import Handshake, HandshakeSetup
from node.transport.packet import Message
from node.transport.pool import NoRoom, ReassemblyPool, Stalled, most_stalled
from node.transport.settings import TransportSettings
from node.transport.state import ConnectionState
from node.transport.stats import ConnectionSnapshot, EndpointStats
from node.transport.stream_connection import REFUSALS, Refused, StreamConnection, StreamOrigin, pack_parameters
from node.transport.stream_records import CloseRecord
from node.types import Address, Entropy, Instant, NodeId
from node.wire.handshake import RefusalReason
from node.wire.limits import STREAM_HANDLE_FIRST

__all__ = [
    "SLOW_READER",
    "StreamClosed",
    "StreamConnect",
    "StreamData",
    "StreamEndpoint",
    "StreamInput",
    "StreamOpened",
    "StreamOutput",
    "StreamRoom",
    "StreamShutdown",
    "StreamWrite",
]

SLOW_READER = "the peer does not read"
"""Reason of a StreamClosed with which the shell cuts a peer that takes no bytes."""


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """A stream is there. Its number is below STREAM_HANDLE_FIRST and unused if the peer opened it."""

    stream: int
    address: Address
    is_initiator: bool


@dataclass(frozen=True, slots=True)
class StreamData:
    """Bytes that arrived, in order."""

    stream: int
    data: bytes


@dataclass(frozen=True, slots=True)
class StreamRoom:
    """Whether the kernel takes more bytes. What is to be sent waits here, where a deadline can still withdraw it."""

    stream: int
    has_room: bool


@dataclass(frozen=True, slots=True)
class StreamClosed:
    """The stream is gone, or could not be opened; `reason` is for people."""

    stream: int
    reason: str


@dataclass(frozen=True, slots=True)
class StreamConnect:
    """Open a stream to that address and report it under that number."""

    stream: int
    address: Address


@dataclass(frozen=True, slots=True)
class StreamWrite:
    """Write these bytes, in order."""

    stream: int
    data: bytes


@dataclass(frozen=True, slots=True)
class StreamShutdown:
    """Close the stream once everything before is written; nothing about it is of interest any more."""

    stream: int


StreamInput = StreamOpened | StreamData | StreamRoom | StreamClosed
StreamOutput = StreamConnect | StreamWrite | StreamShutdown


class StreamEndpoint:
    """All TCP connections of one node, keyed by handle, stream, peer and address.

    Handles begin at STREAM_HANDLE_FIRST, so that they differ from those of the UDP endpoint.
    """

    def __init__(
        self,
        identity: Identity,
        settings: TransportSettings,
        *,
        entropy: Entropy,
        pool: ReassemblyPool | None = None,
    ) -> None:
        """pool: shared with the UDP endpoint of the same node; one of its own without it."""
        self._pool = pool or ReassemblyPool(settings.reassembly_bytes_max)
        self._pool.holders.append(self._stalled)
        self._retired = EndpointStats()
        self._identity = identity
        self._settings = settings
        self._entropy = entropy
        self._static = StaticKey(entropy(32))
        self._rates = HandshakeRates(settings)
        self._connections: dict[int, StreamConnection] = {}
        self._streams: dict[int, StreamConnection] = {}
        self._half_open: dict[int, StreamConnection] = {}
        self._strangers = HalfOpen()
        self._peers: dict[NodeId, StreamConnection] = {}
        self._addresses: dict[Address, StreamConnection] = {}
        self._outputs: deque[StreamOutput] = deque()
        self._events: deque[Event] = deque()
        self._ready: deque[StreamConnection] = deque()
        self._timers: list[tuple[Instant, int]] = []
        self._next_handle = STREAM_HANDLE_FIRST

    # --- the five verbs

    def receive(self, event: StreamInput, now: Instant) -> None:
        """Takes what happened to a stream; one that is no longer known is ignored."""
        match event:
            case StreamOpened(stream, address, is_initiator):
                self._on_opened(stream, address, is_initiator=is_initiator, now=now)
            case StreamData(stream, data):
                connection = self._streams.get(stream)
                if connection is not None:
                    self._on_data(connection, data, now)
            case StreamRoom(stream, has_room):
                connection = self._streams.get(stream)
                if connection is not None:
                    connection.has_room = has_room
                    self._mark_ready(connection)
            case StreamClosed(stream, reason):
                connection = self._streams.get(stream)
                if connection is not None:
                    self._on_stream_closed(connection, reason)

    def handle_timeout(self, now: Instant) -> None:
        """Ends what has been silent for too long and gives up messages that are too late."""
        while self._timers and self._timers[0][0] <= now:
            instant, handle = heappop(self._timers)
            connection = self._connections.get(handle) or self._half_open.get(handle)
            if connection is None or connection.armed_at != instant:
                continue
            connection.armed_at = None
            if connection.expire(now):
                self._mark_ready(connection)
            if now < connection.expires_at:
                self._arm(connection)
            elif connection.state is ConnectionState.HANDSHAKE:
                self._end(connection, CloseRecord(Code.HANDSHAKE_TIMEOUT, "no answer to the handshake"))
            else:
                self._end(connection, CloseRecord(Code.IDLE_TIMEOUT, "nothing was received"))

    def poll_transmit(self, now: Instant) -> StreamOutput | None:
        """The next thing that the shell shall do; connections with much to write take turns."""
        while not self._outputs and self._ready:
            connection = self._ready.popleft()
            connection.is_ready = False
            # The timer may be late, and what is past its deadline must not leave before it.
            connection.expire(now)
            if not connection.has_writes():
                continue
            try:
                data = connection.poll_write()
            except ProtocolViolation as violation:
                self._end(connection, CloseRecord(violation.code, violation.reason))
                continue
            self._mark_ready(connection)
            return StreamWrite(connection.origin.stream, data)
        return self._outputs.popleft() if self._outputs else None

    def poll_event(self) -> Event | None:
        """The next happening, oldest first."""
        return self._events.popleft() if self._events else None

    def next_timeout(self) -> Instant | None:
        """When `handle_timeout` may have something to do; now and then earlier than needed."""
        return self._timers[0][0] if self._timers else None

    # --- commands

    def connect(self, address: Address, now: Instant, expected: NodeId | None = None) -> int:
        """Begins a connection and returns its handle; UsageError at max_connections."""
        if len(self._connections) >= self._settings.max_connections:
            raise UsageError(f"max_connections: there are {len(self._connections)} connections")
        handle = self._take_handle()
        origin = StreamOrigin(handle=handle, stream=handle, address=address, is_initiator=True, dial_number=handle)
        connection = self._create(origin, expected, now)
        self._connections[handle] = connection
        self._remember_address(address, connection)
        self._outputs.append(StreamConnect(handle, address))
        return handle

    def send(self, connection: int, message: Message, now: Instant) -> int:
        """Queues a message, also before the connection is established, and returns its id within the connection.

        MessageTooLarge, QueueFull, UnknownPeer (unknown or closed handle), UsageError (ORDERED with a deadline).
        """
        found = self._connections.get(connection)
        if found is None:
            raise UnknownPeer(f"connection {connection} is unknown or closed")
        message_id = found.send(message, now)
        self._mark_ready(found)
        self._arm(found)
        return message_id

    def withdraw(self, connection: int, message_id: int, now: Instant) -> None:
        """Gives a message up as if its deadline had come; one whose fate is known is left alone."""
        found = self._connections.get(connection)
        if found is not None:
            found.outbox.withdraw(message_id, now)
            self._arm(found)

    def disconnect(self, connection: int, now: Instant, code: Code = Code.OK, reason: str = "") -> None:
        """Ends a connection and tells the peer; an unknown handle is ignored."""
        found = self._connections.get(connection)
        if found is not None:
            self._end(found, CloseRecord(code, reason))

    def shutdown(self, now: Instant) -> None:
        """Ends every connection."""
        for connection in [*self._connections.values(), *self._half_open.values()]:
            self._end(connection, CloseRecord(Code.SHUTDOWN, ""))

    def connection_of(self, peer_id: NodeId) -> int | None:
        """The established connection with that peer."""
        connection = self._peers.get(peer_id)
        return None if connection is None else connection.origin.handle

    def bytes_arriving(self, peer_id: NodeId, now: Instant) -> int:
        """Bytes that are here of messages from that peer of which parts are missing."""
        connection = self._peers.get(peer_id)
        return 0 if connection is None else connection.bytes_stalled(now)

    def connection_at(self, address: Address) -> int | None:
        """The connection, established or not, that was dialled at that address or comes from it, or its successor."""
        connection = self._addresses.get(address)
        return None if connection is None else connection.origin.handle

    def stream_of(self, connection: int) -> int | None:
        """The number of the stream that a connection runs over."""
        found = self._connections.get(connection)
        return None if found is None else found.origin.stream

    def snapshots(self) -> list[ConnectionSnapshot]:
        """Every connection but the half-open ones of strangers."""
        return [connection.snapshot() for connection in self._connections.values()]

    def snapshot(self, connection: int) -> ConnectionSnapshot | None:
        """One connection; None once it is gone."""
        found = self._connections.get(connection)
        return None if found is None else found.snapshot()

    @property
    def stats(self) -> EndpointStats:
        """Everything counted so far: connections that are gone and those that are there. A copy."""
        return self._retired.plus(connection.stats for connection in self._streams.values())

    # --- what a connection tells while it reads

    def on_established(self, connection: StreamConnection, now: Instant) -> None:
        """The peer has proved its identity: decides whether this connection stays."""
        assert connection.peer_id is not None
        handle, peer_id = connection.origin.handle, connection.peer_id
        self._retired.handshakes_completed += 1
        if self._half_open.pop(handle, None) is not None:
            self._strangers.remove(connection.origin.address)
            self._connections[handle] = connection
        if peer_id == self._identity.public_key:
            is_self = connection.claim is not None and connection.claim.peer_static == self._static.public
            code = Code.SELF_CONNECTION if is_self else Code.DUPLICATE_IDENTITY
            self._end(connection, CloseRecord(code, "the peer has our own key"))
            return
        rival = self._peers.get(peer_id)
        if rival is not None:
            choice = choose(self._identity.public_key, peer_id, old=rival.claim, new=connection.claim)
            if choice is not Choice.STAYS:
                connection.is_withheld = choice is Choice.IS_WITHHELD
                self._replace(connection, by=rival)
                rival.ask()
                self._mark_ready(rival)
                return
        if rival is None and len(self._peers) >= self._settings.max_connections:
            reason = f"max_connections: {len(self._peers)} peers are connected"
            self._end(connection, CloseRecord(Code.CONNECTION_LIMIT, reason))
            return
        self._peers[peer_id] = connection
        self._remember_address(connection.origin.address, connection)
        self._events.append(
            Connected(
                connection=handle,
                peer_id=peer_id,
                address=connection.origin.address,
                is_initiator=connection.origin.is_initiator,
            )
        )
        if rival is not None:
            self._replace(rival, by=connection)

    def on_closed_by_peer(self, connection: StreamConnection, record: CloseRecord, now: Instant) -> None:
        """The peer has sent a CLOSE."""
        self._end(connection, record, by_peer=True)

    def take_room(self, size: int, now: Instant) -> None:
        """A part of a message has come. ProtocolViolation where nobody can make room: a stream cannot lose it."""
        while True:
            try:
                self._pool.take(size)
            except NoRoom:
                if not self._pool.make_room(now):
                    reason = f"messages in parts fill {self._pool.size} bytes, which all connections share"
                    raise ProtocolViolation(Code.REASSEMBLY_LIMIT, reason) from None
            else:
                return

    def give_room(self, size: int) -> None:
        """That memory is free again."""
        self._pool.give(size)

    def _stalled(self, since: Instant, _now: Instant) -> Stalled:
        def end(worst: StreamConnection, held: int) -> None:
            reason = f"a message in parts stands still and holds {held} bytes"
            self._end(worst, CloseRecord(Code.REASSEMBLY_LIMIT, reason))

        return most_stalled(self._connections.values(), since, end)

    # --- streams

    def _on_opened(self, stream: int, address: Address, *, is_initiator: bool, now: Instant) -> None:
        if is_initiator:
            connection = self._streams.get(stream)
            if connection is not None:
                connection.open()
                self._mark_ready(connection)
            return
        origin = StreamOrigin(handle=self._take_handle(), stream=stream, address=address, is_initiator=False)
        connection = self._create(origin, None, now)
        self._half_open[origin.handle] = connection
        self._strangers.add(address)
        # Of a dial and a caller that cross, one will give way.
        is_full = len(self._peers) >= self._settings.max_connections
        has_room = not is_full and self._strangers.is_within(self._settings.half_open_max, address)
        # Whoever opens a stream has shown that it is at its address.
        if not has_room or not self._rates.may_begin(address, now, is_validated=True):
            self._retired.packets_dropped["rate_limited"] += 1
            self._retired.refusals_sent["busy"] += 1
            connection.refuse(RefusalReason.BUSY)
            self._end(connection, None)

    def _on_data(self, connection: StreamConnection, data: bytes, now: Instant) -> None:
        connection.stats.bytes_received += len(data)
        connection.touch(now)
        try:
            for body in connection.frames.feed(data):
                connection.handle(body, now)
                if connection.state is ConnectionState.CLOSED:
                    return
        except ProtocolViolation as violation:
            self._end(connection, CloseRecord(violation.code, violation.reason))
        except (DecodeError, HandshakeError) as error:
            self._on_bad_bytes(connection, error)
        else:
            self._mark_ready(connection)
            self._arm(connection)

    def _on_bad_bytes(self, connection: StreamConnection, error: DecodeError | HandshakeError) -> None:
        self._retired.packets_dropped[error.reason] += 1
        if connection.state is ConnectionState.HANDSHAKE:
            hint = error.hint if isinstance(error, Refused) else ""
            if hint:
                self._retired.refusals_received[hint] += 1
            if error.reason in REFUSALS and not connection.origin.is_initiator:
                self._retired.refusals_sent[REFUSALS[error.reason].name.lower()] += 1
            self._end(connection, CloseRecord(Code.HANDSHAKE_FAILED, str(error)), hint=hint)
        else:
            self._end(connection, CloseRecord(Code.FRAME_ENCODING, str(error)))

    def _on_stream_closed(self, connection: StreamConnection, reason: str) -> None:
        if connection.state is ConnectionState.HANDSHAKE:
            record = CloseRecord(Code.HANDSHAKE_FAILED, reason)
        elif reason == SLOW_READER:
            record = CloseRecord(Code.FLOW_CONTROL, reason)
        else:
            record = CloseRecord(Code.CONNECTION_LOST, reason)
        self._end(connection, record, has_stream=False)

    # --- tables

    def _take_handle(self) -> int:
        self._next_handle += 1
        return self._next_handle - 1

    def _create(self, origin: StreamOrigin, expected: NodeId | None, now: Instant) -> StreamConnection:
        setup = HandshakeSetup(
            identity=self._identity,
            static=self._static,
            transport="tcp",
            network_id=self._settings.network_id,
            parameters=pack_parameters(origin.dial_number, self._settings.suites),
            expected=expected,
        )
        handshake = Handshake(setup, is_initiator=origin.is_initiator, entropy=self._entropy)
        connection = StreamConnection(origin, self._settings, handshake, self, self._events, now)
        self._streams[origin.stream] = connection
        self._arm(connection)
        return connection

    def _mark_ready(self, connection: StreamConnection) -> None:
        if not connection.is_ready and connection.has_writes():
            connection.is_ready = True
            self._ready.append(connection)

    def _arm(self, connection: StreamConnection) -> None:
        # An entry that comes too early puts the connection back; only a nearer time needs a new entry.
        due = connection.next_timeout()
        if connection.armed_at is None or due < connection.armed_at:
            connection.armed_at = due
            heappush(self._timers, (due, connection.origin.handle))

    def _remember_address(self, address: Address, connection: StreamConnection) -> None:
        self._addresses[address] = connection
        if address not in connection.addresses:
            connection.addresses.append(address)

    def _replace(self, loser: StreamConnection, *, by: StreamConnection) -> None:
        if loser.origin.is_initiator:
            # Callers know the peer by the address that they dialled; an accepted connection has only its remote port.
            for address in loser.addresses:
                self._remember_address(address, by)
        self._end(loser, CloseRecord(Code.REPLACED, ""))

    def _end(
        self, connection: StreamConnection, record: CloseRecord | None, *, by_peer: bool = False,
        has_stream: bool = True, hint: str = "",
    ) -> None:  # fmt: skip
        """Forgets a connection. record: what callers and, unless it came from there, the peer are told."""
        origin, was_established = connection.origin, connection.state is ConnectionState.ESTABLISHED
        if not was_established:
            self._retired.handshakes_failed += 1
        data = connection.end(None if by_peer or not has_stream else record)
        is_stranger = self._half_open.pop(origin.handle, None) is not None
        if is_stranger:
            self._strangers.remove(origin.address)
        self._retired.absorb(connection.stats)
        del self._streams[origin.stream]
        self._connections.pop(origin.handle, None)
        if connection.peer_id is not None and self._peers.get(connection.peer_id) is connection:
            del self._peers[connection.peer_id]
        for address in connection.addresses:
            if self._addresses.get(address) is connection:
                del self._addresses[address]
        if has_stream:
            if data:
                self._outputs.append(StreamWrite(origin.stream, data))
            self._outputs.append(StreamShutdown(origin.stream))
        if record is None or is_stranger:
            return
        self._events.append(
            Closed(
                connection=origin.handle,
                peer_id=connection.peer_id,
                address=origin.address,
                code=record.code,
                reason=record.reason,
                by_peer=by_peer,
                is_initiator=origin.is_initiator,
                hint=hint,
            )
        )
