"""One node of a virtual network: its key, where it is, what survives its death, and the life that it leads now.

Knows how to make a whole `Machine` as the asyncio shell does, with a clock, entropy and randomness that a seed decides.
What makes a node hostile is a function that is given the new machine before it starts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, TypeAlias

from node.core.machine import Machine
from node.core.settings import CoreSettings
from node.core.state import Rows, epoch_after
from node.crypto.suites import Suite
from node.identity.keys import Identity
from node.peers.records import Record
from node.sim.clock import Clock
from node.sim.history import node_name
from node.sim.world import Host
from node.transport.settings import TransportSettings
from node.types import MILLISECOND, SECOND, Address, Duration, Instant, NodeId

if TYPE_CHECKING:
    from node.sim.network import Network

__all__ = ["HONEST", "SAVE_INTERVAL", "TCP_PORT", "UDP_PORT", "WALL", "Role", "SimNode", "address_of"]

WALL: Duration = 1_700_000_000 * SECOND
"""What a right wall clock shows at the world's instant 0, in nanoseconds."""

UDP_PORT = 8888
TCP_PORT = 8889

MIN_RTO: Duration = 25 * MILLISECOND
"""The floor of retransmission timers in the testnet's profile."""

SAVE_INTERVAL = 1.0
"""Seconds between two times that a running node writes what it has seen, as its shell does."""

CLOCK_OFFSET_MAX: Duration = 1_000_000 * SECOND
"""Monotonic clocks of two machines, or of two lives of one, have nothing to do with each other."""

TRANSPORT = TransportSettings(min_rto=MIN_RTO, suites=(Suite.CHACHA20_POLY1305,))
"""One suite that every machine has, so that a run repeats itself on a processor with other instructions, too."""

Arrange: TypeAlias = Callable[["Network", "SimNode"], None]


def _as_it_is(_network: Network, _node: SimNode) -> None:
    """An honest node runs what was built."""


@dataclass(frozen=True, slots=True)
class Role:
    """What kind of node it is. arrange: changes a machine that is built and not started, when the node is hostile."""

    name: str
    arrange: Arrange = _as_it_is
    is_honest: bool = True


HONEST = Role("honest")


@dataclass(eq=False)
class SimNode:
    """Node `number` of a network.

    skew: wall clock minus the right time. life: how often it was started.
    epoch: of its latest life. saved: what its disk holds; None after it was lost. bag: for its role's own use.
    """

    number: int
    identity: Identity
    random: Random
    role: Role = HONEST
    skew: Duration = 0
    drift: int = 0
    life: int = 0
    epoch: int = 0
    saved: Rows | None = None
    host: Host | None = None
    changes: dict[str, Any] = field(default_factory=dict)
    bag: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return node_name(self.number)

    @property
    def node_id(self) -> NodeId:
        return self.identity.public_key

    @property
    def address(self) -> Address:
        return address_of(self.number)

    @property
    def is_alive(self) -> bool:
        """Whether a process of it runs, paused or not."""
        return self.host is not None and self.host.is_alive

    @property
    def machine(self) -> Machine:
        """The machine of its latest life."""
        assert self.host is not None, f"{self.name} was never started"
        machine = self.host.machine
        assert isinstance(machine, Machine)
        return machine

    @property
    def record(self) -> Record:
        """Where it says it is."""
        return Record(self.node_id, self.address[0], UDP_PORT, TCP_PORT)

    def epoch_at(self, now: Instant) -> int:
        """The epoch of a life that begins at that instant."""
        # A node that kept its state raises the epoch above its last one; one that lost it has the clock alone.
        return epoch_after(self.saved or {}, (WALL + now + self.skew) // MILLISECOND)

    def build(self, settings: dict[str, Any], now: Instant) -> tuple[Machine, Clock]:
        """A machine for a new life that begins now, and its clock."""
        entropy = Random(self.random.getrandbits(64))  # noqa: S311  # a simulation must repeat itself
        clock = Clock(entropy.randrange(SECOND, CLOCK_OFFSET_MAX))
        clock.set_drift(self.drift, now)
        wall = WALL + now + self.skew
        self.epoch = self.epoch_at(now)
        machine = Machine(
            self.identity,
            CoreSettings(
                **{
                    "name": self.name,
                    "transport": TRANSPORT,
                    "udp_port": UDP_PORT,
                    "tcp_port": TCP_PORT,
                    **settings,
                    **self.changes,
                }
            ),
            entropy=entropy.randbytes,
            random=Random(self.random.getrandbits(64)),  # noqa: S311  # a simulation must repeat itself
            wall_offset=wall - clock.local_at(now),
            epoch=self.epoch,
        )
        if self.saved is not None:
            machine.import_state(self.saved, clock.local_at(now))
        elif self.life:
            machine.import_state({"life": {}}, clock.local_at(now))  # its directory shows that it lived before
        self.life += 1
        return machine, clock

    def save(self, *, is_final: bool) -> None:
        """Writes the state of the running machine to its disk."""
        self.saved = self.machine.export_state(is_final=is_final)


def address_of(number: int) -> Address:
    """Where the node of that number is: its host in 10.0.0.0/8, and its UDP port."""
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", UDP_PORT
