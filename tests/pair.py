"""Two real endpoints over a virtual link in virtual time: what most tests of the transport begin with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import TypeVar

from node.crypto.suites import Suite
from node.identity.keys import Identity
from node.impairment.link import LinkSettings
from node.sim.clock import Clock
from node.sim.world import Host, World
from node.transport.connection import Connection
from node.transport.endpoint import Endpoint
from node.transport.events import (
    Closed,
    Connected,
    Delivery,
    MessageAcknowledged,
    MessageFailed,
    MessageReceived,
)
from node.transport.packet import Message
from node.transport.protection import Keys, Protection
from node.transport.rtt import RttEstimator
from node.transport.settings import TransportSettings
from node.transport.stats import ConnectionSnapshot, ConnectionStats
from node.types import MILLISECOND, SECOND, Address, ConnectionId, Instant, from_seconds

__all__ = ["CLIENT", "SERVER", "Pair", "Side", "make_protection", "make_side"]

CLIENT: Address = ("10.0.0.1", 9000)
SERVER: Address = ("10.0.0.2", 9000)

_Event = TypeVar("_Event")


def make_protection(
    send: bytes, receive: bytes, peer_cid: int, *, suite: Suite = Suite.CHACHA20_POLY1305, now: Instant = 0
) -> Protection:
    """The keys of one end, apart from any connection; probe timeouts are those before the first round trip."""
    keys = Keys(suite, send, receive)
    return Protection(keys, ConnectionId(peer_cid), RttEstimator(10 * MILLISECOND), ConnectionStats(), now)


class Side:
    """One endpoint in the world.

    handle: its newest connection that reached it by `Pair.connect` or by a Connected event; None before.
    """

    def __init__(self, world: World, host: Host, endpoint: Endpoint) -> None:
        self.world = world
        self.host = host
        self.endpoint = endpoint
        self.handle: int | None = None
        host.on_event = self._on_event

    @property
    def address(self) -> Address:
        return self.host.address

    @property
    def now(self) -> Instant:
        """This side's own clock."""
        return self.world.clock_of(self.host)

    @property
    def events(self) -> list[object]:
        """Every event so far, oldest first."""
        return self.host.events

    @property
    def connection(self) -> Connection:
        """The connection itself, for tests that look inside."""
        assert self.handle is not None
        return self.endpoint.connections[self.handle]

    @property
    def snapshot(self) -> ConnectionSnapshot:
        assert self.handle is not None
        snapshot = self.endpoint.snapshot(self.handle)
        assert snapshot is not None, "the connection is gone"
        return snapshot

    def of(self, kind: type[_Event]) -> list[_Event]:
        """The events of that class."""
        return [event for event in self.events if isinstance(event, kind)]

    def received(self, delivery: Delivery | None = None) -> list[bytes]:
        """The messages that arrived, in order."""
        return [event.data for event in self.of(MessageReceived) if delivery in (None, event.delivery)]

    def acknowledged(self) -> list[int]:
        return [event.message_id for event in self.of(MessageAcknowledged)]

    def failed(self) -> list[int]:
        return [event.message_id for event in self.of(MessageFailed)]

    def closed(self) -> Closed | None:
        """How the newest connection ended; None while it lives."""
        return next((event for event in reversed(self.of(Closed))), None)

    def connect(self, address: Address) -> int:
        self.handle = self.endpoint.connect(address, self.now)
        self.drain()
        return self.handle

    def send(
        self,
        data: bytes,
        delivery: Delivery = Delivery.RELIABLE,
        *,
        timeout: float | None = None,
        channel: int = 0,
    ) -> int:
        """Sends on the newest connection; timeout in seconds from now."""
        assert self.handle is not None
        deadline = None if timeout is None else self.now + from_seconds(timeout)
        message_id = self.endpoint.send(self.handle, Message(data, delivery, deadline, channel), self.now)
        self.drain()
        return message_id

    def disconnect(self) -> None:
        assert self.handle is not None
        self.endpoint.disconnect(self.handle, self.now)
        self.drain()

    def drain(self) -> None:
        self.world.drain(self.host)

    def _on_event(self, event: object) -> None:
        if isinstance(event, Connected):
            self.handle = event.connection


def make_side(world: World, address: Address, settings: TransportSettings, *, seed: str, identity: int = 0) -> Side:
    """An endpoint at an address. identity: number of its key; seed: of its entropy, another for every process."""
    random = Random(seed)
    endpoint = Endpoint(Identity(bytes([identity]) * 32), settings, entropy=random.randbytes)
    # Clocks of two machines have nothing in common.
    host = world.add_host(address, endpoint, clock=Clock(random.randrange(SECOND, 10**6 * SECOND)))
    return Side(world, host, endpoint)


class Pair:
    """A client that dials and a server, with links between them.

    link: both directions; 10 ms each way by default. The client's key is number 1, the server's number 2.
    """

    def __init__(
        self,
        *,
        seed: int = 1,
        link: LinkSettings | None = None,
        client_settings: TransportSettings | None = None,
        server_settings: TransportSettings | None = None,
    ) -> None:
        self.seed = seed
        self.world = World(Random(seed), default=link or LinkSettings(delay=10 * MILLISECOND))
        self.client_settings = client_settings or TransportSettings()
        self.server_settings = server_settings or self.client_settings
        self.client = make_side(self.world, CLIENT, self.client_settings, seed=f"client {seed}", identity=1)
        self.server = make_side(self.world, SERVER, self.server_settings, seed=f"server {seed}", identity=2)

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.client, self.server

    def connect(self, seconds: float = 10) -> None:
        """Dials and waits until both ends are connected."""
        self.client.connect(SERVER)
        assert self.run_until(lambda: all(side.of(Connected) for side in self.sides), seconds), "no connection"

    def run(self, seconds: float) -> None:
        self.world.run(seconds)

    def run_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        return self.world.run_until(condition, seconds)

    def set_link(self, settings: LinkSettings) -> None:
        """Gives both directions other settings."""
        self.world.set_link(CLIENT, SERVER, settings)

    def restart_server(self) -> Side:
        """Another process with the server's key takes over its address; the old one is gone without a word."""
        self.server = make_side(
            self.world, SERVER, self.server_settings, seed=f"server {self.seed} again {self.world.now}", identity=2
        )
        return self.server

    def assert_delivered(self, sent: list[bytes]) -> None:
        """The server has each of the client's messages exactly once, and the client knows it."""
        assert Counter(self.server.received()) == Counter(sent)
        assert len(self.client.acknowledged()) == len(set(self.client.acknowledged())) == len(sent)
        assert self.client.failed() == []
