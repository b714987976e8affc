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


@dataclass(slots=True)
class _Ended:
    code: Code
    reason: str
    by_peer: bool

    @property
    def is_worth_another(self) -> bool:
        """Whether the peer is there all the same: it kept another connection, closed a silent one, or came back."""
        return self.code in (Code.REPLACED, Code.PEER_RESTARTED) or (self.code is Code.IDLE_TIMEOUT and self.by_peer)


@dataclass(slots=True, eq=False)
class _Send:
    """One message until its fate is known, on one connection after the other if need be.

    message_id: on that connection; None while it waits for room there, as `waiter`. timer: for what the machine does
    not end in time by itself.
    """

    address: Address
    message: Message
    deadline: Instant
    future: asyncio.Future[_Fate | _Ended | PositronError]
    connection: int = -1
    message_id: int | None = None
    waiter: Waiter[_Send] | None = None
    timer: asyncio.TimerHandle | None = None


class Sends:
    """Messages under way, by connection and message id, and callers waiting for room.

    `handle_event` must see every MessageAcknowledged, MessageFailed and Closed of the endpoint.
    """

    def __init__(self, endpoint: Commands, driver: Clock) -> None:
        self._endpoint = endpoint
        self._driver = driver
        self._loop = asyncio.get_running_loop()
        self._messages: dict[int, dict[int, _Send]] = {}
        self._watch: asyncio.TimerHandle | None = None
        self._rooms: dict[int, WaitingCallers[_Send]] = {}
        self._successors: dict[Address, NodeId] = {}
        self._waiting = 0
        self._closed: _Ended | None = None

    async def deliver(
        self,
        address: Address,
        data: bytes,
        seconds: float,
        *,
        wait: bool = True,
        priority: Priority = Priority.OWN,
        channel: int | None = None,
    ) -> None:
        """Returns once the peer has the message, connecting first if need be; waits while the queue is full.

        seconds: for everything together. wait: False to be refused instead where the queue is full (QueueFull).
        channel: of an ordered message, which is not withdrawn once it is queued.
        Raises SendTimeout, ConnectionFailed (no answer, or lost), MessageTooLarge, QueueFull, UsageError.
        """
        deadline = self._driver.now() + checked_timeout(seconds)
        if channel is None:
            message = Message(data, Delivery.RELIABLE, deadline, priority=priority)
        else:
            message = Message(data, Delivery.ORDERED, None, channel, priority)
        send = _Send(address, message, deadline, self._loop.create_future())
        refused = self._begin(send)
        if refused is not None:
            if not wait:
                raise QueueFull(f"{format_address(address)}: no room for a message of {len(data)} bytes")
            self._wait_for_room(send, refused)
        try:
            self._driver.pump()
            outcome = await send.future
        except asyncio.CancelledError:
            # Nobody wants it any more.
            self._give_up(send)
            raise
        if outcome is _Fate.EXPIRED:
            raise self._timed_out(send, seconds)
        if isinstance(outcome, _Ended):
            raise ConnectionFailed(outcome.code, outcome.reason)
        if isinstance(outcome, PositronError):
            raise outcome

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

    # --- one message

    def _begin(self, send: _Send) -> Refused | None:
        """Queues it on the connection with its peer, unless callers who came before have their turn before."""
        send.connection = self.connection(send.address)
        waiting = self._rooms.get(send.connection)
        if waiting is not None and waiting.are_before(send.message):
            return Refused.QUEUE
        return self._try(send)

    def _try(self, send: _Send) -> Refused | None:
        """Queues it, or tells its caller why that can never be; why there was no room."""
        if self._closed is not None:
            self._resolve(send, self._closed)
            return None
        try:
            message_id = self._endpoint.send(send.connection, send.message, self._driver.now())
        except ChannelFull:
            return Refused.CHANNEL
        except QueueFull:
            return Refused.QUEUE
        except UnknownPeer as error:
            self._resolve(send, _Ended(Code.CONNECTION_LOST, str(error), by_peer=False))
            return None
        send.message_id = message_id
        self._messages.setdefault(send.connection, {})[message_id] = send
        if send.message.deadline is None:
            self._watch_for(send)
        elif self._watch is None:
            self._watch = self._loop.call_later(GRACE / SECOND, self._on_watch)
        return None

    def _wait_for_room(self, send: _Send, refused: Refused) -> None:
        if self._waiting >= WAITING_SENDS_MAX:
            raise QueueFull(f"{self._waiting} callers wait for room; allowed are no more")
        send.waiter = self._rooms.setdefault(send.connection, WaitingCallers()).join(send.message, send, refused)
        self._waiting += 1
        self._watch_for(send)

    def _watch_for(self, send: _Send) -> None:
        """The machine ends neither what it has not got nor an ordered message."""
        if send.timer is None:
            left = max(0, send.deadline - self._driver.now()) / SECOND
            send.timer = self._loop.call_later(left, self._on_timer, send)

    def _on_timer(self, send: _Send) -> None:
        send.timer = None
        if send.message_id is None:
            self._leave(send)
            self._resolve(send, _Fate.EXPIRED)
        elif send.message.deadline is None:
            self._settle(send.connection, send.message_id, _Fate.EXPIRED)

    def _give_up(self, send: _Send) -> None:
        if send.message_id is not None:
            self._settle(send.connection, send.message_id, _Fate.EXPIRED)
            self._endpoint.withdraw(send.connection, send.message_id, self._driver.now())
        elif send.waiter is not None:
            self._leave(send)
            self._resolve(send, _Fate.EXPIRED)
        self._driver.pump()

    def _leave(self, send: _Send) -> None:
        """It does not wait for room any more, which may make way for others."""
        assert send.waiter is not None
        self._rooms[send.connection].leave(send.waiter)
        self._let_in(send)
        self._make_room(send.connection)

    def _let_in(self, send: _Send) -> None:
        send.waiter = None
        self._waiting -= 1
        if send.timer is not None and send.message.deadline is not None:
            send.timer.cancel()
            send.timer = None

    def _resolve(self, send: _Send, outcome: _Fate | _Ended | PositronError) -> None:
        if send.timer is not None:
            send.timer.cancel()
        if not send.future.done():
            send.future.set_result(outcome)

    def _timed_out(self, send: _Send, seconds: float) -> ConnectionFailed | SendTimeout:
        silence = self._silence_of(send.connection)
        if silence is not None:
            return ConnectionFailed(Code.HANDSHAKE_TIMEOUT, f"{format_address(send.address)} {silence}")
        if send.message_id is None:
            what = "had no room for the message"
        elif send.message.delivery is Delivery.ORDERED:
            what = "did not acknowledge, and may yet get, the message"
        else:
            what = "did not acknowledge"
        return SendTimeout(f"{format_address(send.address)} {what} within {seconds:.6g} s")

    # --- those of one connection

    def _make_room(self, connection: int) -> None:
        """Lets those in whose turn it is and for whom there is room; the last to leave takes the lines away."""
        waiting = self._rooms.get(connection)
        if waiting is None:
            return
        waiting.admit(self._admit)
        if not waiting:
            del self._rooms[connection]

    def _admit(self, send: _Send) -> Refused | None:
        refused = None
        try:
            refused = self._try(send)
        except PositronError as error:
            self._resolve(send, error)
        if refused is None:
            self._let_in(send)
        return refused

    def _settle(self, connection: int, message_id: int, outcome: _Fate) -> None:
        messages = self._messages.get(connection)
        if messages is not None and message_id in messages:
            self._resolve(messages.pop(message_id), outcome)
            if not messages:
                del self._messages[connection]
        if self._rooms:
            self._make_room(connection)

    def _on_watch(self) -> None:
        """The machine reports on each message by its deadline; should a report be lost, nobody waits for ever.

        One timer for all messages that are under way: one for each would cost more than all the rest here.
        """
        overdue = self._driver.now() - GRACE
        for messages in list(self._messages.values()):
            for send in [one for one in messages.values() if one.deadline < overdue]:
                assert send.message_id is not None
                self._settle(send.connection, send.message_id, _Fate.EXPIRED)
        self._watch = self._loop.call_later(GRACE / SECOND, self._on_watch) if self._messages else None

    def _on_closed(self, event: Closed) -> None:
        if event.code is Code.REPLACED and event.is_initiator and event.peer_id is not None:
            if len(self._successors) >= NAMES_MAX:
                self._successors.clear()
            self._successors[event.address] = event.peer_id
        reason = f"{event.reason} ({event.hint})" if event.reason and event.hint else event.reason or event.hint
        self._end(event.connection, _Ended(event.code, reason, event.by_peer))

    def _end(self, connection: int, ended: _Ended) -> None:
        sends = list(self._messages.pop(connection, {}).values())
        waiting = self._rooms.pop(connection, None)
        for waiter in () if waiting is None else waiting.take_all():
            self._let_in(waiter.caller)
            sends.append(waiter.caller)
        for send in sends:
            if not ended.is_worth_another:
                self._resolve(send, ended)
            elif self._driver.now() >= send.deadline:
                self._resolve(send, _Fate.EXPIRED)
            else:
                self._send_again(send)

    def _send_again(self, send: _Send) -> None:
        """Within the event, and in the order of sending: nobody who comes later may go first."""
        send.message_id = None
        try:
            refused = self._begin(send)
            if refused is not None:
                self._wait_for_room(send, refused)
        except PositronError as error:
            self._resolve(send, error)

    def _silence_of(self, connection: int) -> str | None:
        """What a connection that is not established has heard, in words; None for any other."""
        snapshot = self._endpoint.snapshot(connection)
        if snapshot is None or snapshot.state != "handshake":
            return None
        return f"refused ({snapshot.hint})" if snapshot.hint else "did not answer"
