"""Whole nodes in the virtual world, and the questions that tests ask of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, TypeVar

from node.core.events import DataReceived, NodeEvent
from node.core.machine import Machine
from node.core.settings import CoreSettings
from node.core.state import Rows
from node.crypto.suites import CIPHERS
from node.identity.keys import Identity
from node.impairment.link import LinkSettings
from node.peers.table import PeerState
from node.sim.world import Host, World
from node.transport.settings import TransportSettings
from node.transport.stream import (
    StreamClosed,
    StreamConnect,
    StreamData,
    StreamInput,
    StreamOpened,
    StreamShutdown,
    StreamWrite,
)
from node.types import MILLISECOND, SECOND, Address, Duration, from_seconds

WALL = 1_700_000_000 * SECOND
PORT = 8888
TCP_PORT = 8889

_Event = TypeVar("_Event", bound=NodeEvent)


def link(delay: float = 0.02, loss: float = 0.0) -> LinkSettings:
    """A link with that delay in seconds and that loss."""
    return LinkSettings(delay=from_seconds(delay), loss=loss)


class Streams:
    """Byte streams between the hosts of a world: in order, without loss, after the delay of a TCP handshake.

    is_blocked: new streams lead to nowhere, as behind a firewall that refuses them. is_cut: what is written into any
    stream is never heard of again, as when a cable is pulled.
    """

    def __init__(self, world: World, delay: Duration) -> None:
        self.is_blocked = False
        self.is_cut = False
        self.opened = 0
        self.bytes_carried = 0
        self._world = world
        self._delay = delay
        self._ends: dict[tuple[Address, int], tuple[Host, int]] = {}

    def take(self, host: Host, output: object) -> None:
        """Carries out what the machine of that host wants done to a stream."""
        match output:
            case StreamConnect(stream, address):
                self._connect(host, stream, address)
            case StreamWrite(stream, data):
                self.bytes_carried += len(data)
                self._to_other_end(host, stream, lambda end: StreamData(end, data))
            case StreamShutdown(stream):
                self._to_other_end(host, stream, lambda end: StreamClosed(end, "closed by the other end"))
                other = self._ends.pop((host.address, stream), None)
                if other is not None:
                    self._ends.pop((other[0].address, other[1]), None)
            case _:
                raise AssertionError(f"no output of a stream: {output}")

    def _connect(self, host: Host, stream: int, address: Address) -> None:
        target = next((there for there in self._world.hosts.values() if there.address[0] == address[0]), None)
        if target is None or self.is_blocked or address[1] != TCP_PORT:
            self._later(host, StreamClosed(stream, "refused"))
            return
        self.opened += 1
        end = self.opened
        self._ends[(host.address, stream)] = (target, end)
        self._ends[(target.address, end)] = (host, stream)
        self._later(target, StreamOpened(end, (host.address[0], 40000 + end), is_initiator=False))
        self._later(host, StreamOpened(stream, address, is_initiator=True))

    def _to_other_end(self, host: Host, stream: int, make: Callable[[int], StreamInput]) -> None:
        other = self._ends.get((host.address, stream))
        if other is not None and not self.is_cut:
            self._later(other[0], make(other[1]))

    def _later(self, host: Host, happening: StreamInput) -> None:
        self._world.call_at(self._world.now + self._delay, partial(self._give, host, happening))

    def _give(self, host: Host, happening: StreamInput) -> None:
        if host.is_alive:
            assert isinstance(host.machine, Machine)
            host.machine.receive(happening, self._world.clock_of(host))
            self._world.drain(host)


class Network:
    """Nodes 0 to size - 1; all but node 0, which is the seed, bootstrap from it. UDP only unless settings say else."""

    def __init__(self, size: int, *, seed: int = 1, default: LinkSettings | None = None, **settings: Any) -> None:
        self.random = Random(seed)
        self.world = World(Random(seed), default=default or link())
        self.streams = Streams(self.world, from_seconds(0.02))
        self.settings = settings
        self.hosts: list[Host] = []
        self.identities = [Identity(self.random.randbytes(32)) for _ in range(size)]
        for number in range(size):
            self.hosts.append(self.boot(number))

    def address(self, number: int) -> Address:
        """Where that node is."""
        return f"10.0.{number // 250}.{number % 250 + 1}", PORT

    def boot(self, number: int, *, skew: Duration = 0, remembered: Rows | None = None, **changes: Any) -> Host:
        """A fresh process of that node, started now. remembered: from its disk."""
        now = self.world.now
        settings = CoreSettings(
            **{
                "name": f"node-{number}",
                "transport": TransportSettings(min_rto=25 * MILLISECOND, suites=tuple(CIPHERS)),
                "udp_port": PORT,
                "tcp_port": TCP_PORT,
                "enable_tcp": False,
                "bootstrap": () if number == 0 else (self.address(0),),
                "is_seed": number == 0,
                **self.settings,
                **changes,
            }
        )
        random = Random(self.random.getrandbits(64))
        machine = Machine(
            self.identities[number],
            settings,
            entropy=random.randbytes,
            random=random,
            wall_offset=WALL + skew,
            epoch=(WALL + skew + now) // MILLISECOND,
        )
        host = self.world.add_host(self.address(number), machine)
        host.on_output = partial(self.streams.take, host)
        machine.import_state(remembered or {}, now)
        machine.start(now)
        self.world.drain(host)
        return host

    def machine(self, number: int) -> Machine:
        """The machine of that node."""
        machine = self.hosts[number].machine
        assert isinstance(machine, Machine)
        return machine

    def kill(self, number: int) -> None:
        """Ends that node without a word."""
        self.world.remove_host(self.hosts[number])

    def reboot(self, number: int, **changes: Any) -> None:
        """Starts that node again, with its key, at its address."""
        self.hosts[number] = self.boot(number, **changes)

    def stop(self, number: int) -> None:
        """Ends that node properly."""
        self.machine(number).stop(self.world.now)
        self.world.drain(self.hosts[number])

    def broadcast(self, number: int, payload: dict[str, Any]) -> str:
        """Sends a broadcast from that node."""
        message_id = self.machine(number).broadcast(payload, self.world.now)
        self.world.drain(self.hosts[number])
        return message_id

    def events(self, number: int, kind: type[_Event]) -> list[_Event]:
        """What that node reported, of one kind."""
        return [event for event in self.hosts[number].events if isinstance(event, kind)]

    def is_active(self, number: int, other: int) -> bool:
        """Whether that node has the other one as an active peer."""
        peer = self.machine(number).peers.table.get(self.identities[other].public_key)
        return peer is not None and peer.is_active

    def is_meshed(self) -> bool:
        """Whether every living node has every other living node as a peer that is up."""
        living = [number for number, host in enumerate(self.hosts) if host.is_alive]
        for number in living:
            table = self.machine(number).peers.table
            for other in living:
                peer = table.get(self.identities[other].public_key)
                if other != number and (peer is None or peer.state is not PeerState.UP):
                    return False
        return True

    def counts(self, message_id: str) -> list[int]:
        """How often each node delivered that message."""
        return [
            sum(event.message_id == message_id for event in self.events(number, DataReceived))
            for number in range(len(self.hosts))
        ]


def meshed(size: int, **settings: Any) -> Network:
    """A network in which everybody has found everybody."""
    network = Network(size, **settings)
    assert network.world.run_until(network.is_meshed, 10)
    return network
