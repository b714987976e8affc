"""Prints how long a message takes whose whole flight was lost and that nothing follows, over a path of 1 ms.

Usage: scripts/bench/run tail_loss [--messages N] [--json]
Virtual time. Every message is sent into a link that swallows it at that instant and is whole right afterwards, so that
only a timer of the sender can save it. The peer in the same run is a sender with the timer of TCP, whose least
timeout is 200 ms (Linux; RFC 6298 asks for 1 s). Aim: 99 of 100 arrive within 15 ms.
"""

from __future__ import annotations

import argparse
import json
from random import Random

from node.impairment.link import LinkSettings
from node.sim.figures import percentile
from node.sim.latency import SENDER, connected
from node.sim.world import World
from node.transport.events import Delivery, MessageReceived
from node.transport.packet import Message
from node.types import MILLISECOND, Address

ONE_WAY = MILLISECOND // 2
SIZES = (256, 10_000)
PAUSE_SECONDS = 0.25
AIM_MS = 15.0
TCP_RTO_MIN_MS = 200.0


class Swallowing:
    """A cut of the way there, while it is on."""

    is_on = False

    def stops(self, source: Address, target: Address, /) -> bool:
        return self.is_on and source == SENDER


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=1000, help="of each size (default 1000)")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    arguments = parser.parse_args()
    for size in SIZES:
        delays = measure(size, arguments.messages)
        p50, p99 = (percentile(delays, share) / MILLISECOND for share in (0.5, 0.99))
        ratio = (TCP_RTO_MIN_MS + 0.5) / p99
        if arguments.json:
            print(json.dumps({"size": size, "p50_ms": p50, "p99_ms": p99, "tcp_to_ours": ratio}), flush=True)
        else:
            print(
                f"{size:6} bytes  p50 {p50:5.1f}  p99 {p99:5.1f} ms (aim {AIM_MS:g})  "
                f"a timeout of at least {TCP_RTO_MIN_MS:g} ms takes {ratio:.0f} times as long",
                flush=True,
            )
    return 0


def measure(size: int, messages: int) -> list[int]:
    """How long each message took, in nanoseconds, ascending."""
    world = World(Random(1), default=LinkSettings(delay=ONE_WAY), has_trace=False)
    client, host, receiver, handle = connected(world, seed=1)
    cut = Swallowing()
    world.cuts.append(cut)
    delays: list[int] = []
    sent_at = 0

    def arrived(event: object) -> None:
        if isinstance(event, MessageReceived):
            delays.append(world.now - sent_at)

    receiver.on_event = arrived
    for number in range(messages):
        cut.is_on = number > 0  # the first one teaches the path
        sent_at = world.now
        client.send(handle, Message(bytes(size), Delivery.RELIABLE), world.now)
        world.drain(host)
        cut.is_on = False
        world.run(PAUSE_SECONDS)
    assert len(delays) == messages, f"{messages - len(delays)} of {messages} messages did not arrive"
    return sorted(delays[1:])


if __name__ == "__main__":
    raise SystemExit(main())
