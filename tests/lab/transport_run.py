"""What happens inside the lab: two transports on two hosts whose cable has real netem; the figures as JSON.

Runs as `python -m tests.lab.transport_run`. It judges nothing: what it saw goes to $OUT/transport.json, and
`test_transport.py` on the outside says what it should have been.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from node.transport.settings import TransportSettings
from node.transport.udp_transport import UDPTransport
from node.types import MILLISECOND
from tests.netns.hosts import IPV4, LEFT, RIGHT, Hosts

MESSAGES = 150
LARGE_BYTES = 600_000
PATIENCE = 60.0
IMPAIRMENTS = {
    "loss": ("delay", "15ms", "loss", "10%"),
    "bursts": ("delay", "15ms", "loss", "gemodel", "5%", "30%"),
    "jitter": ("delay", "30ms", "10ms"),
    "reordering": ("delay", "15ms", "reorder", "75%"),
    "rate": ("delay", "15ms", "rate", "4mbit", "limit", "40"),
    "damage": ("delay", "15ms", "corrupt", "5%", "duplicate", "5%"),
}
"""By name, what the cable does in both directions, in netem's words; all of it without correlation."""


async def measure(name: str) -> dict[str, Any]:
    """Sends small messages and a large one at once over that cable, and says what came of it."""
    hosts = Hosts()
    settings = TransportSettings(min_rto=25 * MILLISECOND)
    received: Counter[bytes] = Counter()
    try:
        for side in (LEFT, RIGHT):
            hosts.impair(side, *IMPAIRMENTS[name])
        left, right = (UDPTransport(IPV4[side], 9000, settings=settings) for side in (LEFT, RIGHT))
        right.register_handler(lambda packet, _address: received.update([packet.payload]))
        for side, transport in ((LEFT, left), (RIGHT, right)):
            with hosts.on(side):
                await transport.start()
        address = (IPV4[RIGHT], 9000)
        await left.send_reliable(address, b"first", PATIENCE)
        loop = asyncio.get_running_loop()
        began = loop.time()
        sent = [bytes(LARGE_BYTES), *(number.to_bytes(2) * 150 for number in range(MESSAGES))]
        async with asyncio.TaskGroup() as group:
            for message in sent:
                group.create_task(left.send_reliable(address, message, PATIENCE))
        seconds = loop.time() - began
        (snapshot,) = left.endpoint.snapshots()
        await left.stop()
        await right.stop()
    finally:
        hosts.close()
    return {
        "seconds": seconds,
        "is_exact": received == Counter([b"first", *sent]),
        "smoothed_rtt": snapshot.smoothed_rtt,
        "packets_sent": snapshot.stats.packets_sent,
        "packets_lost": sum(snapshot.stats.packets_lost.values()),
        "retransmitted": sum(snapshot.stats.packets_retransmitted.values()),
        "spurious_losses": snapshot.stats.spurious_losses,
        "dropped": dict(right.endpoint.stats.packets_dropped),
    }


def main() -> None:
    figures = {name: asyncio.run(measure(name)) for name in IMPAIRMENTS}
    Path(os.environ["OUT"], "transport.json").write_text(json.dumps(figures))


if __name__ == "__main__":
    main()
