"""Whole nodes in the virtual world, and the questions that tests ask of them."""

from __future__ import annotations

from random import Random
from typing import Any, TypeVar

from node.core.events import DataReceived, NodeEvent
from node.core.machine import Machine
from node.core.settings import CoreSettings
from node.identity.keys import Identity
from node.peers.table import PeerState
from node.sim.link import LinkSettings
from node.sim.world import Host, World
from node.transport.settings import TransportSettings
from node.types import MILLISECOND, SECOND, Address, Duration, from_seconds

WALL = 1_700_000_000 * SECOND
PORT = 8888

_Event = TypeVar("_Event", bound=NodeEvent)


def link(delay: float = 0.02, loss: float = 0.0) -> LinkSettings:
    """A link with that delay in seconds and that loss."""
    return LinkSettings(delay=from_seconds(delay), loss=loss)


class Network:
    """Nodes 0 to size - 1; all but node 0, which is the seed, bootstrap from it. UDP only: the world has no streams."""

    def __init__(self, size: int, *, seed: int = 1, default: LinkSettings | None = None, **settings: Any) -> None:
        self.random = Random(seed)
        self.world = World(Random(seed), default=default or link())
        self.settings = settings
        self.hosts: list[Host] = []
        self.identities = [Identity(self.random.randbytes(32)) for _ in range(size)]
        for number in range(size):
            self.hosts.append(self.boot(number))

    def address(self, number: int) -> Address:
        """Where that node is."""
        return f"10.0.{number // 250}.{number % 250 + 1}", PORT

    def boot(self, number: int, *, skew: Duration = 0, **changes: Any) -> Host:
        """A fresh process of that node, started now."""
        now = self.world.now
        settings = CoreSettings(
            **{
                "name": f"node-{number}",
                "transport": TransportSettings(min_rto=25 * MILLISECOND),
                "udp_port": PORT,
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
