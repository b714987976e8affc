"""What bulk senders get through a link in virtual time: the measure by which congestion controllers are judged.

Every flow is a client that sends messages as fast as its queue takes them, to a server of its own. All flows share one
line in each direction with a rate, a drop-tail queue and random loss both ways. The first second after the last
handshake, in which a sender finds its rate, is not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from node.errors import QueueFull
from node.identity.keys import Identity
from node.impairment.link import Link, LinkSettings, LossAt
from node.sim.world import Host, World
from node.transport.endpoint import Endpoint
from node.transport.events import Delivery, MessageReceived
from node.transport.packet import Message
from node.transport.settings import TransportSettings
from node.transport.stats import ConnectionSnapshot
from node.types import MILLISECOND, Address, from_seconds, to_seconds

__all__ = ["Bulk", "Outcome", "add_endpoint", "jain", "measure", "observe"]

_MESSAGE_BYTES = 16_000
_CONNECT_SECONDS = 10.0
_STEP = 0.01
_PACKET_BYTES = 1_400
_QUEUE_PACKETS_MIN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk:
    """rate: bits per second. rtt: seconds. loss: share of datagrams lost, each way. seconds: measured after warm-up.

    flows: senders at once, each begun a tenth of a second after the one before. buffer: of the queue, in
    bandwidth-delay products. loss_at: whether what is lost has used up the rate. stall: length of a pause of every
    sender's event loop, once a second. delivery: of the messages; ordered ones go in one channel.
    """

    rate: float
    rtt: float
    loss: float = 0.0
    seconds: float = 4.0
    congestion: str = "lossfloor"
    seed: int = 1
    flows: int = 1
    buffer: float = 1.0
    warm_up: float = 1.0
    loss_at: LossAt = LossAt.ENTRY
    stall: float = 0.0
    delivery: Delivery = Delivery.RELIABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """goodputs: bits of messages per second, per flow. queue_delays: waits for the line in seconds, sampled, ascending.

    connections: the senders at the end.
    """

    goodputs: tuple[float, ...]
    queue_delays: tuple[float, ...]
    connections: tuple[ConnectionSnapshot, ...]

    @property
    def queue_delay(self) -> float:
        """The mean wait for the line."""
        return sum(self.queue_delays) / len(self.queue_delays)


class _Flow:
    """One client and its server."""

    def __init__(self, world: World, index: int, settings: TransportSettings, bulk: Bulk) -> None:
        self.world = world
        self.message = Message(bytes(_MESSAGE_BYTES), bulk.delivery)
        self.addresses: tuple[Address, Address] = (f"10.0.{index}.1", 9000), (f"10.0.{index}.2", 9000)
        self.client, self.host = add_endpoint(world, self.addresses[0], settings, bulk.seed)
        self.server, self._server_host = add_endpoint(world, self.addresses[1], settings, bulk.seed)
        self.handle = self.client.connect(self.addresses[1], world.now)
        self.received = 0
        world.drain(self.host)

    @property
    def is_connected(self) -> bool:
        return self.client.connection_of(self.server.identity.public_key) is not None

    def step(self) -> None:
        """Counts what arrived and fills the queue."""
        self.host.events.clear()
        events, self._server_host.events = self._server_host.events, []
        self.received += sum(len(event.data) for event in events if isinstance(event, MessageReceived))
        if self.host.paused_until > self.world.now:
            return
        try:
            while True:
                self.client.send(self.handle, self.message, self.world.now)
        except QueueFull:
            self.world.drain(self.host)


def measure(bulk: Bulk) -> float:
    """Bits of messages per second that arrive, of all flows together."""
    return sum(observe(bulk).goodputs)


def observe(bulk: Bulk) -> Outcome:
    """Runs the flows and tells what they got and what they did to the queue."""
    world = World(Random(bulk.seed))  # noqa: S311  # a simulation must repeat itself
    lines = tuple(Link(_line(bulk), Random(f"{bulk.seed} {name}")) for name in ("there", "back"))  # noqa: S311
    flows = []
    for index in range(bulk.flows):
        flows.append(_begin(world, index, bulk, lines))
        for flow in flows:
            flow.step()
        world.run(0.1)
    _run(world, flows, bulk, bulk.warm_up, lines[0])
    for flow in flows:
        flow.received = 0
    started_at = world.now
    delays = _run(world, flows, bulk, bulk.seconds, lines[0])
    elapsed = to_seconds(world.now - started_at)
    snapshots = [flow.client.snapshot(flow.handle) for flow in flows]
    return Outcome(
        goodputs=tuple(flow.received * 8 / elapsed for flow in flows),
        queue_delays=tuple(sorted(delays)),
        connections=tuple(snapshot for snapshot in snapshots if snapshot is not None),
    )


def jain(shares: Sequence[float]) -> float:
    """Jain's index of fairness: 1 when all are equal, 1/n when one has everything."""
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else 0.0


def add_endpoint(world: World, address: Address, settings: TransportSettings, seed: int) -> tuple[Endpoint, Host]:
    """An endpoint with a key of its own at that address."""
    entropy = Random(f"{seed} {address}").randbytes  # noqa: S311  # a simulation must repeat itself
    endpoint = Endpoint(Identity(entropy(32)), settings, entropy=entropy)
    return endpoint, world.add_host(address, endpoint)


def _begin(world: World, index: int, bulk: Bulk, lines: tuple[Link, ...]) -> _Flow:
    settings = TransportSettings(congestion=bulk.congestion, min_rto=25 * MILLISECOND)
    client, server = (f"10.0.{index}.1", 9000), (f"10.0.{index}.2", 9000)
    world.links[(client, server)], world.links[(server, client)] = lines
    flow = _Flow(world, index, settings, bulk)
    # A handshake may lose its packets, too; how long that takes is another question.
    world.run_until(lambda: flow.is_connected, _CONNECT_SECONDS)
    return flow


def _run(world: World, flows: list[_Flow], bulk: Bulk, seconds: float, line: Link) -> list[float]:
    """Keeps every queue full for so long; the waits for the line meanwhile."""
    delays: list[float] = []
    steps = round(seconds / _STEP)
    for step in range(steps):
        for flow in flows:
            flow.step()
            if bulk.stall and step % round(1 / _STEP) == round(0.5 / _STEP):
                world.pause(flow.host, from_seconds(bulk.stall))
        world.run(_STEP)
        delays.append(to_seconds(line.queue_delay(world.now)))
    return delays


def _line(bulk: Bulk) -> LinkSettings:
    rate = round(bulk.rate / 8)
    bdp = rate * bulk.rtt / _PACKET_BYTES
    queue = max(_QUEUE_PACKETS_MIN, round(bdp * bulk.buffer))
    return LinkSettings(
        delay=from_seconds(bulk.rtt / 2),
        loss=bulk.loss,
        loss_at=bulk.loss_at,
        rate=rate,
        # The link's limit counts what is under way, too: half a round trip's worth beside the queue.
        limit=queue + max(_QUEUE_PACKETS_MIN, round(bdp)) // 2,
    )
