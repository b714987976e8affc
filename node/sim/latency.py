"""How long small messages take over an impaired link in virtual time, beside what no transport could do better.

One sender, one receiver, a message every few milliseconds. The ideal is a sender that learns of each loss after exactly
one least round trip, over a link with the same settings: it waits for nothing but the path.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from random import Random

from node.impairment.link import Link, LinkSettings
from node.sim.goodput import add_endpoint
from node.sim.world import Host, World
from node.transport.endpoint import Endpoint
from node.transport.events import Delivery, MessageReceived
from node.transport.packet import Message
from node.transport.settings import TransportSettings
from node.transport.stats import ConnectionSnapshot
from node.types import MILLISECOND, Address, Duration, from_seconds

__all__ = ["RECEIVER", "SENDER", "Delays", "Stream", "connected", "stream"]

_CONNECT_SECONDS = 30.0
_PATIENCE_SECONDS = 60.0
SENDER: Address = ("10.0.0.1", 9000)
RECEIVER: Address = ("10.0.0.2", 9000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """link: settings of both directions. interval: seconds between messages. size: bytes. first: of them not counted.

    The first messages teach the sender its path; how long that takes is another question.
    """

    link: LinkSettings
    messages: int = 4000
    interval: float = 0.005
    size: int = 256
    first: int = 200
    seed: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Delays:
    """delays, ideal: one-way delays of messages in nanoseconds, ascending. missing: messages that never came.

    sender: its connection at the end.
    """

    delays: tuple[Duration, ...]
    ideal: tuple[Duration, ...]
    missing: int
    sender: ConnectionSnapshot

    @property
    def spurious(self) -> float:
        """Share of the packets sent that were taken for lost and were not."""
        return self.sender.stats.spurious_losses / self.sender.stats.packets_sent

    @property
    def packets_per_message(self) -> float:
        """Packets that the sender sent, acknowledgements and repetitions among them."""
        return self.sender.stats.packets_sent / self.sender.stats.messages_sent


def stream(asked: Stream) -> Delays:
    """Sends the messages and tells how long each took."""
    world = World(Random(asked.seed), default=asked.link, has_trace=False)  # noqa: S311  # a simulation must repeat itself
    client, host, receiver, handle = connected(world, asked.seed)
    host.keeps_events = receiver.keeps_events = False
    sent_at: list[int] = []
    delays: dict[int, Duration] = {}

    def send() -> None:
        number = len(sent_at)
        sent_at.append(world.now)
        client.send(handle, Message(number.to_bytes(4, "big") + bytes(asked.size - 4), Delivery.RELIABLE), world.now)
        world.drain(host)

    def arrived(event: object) -> None:
        if isinstance(event, MessageReceived):
            number = int.from_bytes(event.data[:4], "big")
            delays[number] = world.now - sent_at[number]

    receiver.on_event = arrived
    for number in range(asked.messages):
        world.call_at(world.now + from_seconds(number * asked.interval), send)
    world.run(asked.messages * asked.interval)
    world.run_until(lambda: len(delays) == asked.messages, _PATIENCE_SECONDS, every=0.1)
    snapshot = client.snapshot(handle)
    assert snapshot is not None
    counted = sorted(delay for number, delay in delays.items() if number >= asked.first)
    return Delays(delays=tuple(counted), ideal=_ideal(asked), missing=asked.messages - len(delays), sender=snapshot)


def connected(world: World, seed: int) -> tuple[Endpoint, Host, Host, int]:
    """A sender, its host, the host of a receiver, and the connection between them."""
    settings = TransportSettings(min_rto=25 * MILLISECOND)
    client, host = add_endpoint(world, SENDER, settings, seed)
    server, receiver = add_endpoint(world, RECEIVER, settings, seed)
    handle = client.connect(RECEIVER, world.now)
    world.drain(host)
    world.run_until(lambda: client.connection_of(server.identity.public_key) is not None, _CONNECT_SECONDS)
    return client, host, receiver, handle


def _ideal(asked: Stream) -> tuple[Duration, ...]:
    link = Link(asked.link, Random(f"{asked.seed} ideal"))  # noqa: S311  # a simulation must repeat itself
    round_trip = 2 * asked.link.delay
    attempts = [(from_seconds(number * asked.interval), number) for number in range(asked.messages)]
    began = [at for at, _ in attempts]
    delays: dict[int, Duration] = {}
    while attempts:
        at, number = heapq.heappop(attempts)
        arrivals = link.send(bytes(asked.size), at)
        if arrivals:
            delays[number] = min(arrival.at for arrival in arrivals) - began[number]
        else:
            heapq.heappush(attempts, (at + round_trip, number))
    return tuple(sorted(delay for number, delay in delays.items() if number >= asked.first))
