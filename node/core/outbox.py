"""Messages to one node: waiting for its connection, under way, done. And those of others, each delivered once.

A message is a signed envelope like a broadcast, so that both ends name it by the same id and a copy that came over a
second connection is recognised. Every accepted message has one outcome: acknowledged, out of time, or failed with its
connection. Knows addresses and keys only as names of targets; the machine resolves them and sends.

    frame = [CUSTOM_DATA, body, signature]
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush

from node.core.events import DataReceived, SendFinished
from node.core.stats import CoreStats
from node.errors import Code, ConnectionFailed, DecodeError, PositronError, QueueFull, SendTimeout
from node.gossip.store import SeenIds
from node.messages.envelope import Sealer, check_network, check_signature, message_id, parse_envelope
from node.messages.frame import encode_frame
from node.messages.packing import Value, pack, unpack
from node.messages.types import MessageType
from node.types import Address, Duration, Instant, NodeId
from node.wire.limits import PENDING_SENDS_BYTES_MAX, PENDING_SENDS_MAX

__all__ = ["Outbox", "Pending"]


@dataclass(slots=True)
class Pending:
    """One accepted message. is_under_way: handed to a transport, else waiting for a connection to its target."""

    token: int
    target: NodeId | Address
    data: bytes
    is_reliable: bool
    deadline: Instant
    is_under_way: bool = False


class Outbox:
    """Direct messages of one node."""

    def __init__(self, sealer: Sealer, domain: bytes, stats: CoreStats) -> None:
        self._sealer = sealer
        self._domain = domain
        self._stats = stats
        self._pending: dict[int, Pending] = {}
        self._size = 0
        self._deadlines: list[tuple[Instant, int]] = []
        self._next_token = 1
        self._seen = SeenIds()

    def __len__(self) -> int:
        return len(self._pending)

    # --- own messages -------------------------------------------------------------------------------------------

    def accept(
        self, target: NodeId | Address, payload: object, *, reliable: bool, deadline: Instant, wall: Duration
    ) -> Pending:
        """Signs a message and takes it in. UsageError for what cannot travel, QueueFull when too much is pending."""
        packed = pack(payload)
        if len(self._pending) >= PENDING_SENDS_MAX or self._size + len(packed) > PENDING_SENDS_BYTES_MAX:
            raise QueueFull(f"{len(self._pending)} messages of {self._size} bytes are pending")
        envelope = self._sealer.seal(MessageType.CUSTOM_DATA, packed, wall)
        data = encode_frame(MessageType.CUSTOM_DATA, [envelope.body, envelope.signature])
        pending = Pending(self._next_token, target, data, reliable, deadline)
        self._next_token += 1
        self._pending[pending.token] = pending
        self._size += len(data)
        heappush(self._deadlines, (deadline, pending.token))
        return pending

    def withdraw(self, pending: Pending) -> None:
        """Forgets a message that could not be sent after all, as if it had not been accepted."""
        del self._pending[pending.token]
        self._size -= len(pending.data)

    def waiting(self) -> list[Pending]:
        """Messages that wait for a connection, oldest first."""
        return [pending for pending in self._pending.values() if not pending.is_under_way]

    def tokens(self) -> list[int]:
        """The tokens of all messages without an outcome, oldest first."""
        return list(self._pending)

    def finish(self, token: int, error: PositronError | None) -> SendFinished | None:
        """The outcome of a message; None if it had one already."""
        pending = self._pending.pop(token, None)
        if pending is None:
            return None
        self._size -= len(pending.data)
        if error is None:
            self._stats.sends_finished += 1
        else:
            self._stats.sends_failed += 1
        return SendFinished(token=token, error=error)

    def overdue(self, now: Instant) -> list[SendFinished]:
        """Outcomes of the messages whose time is up."""
        finished = []
        while self._deadlines and self._deadlines[0][0] <= now:
            _, token = heappop(self._deadlines)
            pending = self._pending.get(token)
            if pending is None:
                continue
            error: PositronError = SendTimeout("not acknowledged in time")
            if not pending.is_under_way:
                error = ConnectionFailed(Code.HANDSHAKE_TIMEOUT, "no connection in time")
            outcome = self.finish(token, error)
            assert outcome is not None
            finished.append(outcome)
        return finished

    def next_timeout(self) -> Instant | None:
        """When the first message is out of time."""
        while self._deadlines and self._deadlines[0][1] not in self._pending:
            heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None

    # --- messages of others -------------------------------------------------------------------------------------

    def receive(self, peer: NodeId, fields: list[Value], wall: Duration) -> DataReceived | None:
        """A direct message from that peer; None for a copy. DecodeError for what is refused."""
        match fields:
            case [bytes(body), bytes(signature), *_]:
                return self._receive(peer, body, signature, wall)
            case _:
                raise DecodeError("malformed", "a direct message is body and signature")

    def _receive(self, peer: NodeId, body: bytes, signature: bytes, wall: Duration) -> DataReceived | None:
        identifier = message_id(body, signature)
        if identifier in self._seen:
            self._stats.duplicates += 1
            return None
        envelope = parse_envelope(body, signature)
        if envelope.kind != MessageType.CUSTOM_DATA:
            raise DecodeError("unexpected", f"kind {envelope.kind} in a direct message")
        if envelope.origin != peer:
            raise DecodeError("wrong_origin")
        check_network(envelope, self._domain)
        check_signature(envelope, self._domain, peer)
        payload = unpack(envelope.payload)
        self._seen.add(identifier)
        self._stats.delivered += 1
        return DataReceived(
            message_id=identifier.hex(),
            origin=peer,
            payload=payload,
            packed=envelope.payload,
            hops=1,
            age=max(0, envelope.age(wall)),
            is_broadcast=False,
        )
