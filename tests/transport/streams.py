"""A network of byte streams in virtual time, for tests of the TCP endpoint: no sockets, no clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TypeVar

from node.errors import Code
from node.identity.keys import Identity
from node.transport.events import Closed, Delivery, Event, MessageReceived
from node.transport.packet import Message
from node.transport.pool import ReassemblyPool
from node.transport.settings import TransportSettings
from node.transport.stream import (
    StreamClosed,
    StreamConnect,
    StreamData,
    StreamEndpoint,
    StreamOpened,
    StreamOutput,
    StreamShutdown,
    StreamWrite,
)
from node.types import SECOND, Address, Instant

EventT = TypeVar("EventT")

CHUNK = 7000
"""Streams deliver pieces of this size, so that frames arrive cut anywhere."""


def entropy(seed: str) -> Callable[[int], bytes]:
    """Reproducible bytes, different for every seed and every call."""
    calls = 0

    def draw(size: int) -> bytes:
        nonlocal calls
        calls += 1
        blocks = (sha256(f"{seed}/{calls}/{block}".encode()).digest() for block in range(-(-size // 32)))
        return b"".join(blocks)[:size]

    return draw


def reliable(data: bytes, deadline: Instant | None = None) -> Message:
    return Message(data, Delivery.RELIABLE, deadline)


@dataclass
class Host:
    """One endpoint, its ends of streams, and everything that it said."""

    address: Address
    endpoint: StreamEndpoint
    events: list[Event] = field(default_factory=list)
    ends: dict[int, tuple[Host, int]] = field(default_factory=dict)
    streams_accepted: int = 0

    def of(self, kind: type[EventT]) -> list[EventT]:
        return [event for event in self.events if isinstance(event, kind)]

    def received(self) -> list[bytes]:
        return [event.data for event in self.of(MessageReceived)]

    def codes(self) -> list[Code]:
        return [event.code for event in self.of(Closed)]


class StreamNetwork:
    """Hosts and the streams between them.

    is_blocked: bytes wait in the network instead of arriving. written: every byte written so far, by host.
    """

    def __init__(self) -> None:
        self.now: Instant = 1_000 * SECOND
        self.hosts: dict[Address, Host] = {}
        self.is_blocked = False
        self.written: dict[Address, bytearray] = {}
        self._waiting: list[tuple[Host, StreamData | StreamClosed]] = []

    def add(
        self, name: str, *, seed: str | None = None, settings: TransportSettings | None = None, process: str = "",
        pool: ReassemblyPool | None = None,
    ) -> Host:  # fmt: skip
        """A host named `name` (the only thing in its address); the same seed gives the same identity."""
        identity = Identity(sha256((seed or name).encode()).digest())
        settings = settings or TransportSettings()
        endpoint = StreamEndpoint(identity, settings, entropy=entropy(f"{name}{process}"), pool=pool)
        host = Host((name, 1), endpoint)
        self.hosts[host.address] = host
        self.written[host.address] = bytearray()
        return host

    def run(self) -> None:
        """Lets everything happen that happens without the passage of time."""
        is_quiet = False
        while not is_quiet:
            is_quiet = True
            for host in list(self.hosts.values()):
                while (output := host.endpoint.poll_transmit(self.now)) is not None:
                    is_quiet = False
                    self._carry_out(host, output)
                while (event := host.endpoint.poll_event()) is not None:
                    is_quiet = False
                    host.events.append(event)
            if not self.is_blocked and self._waiting:
                is_quiet = False
                waiting, self._waiting = self._waiting, []
                for host, arrival in waiting:
                    host.endpoint.receive(arrival, self.now)

    def advance(self, seconds: float) -> None:
        """Lets time pass from timer to timer."""
        end = self.now + round(seconds * SECOND)
        self.run()
        while True:
            due = [instant for host in self.hosts.values() if (instant := host.endpoint.next_timeout()) is not None]
            if not due or min(due) > end:
                break
            self.now = max(self.now, min(due))
            for host in self.hosts.values():
                host.endpoint.handle_timeout(self.now)
            self.run()
        self.now = end

    def break_stream(self, host: Host, stream: int, reason: str) -> None:
        """Both ends learn that the stream is gone, without a CLOSE."""
        peer, other = host.ends.pop(stream)
        peer.ends.pop(other)
        host.endpoint.receive(StreamClosed(stream, reason), self.now)
        peer.endpoint.receive(StreamClosed(other, reason), self.now)
        self.run()

    def _carry_out(self, host: Host, output: StreamOutput) -> None:
        match output:
            case StreamConnect(stream, address):
                self._open(host, stream, self.hosts.get(address))
            case StreamWrite(stream, data):
                self.written[host.address] += data
                if stream in host.ends:
                    peer, other = host.ends[stream]
                    for start in range(0, len(data), CHUNK):
                        self._waiting.append((peer, StreamData(other, data[start : start + CHUNK])))
            case StreamShutdown(stream):
                if stream in host.ends:
                    peer, other = host.ends.pop(stream)
                    peer.ends.pop(other, None)
                    self._waiting.append((peer, StreamClosed(other, "end of stream")))

    def _open(self, host: Host, stream: int, peer: Host | None) -> None:
        if peer is None:
            host.endpoint.receive(StreamClosed(stream, "connection refused"), self.now)
            return
        peer.streams_accepted += 1
        other = peer.streams_accepted
        host.ends[stream], peer.ends[other] = (peer, other), (host, stream)
        remote_port = 50_000 + other
        peer.endpoint.receive(StreamOpened(other, (host.address[0], remote_port), is_initiator=False), self.now)
        host.endpoint.receive(StreamOpened(stream, peer.address, is_initiator=True), self.now)


def connected(network: StreamNetwork) -> tuple[Host, Host, int]:
    """Two hosts and the handle of the connection at the first, which dialled."""
    alice, bob = network.add("alice"), network.add("bob")
    handle = alice.endpoint.connect(bob.address, network.now)
    network.run()
    return alice, bob, handle
