"""How much a bulk sender gets through a link in virtual time: the measure by which congestion controllers are judged.

A client sends messages as fast as its queue takes them. The link has a rate, a drop-tail queue of one
bandwidth-delay product and random loss in both directions; the first second after the handshake, in which a
sender finds its rate, is not counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from node.errors import QueueFull
from node.identity.keys import Identity
from node.impairment.link import LinkSettings
from node.sim.world import Host, World
from node.transport.endpoint import Endpoint
from node.transport.events import Delivery, MessageReceived
from node.transport.packet import Message
from node.transport.settings import TransportSettings
from node.types import MILLISECOND, SECOND, Address, from_seconds

__all__ = ["Bulk", "measure"]

_CLIENT: Address = ("10.0.0.1", 9000)
_SERVER: Address = ("10.0.0.2", 9000)
_MESSAGE = Message(bytes(16_000), Delivery.RELIABLE)
_WARM_UP = 1.0
_CONNECT_SECONDS = 10.0
_STEP = 0.01
_PACKET_BYTES = 1_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk:
    """rate: bits per second. rtt: seconds. loss: share of datagrams lost, each way. seconds: measured after warm-up."""

    rate: float
    rtt: float
    loss: float
    seconds: float = 4.0
    congestion: str = "lossfloor"
    seed: int = 1


def measure(bulk: Bulk) -> float:
    """Bits of messages per second that arrive."""
    rate = round(bulk.rate / 8)
    queue = max(10, round(rate * bulk.rtt / _PACKET_BYTES))
    link = LinkSettings(
        delay=from_seconds(bulk.rtt / 2),
        loss=bulk.loss,
        rate=rate,
        # The link's limit counts what is under way, too: half a round trip's worth beside the queue.
        limit=queue + queue // 2,
    )
    world = World(Random(bulk.seed), default=link)  # noqa: S311  # a simulation must repeat itself
    settings = TransportSettings(congestion=bulk.congestion, min_rto=25 * MILLISECOND)
    client, host = _add(world, _CLIENT, settings, bulk.seed)
    server, server_host = _add(world, _SERVER, settings, bulk.seed)
    handle = client.connect(_SERVER, world.now)
    world.drain(host)
    # A handshake may lose its packets, too; how long that takes is another question.
    world.run_until(lambda: client.connection_of(server.identity.public_key) is not None, _CONNECT_SECONDS)
    connected_at = world.now
    received, started_at = 0, 0
    while world.now < connected_at + from_seconds(_WARM_UP + bulk.seconds):
        _fill(world, client, host, handle)
        world.run(_STEP)
        host.events.clear()
        if not started_at and world.now >= connected_at + from_seconds(_WARM_UP):
            received, started_at = 0, world.now
            server_host.events.clear()
        received += sum(len(event.data) for event in server_host.events if isinstance(event, MessageReceived))
        server_host.events.clear()
    return received * 8 * SECOND / (world.now - started_at)


def _add(world: World, address: Address, settings: TransportSettings, seed: int) -> tuple[Endpoint, Host]:
    entropy = Random(f"{seed} {address}").randbytes  # noqa: S311  # a simulation must repeat itself
    endpoint = Endpoint(Identity(entropy(32)), settings, entropy=entropy)
    return endpoint, world.add_host(address, endpoint)


def _fill(world: World, client: Endpoint, host: Host, handle: int) -> None:
    try:
        while True:
            client.send(handle, _MESSAGE, world.now)
    except QueueFull:
        world.drain(host)
