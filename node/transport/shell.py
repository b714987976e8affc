"""What `UDPTransport` and `TCPTransport` share: a life cycle, awaitable sends, handlers, connections, statistics.

Knows the endpoint's commands and events, not what carries them: the subclass owns the sockets. Standing alone, a
transport runs its own driver. Within a node it is handed the node's driver and endpoint, owns sockets only, and is told
through `handle_event` what concerns it.
"""

from __future__ import annotations

import asyncio
import os
from abc import ABC, abstractmethod
from typing import Generic, Protocol, TypeVar

from node.errors import NotRunning, UsageError
from node.identity.keys import SEED_BYTES, Identity
from node.transport.addresses import literal_address, resolve
from node.transport.arguments import checked_address, checked_data, checked_listening, checked_timeout
from node.transport.driver import Driver, Machine, Runner
from node.transport.events import AddressChanged, Closed, Connected, Delivery, Event, MessageReceived
from node.transport.handlers import Handler, Handlers, Lane
from node.transport.packet import Packet, Priority
from node.transport.sends import Commands, Sends
from node.transport.settings import TransportSettings
from node.transport.stats import ConnectionSnapshot, EndpointStats
from node.transport.views import Connections, ConnectionView, view_of
from node.types import Address, Instant
from node.wire.limits import NAMES_MAX

__all__ = ["EndpointMachine", "JSONObject", "MessageTransport"]

InputT = TypeVar("InputT")
InputT_contra = TypeVar("InputT_contra", contravariant=True)

JSONObject = dict[str, object]
"""What `json.dumps(..., allow_nan=False)` accepts."""

STOP_TIMEOUT = 0.3
"""Seconds in which the last words of a stopping transport must have left."""

LOOKUP_TIMEOUT = 5.0
"""Seconds for looking up the host name of a peer where the caller gave no time."""


LOOKUP_MARGIN = 0.001
"""Seconds that a message has at least whose name was looked up in the very last moment."""


class EndpointMachine(Commands, Machine[InputT_contra, Event], Protocol[InputT_contra]):
    """The UDP or the TCP endpoint."""

    @property
    def stats(self) -> EndpointStats: ...
    def shutdown(self, now: Instant) -> None: ...
    def snapshots(self) -> list[ConnectionSnapshot]: ...


def random_identity() -> Identity:
    """A fresh identity that lives as long as the process."""
    return Identity(os.urandom(SEED_BYTES))


class MessageTransport(ABC, Generic[InputT]):
    """See the module. A transport is started once and stopped once; to begin anew, make another."""

    def __init__(
        self, address: Address, endpoint: EndpointMachine[InputT], settings: TransportSettings, *,
        driver: Runner[InputT] | None,
    ) -> None:  # fmt: skip
        self.host, self.port = checked_listening(*address)
        self.settings = settings
        self.endpoint = endpoint
        self.connections = Connections(self._find, endpoint.snapshots, self._view)
        self._handlers = Handlers(on_full=self._pause, on_room=self._resume)
        self._shared_driver = driver
        self._own_driver: Driver[InputT, Event] | None = None
        self._sends: Sends | None = None
        self._addresses: dict[int, Address] = {}
        self._names: dict[Address, Address] = {}
        self._has_started = False
        self._stopping: asyncio.Task[None] | None = None

    # --- public

    def register_handler(self, handler: Handler) -> None:
        """Calls `handler(packet, peer_addr)` for each message from now on, in place of any handler before."""
        if not callable(handler):
            raise UsageError(f"handler of type {type(handler).__name__}: allowed is a function")
        self._handlers.handler = handler

    async def start(self) -> None:
        """Begins to listen; does nothing while running. StartError leaves nothing half-started."""
        if self._stopping is not None:
            raise UsageError("a stopped transport cannot be started again")
        if self._has_started:
            return
        self._has_started = True
        own: Driver[InputT, Event] | None = None
        if self._shared_driver is None:
            own = Driver(self.endpoint, on_event=self.handle_event, busy_poll=self.settings.busy_poll)
        driver = self._shared_driver or own
        assert driver is not None
        has_opened = False
        try:
            await self._open(driver)
            has_opened = True
        finally:
            self._has_started = has_opened
        self._own_driver = own
        self._sends = Sends(self.endpoint, driver)

    async def stop(self) -> None:
        """Tells every peer, then closes; ends in under a second; may be called again, and while it runs."""
        if self._stopping is None:
            if self._sends is None:
                return
            # One stop for all callers: it must not end half-way because one of them is cancelled.
            self._stopping = asyncio.get_running_loop().create_task(self._stop(self._sends))
        await asyncio.shield(self._stopping)

    @property
    def is_running(self) -> bool:
        """Whether messages can be sent."""
        return self._sends is not None and self._stopping is None

    def handle_event(self, event: Event) -> None:
        """Within a node: takes note of an event of this transport's endpoint, of which none may be withheld."""
        if self._sends is None:
            return
        if isinstance(event, MessageReceived):
            address = self._addresses.get(event.connection) or self._address_of(event.connection)
            self._handlers.dispatch(Packet(event.data, event.delivery), address, self._lane(event))
            return
        if isinstance(event, (Connected, AddressChanged)):
            self._addresses[event.connection] = event.address
        elif isinstance(event, Closed):
            self._addresses.pop(event.connection, None)
        self._sends.handle_event(event)

    def get_stats(self) -> JSONObject:
        """Counters since the beginning, in any state, fit for JSON."""
        stats = self.endpoint.stats
        handlers = self._handlers.stats
        errors, details = self._socket_stats()
        return {
            "packets_sent": stats.packets_sent,
            "packets_received": stats.packets_received,
            "bytes_sent": stats.bytes_sent,
            "bytes_received": stats.bytes_received,
            "packets_retransmitted": dict(stats.packets_retransmitted),
            "packets_lost": dict(stats.packets_lost),
            "packets_dropped": dict(stats.packets_dropped),
            "handshakes_completed": stats.handshakes_completed,
            "handshakes_failed": stats.handshakes_failed,
            "connections": len(self.connections),
            "errors": errors + sum(handlers.errors.values()),
            "handlers": {
                "calls": handlers.calls,
                "unhandled": handlers.unhandled,
                "dropped": handlers.dropped,
                "errors": dict(handlers.errors),
            },
            **details,
        }

    # --- for the subclass

    @property
    @abstractmethod
    def local_address(self) -> Address:
        """Where this transport listens; before `start`, where it is going to."""

    @abstractmethod
    async def _open(self, driver: Runner[InputT]) -> None:
        """Opens the sockets and attaches them to the driver, or raises StartError with nothing left open."""

    @abstractmethod
    async def _close(self) -> None:
        """Closes the sockets within STOP_TIMEOUT."""

    @abstractmethod
    def _pause(self) -> None: ...

    @abstractmethod
    def _resume(self) -> None: ...

    @abstractmethod
    def _socket_stats(self) -> tuple[int, JSONObject]:
        """The number of socket errors, and everything else to report."""

    def _lane(self, event: MessageReceived) -> Lane | None:
        """Messages of one lane reach the handler one after the other."""
        return (event.connection, event.channel) if event.delivery is Delivery.ORDERED else None

    def _view(self, snapshot: ConnectionSnapshot) -> ConnectionView:
        return view_of(snapshot)

    def _running_sends(self) -> Sends:
        if self._sends is None or self._stopping is not None:
            raise NotRunning(f"{type(self).__name__} is not running")
        return self._sends

    async def _deliver(
        self,
        peer_addr: Address,
        data: bytes,
        seconds: float,
        *,
        wait: bool = True,
        priority: Priority = Priority.OWN,
        channel: int | None = None,
    ) -> None:
        sends, data = self._running_sends(), checked_data(data)
        checked_timeout(seconds)
        address = self._names.get(checked_address(peer_addr))
        if address is None:
            began = asyncio.get_running_loop().time()
            address = await self._resolve(peer_addr, seconds)
            # The name and the message have the time of the caller together.
            seconds = max(LOOKUP_MARGIN, seconds - asyncio.get_running_loop().time() + began)
        await sends.deliver(address, data, seconds, wait=wait, priority=priority, channel=channel)

    def _post(self, peer_addr: Address, data: bytes, seconds: float | None) -> None:
        self._running_sends().post(self._known(peer_addr), checked_data(data), seconds)

    async def _resolve(self, address: Address, seconds: float) -> Address:
        """The IP address of a peer; a name is looked up once and remembered."""
        known = self._names.get(address)
        if known is None:
            known = self._remember(address, await resolve(address, family=self._family(), seconds=seconds))
        return known

    def _known(self, address: Address) -> Address:
        """The IP address of a peer without a wait; UsageError for a name that nobody has looked up."""
        address = checked_address(address)
        known = self._names.get(address)
        if known is not None:
            return known
        literal = literal_address(address)
        if literal is None:
            raise UsageError(f"{address[0]!r} is a name: without a wait only IP addresses can be sent to")
        return self._remember(address, literal)

    def _remember(self, address: Address, known: Address) -> Address:
        if len(self._names) >= NAMES_MAX:
            self._names.clear()
        self._names[address] = known
        return known

    def _family(self) -> int:
        """The address family that names are looked up for; 0 for any."""
        return 0

    # --- private

    async def _stop(self, sends: Sends) -> None:
        if self._own_driver is not None:
            self.endpoint.shutdown(self._own_driver.now())
            self._own_driver.flush()
        sends.close()
        await self._handlers.close()
        await self._close()
        if self._own_driver is not None:
            self._own_driver.close()

    def _find(self, address: Address) -> ConnectionSnapshot | None:
        connection = self.endpoint.connection_at(self._names.get(address, address))
        return None if connection is None else self.endpoint.snapshot(connection)

    def _address_of(self, connection: int) -> Address:
        """For a connection that was there before this transport was told of any."""
        snapshot = self.endpoint.snapshot(connection)
        return ("", 0) if snapshot is None else snapshot.address
