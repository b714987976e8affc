"""Turns `send` commands and the events that answer them into something a caller can await.

Knows the commands and events that UDP and TCP endpoint share, no socket. A message is the machine's until it reports
its fate; a connection that gave way to another one with the same peer is not a failure, but a reason to send again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from node.errors import ChannelFull, Code, ConnectionFailed, PositronError, QueueFull, SendTimeout, UnknownPeer
from node.transport.arguments import checked_timeout
from node.transport.events import Closed, Delivery, Event, MessageAcknowledged, MessageFailed
from node.transport.packet import Message, Priority
from node.transport.stats import ConnectionSnapshot
from node.transport.waiting import Refused, Waiter, WaitingCallers
from node.types import SECOND, Address, Duration, Instant, NodeId, format_address
from node.wire.limits import NAMES_MAX, WAITING_SENDS_MAX

__all__ = ["Clock", "Commands", "Sends"]

GRACE: Duration = SECOND // 2
"""How much later than its deadline a message may be reported on: a busy loop is late, a lost report never comes."""


class Commands(Protocol):
    """What `Sends` asks of an endpoint."""

    def connect(self, address: Address, now: Instant, expected: NodeId | None = None) -> int: ...
    def send(self, connection: int, message: Message, now: Instant) -> int: ...
    def withdraw(self, connection: int, message_id: int, now: Instant) -> None: ...
    def connection_of(self, peer_id: NodeId) -> int | None: ...
    def connection_at(self, address: Address) -> int | None: ...
    def snapshot(self, connection: int) -> ConnectionSnapshot | None: ...


class Clock(Protocol):
    """What `Sends` asks of a driver."""

    def now(self) -> Instant: ...
    def pump(self) -> None: ...


class _Fate(Enum):
    ACKNOWLEDGED = auto()
    EXPIRED = auto()
    FULL = auto()


@dataclass(slots=True)
class _Ended:
    code: Code
    reason: str
    by_peer: bool

    @property
    def is_worth_another(self) -> bool:
        """Whether the peer is there all the same: it kept another connection, closed a silent one, or came back."""
        return self.code in (Code.REPLACED, Code.PEER_RESTARTED) or (self.code is Code.IDLE_TIMEOUT and self.by_peer)


_Outcome = _Fate | _Ended
_Future = asyncio.Future[_Outcome]
_Queued = int | _Ended
"""A message id, or why there is none."""


class Sends:
    """Messages under way, by connection and message id, and callers waiting for room.

    `handle_event` must see every MessageAcknowledged, MessageFailed and Closed of the endpoint.
    """

    def __init__(self, endpoint: Commands, driver: Clock) -> None:
        self._endpoint = endpoint
        self._driver = driver
        self._loop = asyncio.get_running_loop()
        self._messages: dict[int, dict[int, tuple[Instant, _Future]]] = {}
        self._watch: asyncio.TimerHandle | None = None
        self._rooms: dict[int, WaitingCallers[asyncio.Future[_Queued]]] = {}
        self._successors: dict[Address, NodeId] = {}
        self._waiting = 0
        self._closed: _Ended | None = None

    async def deliver(
        self, address: Address, data: bytes, seconds: float, *, wait: bool = True, priority: Priority = Priority.OWN
    ) -> None:
        """Returns once the peer has the message, connecting first if need be; waits while the queue is full.

        seconds: for everything together. wait: False to be refused instead where the queue is full (QueueFull).
        Raises SendTimeout (withdrawn), ConnectionFailed (no answer, or lost), MessageTooLarge, QueueFull, UsageError.
        """
        deadline = self._driver.now() + checked_timeout(seconds)
        message = Message(data, Delivery.RELIABLE, deadline, priority=priority)
        while True:
            connection = self.connection(address)
            outcome = await self._attempt(connection, message, deadline, wait=wait)
            if outcome is _Fate.ACKNOWLEDGED:
                return
            if outcome is _Fate.FULL:
                raise QueueFull(f"{address[0]}:{address[1]}: no room for a message of {len(data)} bytes")
            if isinstance(outcome, _Ended):
                if not outcome.is_worth_another:
                    raise ConnectionFailed(outcome.code, outcome.reason)
            elif (silence := self._silence_of(connection)) is not None:
                raise ConnectionFailed(Code.HANDSHAKE_TIMEOUT, f"{format_address(address)} {silence}")
            if outcome is _Fate.EXPIRED or self._driver.now() >= deadline:
                raise SendTimeout(f"{format_address(address)} did not acknowledge within {seconds} s")

    def post(self, address: Address, data: bytes, seconds: float | None = None) -> None:
        """Sends one message that nobody waits for, connecting first if need be: an unreliable one without `seconds`.

        seconds: after which a reliable message is given up. Raises MessageTooLarge, QueueFull.
        """
        now = self._driver.now()
        if seconds is None:
            message = Message(data, Delivery.UNRELIABLE)
        else:
            message = Message(data, Delivery.RELIABLE, now + checked_timeout(seconds))
        self._endpoint.send(self.connection(address), message, now)
        self._driver.pump()

    def connection(self, address: Address) -> int:
        """The connection with whoever is at that address, begun if there is none; UsageError at max_connections."""
        found = self._endpoint.connection_at(address)
        if found is None and address in self._successors:
            found = self._endpoint.connection_of(self._successors[address])
        if found is None:
            found = self._endpoint.connect(address, self._driver.now())
        return found

    def handle_event(self, event: Event) -> None:
        """Takes note of an event; those that concern no message sent here are ignored."""
        if isinstance(event, MessageAcknowledged):
            self._settle(event.connection, event.message_id, _Fate.ACKNOWLEDGED)
        elif isinstance(event, MessageFailed):
            # Of a message that failed with its connection, only the Closed that follows tells why.
            if event.expired:
                self._settle(event.connection, event.message_id, _Fate.EXPIRED)
        elif isinstance(event, Closed):
            self._on_closed(event)

    def close(self) -> None:
        """Fails whatever is still under way."""
        self._closed = _Ended(Code.SHUTDOWN, "the transport was stopped", by_peer=False)
        for connection in [*self._messages, *self._rooms]:
            self._end(connection, self._closed)
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    async def _attempt(self, connection: int, message: Message, deadline: Instant, *, wait: bool) -> _Outcome:
        queued: _Outcome | int | Refused = self._try_send(connection, message, deadline)
        if isinstance(queued, Refused):
            queued = await self._queue(connection, message, deadline, refused=queued) if wait else _Fate.FULL
        if not isinstance(queued, int):
            return queued
        future = self._messages[connection][queued][1]
        try:
            self._driver.pump()
            return await future
        except asyncio.CancelledError:
            # Nobody wants it any more.
            self._withdraw(connection, queued)
            raise
        finally:
            self._forget(connection, queued)

    def _on_watch(self) -> None:
        """The machine reports on each message by its deadline; should a report be lost, nobody waits for ever.

        One timer for all messages that are under way: one for each would cost more than all the rest here.
        """
        overdue = self._driver.now() - GRACE
        for messages in self._messages.values():
            for deadline, future in messages.values():
                if deadline < overdue and not future.done():
                    future.set_result(_Fate.EXPIRED)
        self._watch = self._loop.call_later(GRACE / SECOND, self._on_watch) if self._messages else None

    def _try_send(self, connection: int, message: Message, deadline: Instant) -> _Queued | Refused:
        """Queues it, unless callers who came before have their turn before."""
        waiting = self._rooms.get(connection)
        if waiting is not None and waiting.are_before(message):
            return Refused.QUEUE
        return self._send(connection, message, deadline)

    def _send(self, connection: int, message: Message, deadline: Instant) -> _Queued | Refused:
        if self._closed is not None:
            return self._closed
        try:
            message_id = self._endpoint.send(connection, message, self._driver.now())
        except ChannelFull:
            return Refused.CHANNEL
        except QueueFull:
            return Refused.QUEUE
        except UnknownPeer as error:
            return _Ended(Code.CONNECTION_LOST, str(error), by_peer=False)
        self._messages.setdefault(connection, {})[message_id] = (deadline, self._loop.create_future())
        if self._watch is None:
            self._watch = self._loop.call_later(GRACE / SECOND, self._on_watch)
        return message_id

    async def _queue(self, connection: int, message: Message, deadline: Instant, *, refused: Refused) -> int | _Outcome:
        """The id of the message once there was room for it, or why it could not be queued."""
        if self._waiting >= WAITING_SENDS_MAX:
            raise QueueFull(f"{self._waiting} callers wait for room; allowed are no more")
        waiting = self._rooms.setdefault(connection, WaitingCallers())
        future: asyncio.Future[_Queued] = self._loop.create_future()
        waiter = waiting.join(message, deadline, future, refused=refused)
        self._waiting += 1
        try:
            await asyncio.wait([future], timeout=max(0, deadline - self._driver.now()) / SECOND)
        except asyncio.CancelledError:
            if future.done() and future.exception() is None:
                self._withdraw_unasked(connection, future.result())
            raise
        finally:
            self._waiting -= 1
            if not future.done():
                waiting.leave(waiter)
                self._make_room(connection)
        return future.result() if future.done() else _Fate.EXPIRED

    def _make_room(self, connection: int) -> None:
        """Lets those in whose turn it is and for whom there is room; the last to leave takes the lines away."""
        waiting = self._rooms.get(connection)
        if waiting is None:
            return
        waiting.admit(lambda waiter: self._admit(connection, waiter))
        if not waiting:
            del self._rooms[connection]

    def _admit(self, connection: int, waiter: Waiter[asyncio.Future[_Queued]]) -> Refused | None:
        try:
            queued = self._send(connection, waiter.message, waiter.deadline)
        except PositronError as error:
            waiter.caller.set_exception(error)
            return None
        if isinstance(queued, Refused):
            return queued
        waiter.caller.set_result(queued)
        return None

    def _withdraw_unasked(self, connection: int, queued: _Queued) -> None:
        """The caller has left before it could hear that its turn had come."""
        if isinstance(queued, int):
            self._forget(connection, queued)
            self._withdraw(connection, queued)

    def _withdraw(self, connection: int, message_id: int) -> None:
        self._endpoint.withdraw(connection, message_id, self._driver.now())
        self._driver.pump()

    def _settle(self, connection: int, message_id: int, outcome: _Outcome) -> None:
        messages = self._messages.get(connection)
        waiting = None if messages is None else messages.get(message_id)
        if waiting is not None and not waiting[1].done():
            waiting[1].set_result(outcome)
        if self._rooms:
            self._make_room(connection)

    def _forget(self, connection: int, message_id: int) -> None:
        messages = self._messages.get(connection)
        if messages is not None:
            messages.pop(message_id, None)
            if not messages:
                del self._messages[connection]

    def _on_closed(self, event: Closed) -> None:
        if event.code is Code.REPLACED and event.is_initiator and event.peer_id is not None:
            if len(self._successors) >= NAMES_MAX:
                self._successors.clear()
            self._successors[event.address] = event.peer_id
        reason = f"{event.reason} ({event.hint})" if event.reason and event.hint else event.reason or event.hint
        self._end(event.connection, _Ended(event.code, reason, event.by_peer))

    def _end(self, connection: int, ended: _Ended) -> None:
        for _, future in self._messages.get(connection, {}).values():
            if not future.done():
                future.set_result(ended)
        waiting = self._rooms.pop(connection, None)
        for waiter in () if waiting is None else waiting.take_all():
            waiter.caller.set_result(ended)

    def _silence_of(self, connection: int) -> str | None:
        """What a connection that is not established has heard, in words; None for any other."""
        snapshot = self._endpoint.snapshot(connection)
        if snapshot is None or snapshot.state != "handshake":
            return None
        return f"refused ({snapshot.hint})" if snapshot.hint else "did not answer"
