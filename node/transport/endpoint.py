"""One UDP socket's worth of connections: a machine of five verbs.

Routes datagrams by connection id, answers strangers' INITs within limits, and keeps one connection per peer. It
knows no socket and no clock; the shell or the simulator feeds it and drains it. Nothing is answered before it is
authenticated but an INIT, and a packet of a connection that a former process of this node may have had; no
unauthenticated datagram changes an established connection. Who may come in says `admission`.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush

from node.crypto.noise import StaticKey
from node.crypto.suites import suites_mask
from node.errors import Code, DecodeError, HandshakeError, UnknownPeer, UsageError
from node.identity.keys import Identity
from node.transport.admission import Admission, HalfOpen, NetworkMismatch, Verdict
from node.transport.connection import Connection
from node.transport.duplicates import Choice, choose
from node.transport.events import Closed, Connected, Event, MessageAcknowledged, MessageReceived
from node.transport.handshake import Handshake, HandshakeSetup
from node.transport.opening import Opening
from node.transport.packet import Datagram, Message, Transmit
from node.transport.path import Path
from node.transport.pool import ReassemblyPool, Stalled, most_stalled
from node.transport.resets import Resets
from node.transport.settings import TransportSettings
from node.transport.state import ConnectionState, Origin
from node.transport.stats import ConnectionSnapshot, EndpointStats
from node.transport.traces import Traces
from node.types import Address, ConnectionId, Entropy, Instant, NodeId, canonical_address
from node.wire.handshake import Init, RefusalReason, parse_reset
from node.wire.header import Header, PacketType, data_header, parse_header
from node.wire.limits import ANSWERS_QUEUED_MAX
from node.wire.parameters import Parameters, encode_parameters

__all__ = ["Endpoint"]

_ENDED = (ConnectionState.CLOSING, ConnectionState.CLOSED)

_TIMERS_MIN, _TIMERS_PER_CONNECTION = 64, 4
"""Timers kept, those that were replaced included, before the heap is made anew."""


class Endpoint:
    """See the module. `receive` never raises, whatever the bytes; every datagram it drops is counted by reason.

    segments_max: datagrams of one size that one Transmit may hold; 1 while a queueing discipline impairs the link,
        which would drop such a batch as one.
    """

    def __init__(
        self,
        identity: Identity,
        settings: TransportSettings,
        *,
        entropy: Entropy,
        pool: ReassemblyPool | None = None,
    ) -> None:
        """pool: shared with the TCP endpoint of the same node; one of its own without it."""
        self.identity = identity
        self.settings = settings
        self.segments_max = settings.segments_max
        self.connections: dict[int, Connection] = {}
        self.traces = Traces(settings.qlog_bytes_max)
        self._entropy = entropy
        self._static = StaticKey(entropy(32))
        self._admission = Admission(settings, entropy)
        self._resets = Resets(identity, settings.network_id)
        self._by_reset_token: dict[bytes, Connection] = {}
        self._retired = EndpointStats()
        self._next_handle = 1
        self._by_local_id: dict[int, Connection] = {}
        self._by_peer: dict[NodeId, Connection] = {}
        self._by_init: dict[tuple[bytes, Address], Connection] = {}
        self._half_open = HalfOpen()
        self._pool = pool or ReassemblyPool(settings.reassembly_bytes_max)
        self._pool.holders.append(self._stalled)
        self._pending: dict[int, Connection] = {}
        self._answers: deque[Transmit] = deque(maxlen=ANSWERS_QUEUED_MAX)
        self._events: deque[Event] = deque()
        self._timers: list[tuple[Instant, int]] = []
        self._armed: dict[int, Instant] = {}

    # --- the five verbs

    def receive(self, datagram: Datagram, now: Instant) -> None:
        """Takes a datagram from the socket, or several that the kernel has joined."""
        changed: Connection | None = None
        for data in datagram.payloads() if datagram.segment_size else (datagram.data,):
            found = data_header(data)
            connection = None if found is None else self._by_local_id.get(found[0])
            if connection is not changed and changed is not None:
                self._after(changed, now)
                changed = None
            if found is None or connection is None or connection.state is not ConnectionState.ESTABLISHED:
                self._receive_other(Datagram(datagram.address, data, datagram.ecn), now)
                continue
            changed = connection
            try:
                connection.receive_data(found[1], data, datagram, now)
            except DecodeError as error:
                self._retired.packets_dropped[error.reason] += 1
                if error.reason == "no_room":
                    self._pool.make_room(now)
        if changed is not None:
            self._after(changed, now)

    def _stalled(self, since: Instant, now: Instant) -> Stalled:
        def end(worst: Connection, held: int) -> None:
            worst.close(Code.REASSEMBLY_LIMIT, f"messages in parts stand still and hold {held} bytes", now)
            self._after(worst, now)

        return most_stalled(self.connections.values(), since, end)

    def _receive_other(self, datagram: Datagram, now: Instant) -> None:
        try:
            header = parse_header(datagram.data)
            connection = self._by_local_id.get(header.destination)
            if header.packet_type is PacketType.INIT:
                self._receive_init(datagram, now)
            elif header.packet_type is PacketType.RESET:
                self._receive_reset(datagram, now)
            elif connection is None:
                self._reset_stranger(header, datagram, now)
                raise DecodeError("unknown_connection", f"{header.destination:#x}")
            else:
                self._receive_on(connection, header, datagram, now)
        except (DecodeError, HandshakeError) as error:
            self._retired.packets_dropped[error.reason] += 1
            if error.reason == "unsupported_version":
                self._refuse_version(datagram)

    def handle_timeout(self, now: Instant) -> None:
        """Does what is due in every connection."""
        while self._timers and self._timers[0][0] <= now:
            due, handle = heappop(self._timers)
            if self._armed.get(handle) != due:
                continue
            del self._armed[handle]
            connection = self.connections[handle]
            connection.handle_timeout(now)
            self._after(connection, now)

    def poll_transmit(self, now: Instant) -> Transmit | None:
        """The next datagram, or batch of datagrams of one size, to send; None when there is none for now."""
        if self._answers:
            return self._answers.popleft()
        while self._pending:
            handle, connection = next(iter(self._pending.items()))
            deadline = connection.sending.outbox.queue.next_deadline()
            if deadline is not None and deadline <= now:
                # The timer is late, and what is past its deadline must not leave before it.
                connection.handle_timeout(now)
                self._take_events(connection, now)
            transmit = connection.poll_transmit(now, self.segments_max)
            del self._pending[handle]
            if transmit is not None and connection.has_more:
                # To the back of the line: one busy connection must not starve the others.
                self._pending[handle] = connection
                return transmit
            self._settle(connection, now)
            if transmit is not None:
                return transmit
        return None

    def poll_event(self) -> Event | None:
        """The next happening, oldest first."""
        return self._events.popleft() if self._events else None

    def next_timeout(self) -> Instant | None:
        """When `handle_timeout` has something to do again; None when never."""
        timers, armed = self._timers, self._armed
        while timers:
            due, handle = timers[0]
            if armed.get(handle) == due:
                return due
            heappop(timers)
        return None

    # --- commands

    def connect(self, address: Address, now: Instant, expected: NodeId | None = None) -> int:
        """Begins a connection and returns its handle; UsageError when max_connections are there already."""
        if self._is_full:
            raise UsageError(f"{self.settings.max_connections} connections are open: max_connections allows no more")
        origin = self._new_origin(canonical_address(address), is_initiator=True)
        opening = Opening.initiate(
            self._new_handshake(origin, expected), origin.local_id, self.settings.network_id, now
        )
        connection = self._add(origin, opening, now)
        self._after(connection, now)
        return connection.origin.handle

    def send(self, connection: int, message: Message, now: Instant) -> int:
        """Queues a message and returns its id, unique in its connection.

        Raises MessageTooLarge, QueueFull, UsageError, or UnknownPeer for a connection that is not there any more.
        """
        target = self.connections.get(connection)
        if target is None:
            raise UnknownPeer(f"there is no connection {connection}")
        message_id = target.send(message)
        self._after(target, now)
        return message_id

    def withdraw(self, connection: int, message_id: int, now: Instant) -> None:
        """Gives a message up as if its deadline had come; one whose fate is known, or an ordered one, is left alone."""
        target = self.connections.get(connection)
        if target is not None:
            target.sending.outbox.queue.withdraw(message_id, now)
            self._after(target, now)

    def disconnect(self, connection: int, now: Instant, code: Code = Code.OK, reason: str = "") -> None:
        """Ends a connection and tells the peer; one that is not there any more is left alone."""
        target = self.connections.get(connection)
        if target is not None:
            target.close(code, reason, now)
            self._after(target, now)

    def shutdown(self, now: Instant) -> None:
        """Ends every connection."""
        for handle in list(self.connections):
            self.disconnect(handle, now, Code.SHUTDOWN, "the node stops")

    def connection_of(self, peer_id: NodeId) -> int | None:
        """The established connection with that peer."""
        connection = self._by_peer.get(peer_id)
        return connection.origin.handle if connection is not None else None

    def bytes_arriving(self, peer_id: NodeId, now: Instant) -> int:
        """Bytes that are here of messages from that peer of which parts are missing."""
        connection = self._by_peer.get(peer_id)
        return connection.bytes_stalled(now) if connection is not None else 0

    def connection_at(self, address: Address) -> int | None:
        """A connection with that address that is established or on its way, the newest of them."""
        address = canonical_address(address)
        for connection in reversed(self.connections.values()):
            is_usable = connection.state is ConnectionState.ESTABLISHED or (
                connection.state is ConnectionState.HANDSHAKE and connection.origin.is_initiator
            )
            if is_usable and connection.path.address == address:
                return connection.origin.handle
        return None

    def snapshot(self, connection: int) -> ConnectionSnapshot | None:
        """One connection at this instant."""
        target = self.connections.get(connection)
        return target.snapshot() if target is not None else None

    def snapshots(self) -> list[ConnectionSnapshot]:
        """Every connection at this instant, oldest first."""
        return [connection.snapshot() for connection in self.connections.values()]

    def start_trace(self, connection: int, bytes_max: int, now: Instant) -> bool:
        """Records the events of a connection from now on, up to so many bytes; False where there is no such one.

        One that is recorded already goes on as it is.
        """
        target = self.connections.get(connection)
        if target is not None and target.sending.trace is None:
            self.traces.open[connection] = target.start_trace(bytes_max, now)
        return target is not None

    def stop_trace(self, connection: int) -> None:
        """Records nothing more of a connection; what there is goes to the ended `traces`."""
        target = self.connections.get(connection)
        if target is not None:
            target.sending.trace = None
            self.traces.end(connection)

    def qlog(self, connection: int) -> bytes | None:
        """The recorded events of a connection as a qlog file (JSON-SEQ); None where none are recorded."""
        trace = self.traces.open.get(connection)
        return None if trace is None else trace.dump()

    @property
    def stats(self) -> EndpointStats:
        """Everything counted so far: connections that are gone and those that are there. A copy."""
        return self._retired.plus(connection.stats for connection in self.connections.values())

    @property
    def _is_full(self) -> bool:
        """Whether max_connections are open or on their way; those that have ended are only remembered for a moment."""
        most = self.settings.max_connections
        if len(self.connections) - len(self._half_open) < most:
            return False
        ended = sum(connection.state in _ENDED for connection in self.connections.values())
        return len(self.connections) - len(self._half_open) - ended >= most

    # --- handshakes

    def _receive_init(self, datagram: Datagram, now: Instant) -> None:
        try:
            init = self._admission.screen(datagram.data)
        except NetworkMismatch as error:
            self._refuse(datagram.address, error.init, RefusalReason.NETWORK_MISMATCH)
            raise
        # A copy from another address is another handshake: it must not make us answer where nobody has asked.
        known = self._by_init.get((init.noise, datagram.address))
        if known is not None:
            known.repeat_response(now)
            self._after(known, now)
            raise DecodeError("duplicate", "INIT")
        self._admit(init, datagram.address, now)
        origin = self._new_origin(datagram.address, is_initiator=False)
        handshake = self._new_handshake(origin, expected=None)
        handshake.read_init(init.noise)
        connection = self._add(origin, Opening.respond(handshake, init.clear.source, init.noise, now), now)
        self._by_init[init.noise, datagram.address] = connection
        self._half_open.add(origin.address)
        self._after(connection, now)

    def _admit(self, init: Init, address: Address, now: Instant) -> None:
        """Returns if that INIT may begin a handshake; answers it and raises DecodeError(`rate_limited`) if not."""
        if len(self.connections) >= self.settings.max_connections + self.settings.half_open_max:
            verdict = Verdict.BUSY
        else:
            verdict = self._admission.judge(init, address, self._half_open, now)
        if verdict is Verdict.RETRY:
            self._retired.retries_sent += 1
            self._answer(address, self._admission.retry(init, address, now))
        elif verdict is Verdict.BUSY:
            self._refuse(address, init, RefusalReason.BUSY)
        if verdict is not Verdict.ADMIT:
            raise DecodeError("rate_limited", f"too many handshakes at once: {verdict.name}")

    def _receive_reset(self, datagram: Datagram, now: Instant) -> None:
        connection = self._by_reset_token.get(parse_reset(datagram.data))
        if connection is None:
            raise DecodeError("unexpected", "RESET of a connection that is not there")
        self._retired.resets_received += 1
        connection.reset(now)
        self._after(connection, now)

    def _reset_stranger(self, header: Header, datagram: Datagram, now: Instant) -> None:
        answer = self._resets.answer(header, datagram, now)
        if answer is not None:
            self._retired.resets_sent += 1
            self._answer(datagram.address, answer)

    def _receive_on(self, connection: Connection, header: Header, datagram: Datagram, now: Instant) -> None:
        try:
            connection.receive(header, datagram, now)
        except HandshakeError as error:
            connection.hint = error.reason
            raise
        finally:
            self._after(connection, now)
        if header.packet_type is PacketType.REFUSE:
            self._retired.refusals_received[connection.hint] += 1
        elif header.packet_type is PacketType.RETRY:
            self._retired.retries_received += 1

    def _refuse_version(self, datagram: Datagram) -> None:
        answer = self._admission.refuse_version(datagram.data)
        if answer is not None:
            self._retired.refusals_sent["version_mismatch"] += 1
            self._answer(datagram.address, answer)

    def _refuse(self, address: Address, init: Init, reason: RefusalReason) -> None:
        self._retired.refusals_sent[reason.name.lower()] += 1
        self._answer(address, self._admission.refuse(init, reason))

    def _answer(self, address: Address, data: bytes) -> None:
        self._answers.append(Transmit(address, data, len(data)))

    def _new_origin(self, address: Address, *, is_initiator: bool) -> Origin:
        local_id = 0
        while not local_id or local_id in self._by_local_id:
            local_id = int.from_bytes(self._entropy(4), "big")
        handle = self._next_handle
        self._next_handle += 1
        return Origin(handle=handle, local_id=ConnectionId(local_id), address=address, is_initiator=is_initiator)

    def _new_handshake(self, origin: Origin, expected: NodeId | None) -> Handshake:
        settings = self.settings
        parameters = Parameters(
            connection_id=origin.local_id,
            max_data=settings.initial_window,
            max_ack_delay=settings.max_ack_delay,
            max_datagram=settings.mtu,
            dial_number=origin.handle if origin.is_initiator else 0,
            suites=suites_mask(settings.suites),
            reset_token=self._resets.token(origin.local_id, origin.address),
        )
        setup = HandshakeSetup(
            identity=self.identity,
            static=self._static,
            transport="udp",
            network_id=settings.network_id,
            parameters=encode_parameters(parameters),
            expected=expected,
        )
        return Handshake(setup, is_initiator=origin.is_initiator, entropy=self._entropy)

    def _add(self, origin: Origin, opening: Opening, now: Instant) -> Connection:
        path = Path(origin.address, self._entropy)
        connection = Connection(origin, self.settings, opening, path, now)
        connection.pool = self._pool
        self.connections[origin.handle] = connection
        self._by_local_id[origin.local_id] = connection
        if self.traces.bytes_max:
            self.start_trace(origin.handle, self.traces.bytes_max, now)
        return connection

    # --- after every change of a connection

    def _after(self, connection: Connection, now: Instant) -> None:
        """Takes over the connection's events, and puts it in line for sending."""
        if connection.events:
            self._take_events(connection, now)
        self._pending[connection.origin.handle] = connection

    def _take_events(self, connection: Connection, now: Instant) -> None:
        events = connection.events
        while events:
            event = events.popleft()
            if type(event) is MessageReceived or type(event) is MessageAcknowledged:
                self._events.append(event)
            elif isinstance(event, Connected):
                self._on_connected(connection, event, now)
            elif isinstance(event, Closed):
                self._on_closed(connection, event)
            else:
                self._events.append(event)

    def _on_connected(self, connection: Connection, event: Connected, now: Instant) -> None:
        self._retired.handshakes_completed += 1
        if connection.reset_token:
            self._by_reset_token[connection.reset_token] = connection
        if not event.is_initiator:
            self._half_open.remove(connection.origin.address)
        if event.peer_id == self.identity.public_key:
            is_self = connection.claim is not None and connection.claim.peer_static == self._static.public
            code = Code.SELF_CONNECTION if is_self else Code.DUPLICATE_IDENTITY
            connection.close(code, "both ends have one key", now, tell_peer=not is_self)
            return
        if len(self._by_peer) >= self.settings.max_connections and event.peer_id not in self._by_peer:
            connection.close(Code.CONNECTION_LIMIT, f"max_connections: {len(self._by_peer)} peers are connected", now)
            return
        rival = self._by_peer.get(event.peer_id)
        if rival is not None and self._gives_way(connection, rival, event.peer_id, now):
            return
        self._by_peer[event.peer_id] = connection
        self._events.append(event)
        if rival is not None:
            rival.close(Code.REPLACED, "a newer connection stays", now)
            self._after(rival, now)

    def _gives_way(self, new: Connection, old: Connection, peer_id: NodeId, now: Instant) -> bool:
        """Whether the old one stays; ends the new one then, and asks whether the peer still has the old one."""
        choice = choose(self.identity.public_key, peer_id, old=old.claim, new=new.claim)
        if choice is not Choice.STAYS:
            new.close(Code.REPLACED, "the older connection stays", now, tell_peer=choice is Choice.GOES)
            old.sending.ask()
            self._after(old, now)
        return choice is not Choice.STAYS

    def _on_closed(self, connection: Connection, event: Closed) -> None:
        if connection.established_at is None:
            self._retired.handshakes_failed += 1
            if not event.is_initiator:
                # A stranger's unfinished handshake: nobody was told of it.
                self._half_open.remove(connection.origin.address)
                return
        if event.peer_id is not None and self._by_peer.get(event.peer_id) is connection:
            del self._by_peer[event.peer_id]
        self._events.append(event)

    def _settle(self, connection: Connection, now: Instant) -> None:
        """The connection has nothing to send for now: arms its timer, or forgets it."""
        handle = connection.origin.handle
        if connection.state is ConnectionState.CLOSED:
            # It may have ended while it was asked for a packet, when it had no number left for one.
            self._take_events(connection, now)
            self._forget(connection)
            return
        due = connection.next_timeout()
        if due is None:
            self._armed.pop(handle, None)
        elif self._armed.get(handle) != due:
            # A timer that is due already fires in the next turn, never in an endless loop within this one.
            self._armed[handle] = due
            heappush(self._timers, (due, handle))
            if len(self._timers) > _TIMERS_MIN + _TIMERS_PER_CONNECTION * len(self._armed):
                self._timers = sorted((due, handle) for handle, due in self._armed.items())

    def _forget(self, connection: Connection) -> None:
        self._retired.absorb(connection.stats)
        self.traces.end(connection.origin.handle)
        del self.connections[connection.origin.handle]
        del self._by_local_id[connection.origin.local_id]
        self._armed.pop(connection.origin.handle, None)
        if self._by_reset_token.get(connection.reset_token) is connection:
            del self._by_reset_token[connection.reset_token]
        if not connection.origin.is_initiator:
            del self._by_init[connection.init, connection.origin.address]
