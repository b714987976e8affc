"""Prints how many instructions of the interpreter an exchange and a packet take, both sides together.

Usage: scripts/bench/run instructions [--json]
An exchange is a request of 256 bytes and its response over loopback sockets and an event loop, one after the other,
over UDP and over TCP. A packet is one of 1,200 bytes in memory, on a path that loses nothing and on one that loses 10 %
each way. Time stands still but for what each of them is given, so that a busy machine changes nothing: each run prints
the same again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from sides import ours
from sides.memory_pair import Ours

from node.transport.driver import Driver
from node.transport.packet import Packet
from node.types import MICROSECOND, MILLISECOND, Address

EXCHANGES = 200
EXCHANGE_TIME = 150 * MICROSECOND
READ_TIME = 2 * MICROSECOND
MESSAGE = bytes(256)
PACKET_BYTES = 1200
WARM_UP_BYTES, BYTES = 4 << 20, 2 << 20
ONE_WAY = 10 * MILLISECOND


class Counter:
    """Instructions and calls while it is entered."""

    def __init__(self) -> None:
        self.instructions = self.calls = 0

    def __enter__(self) -> Counter:
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, _: object) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        self.calls += event == "call"
        self.instructions += event == "opcode"
        return self._trace


class StandingClock:
    """Goes on when it is read, by a little, and when it is told."""

    def __init__(self) -> None:
        self.now = 10**12

    def read(self) -> int:
        self.now += READ_TIME
        return self.now


class LossyPair(Ours):
    """Loses a share of what crosses."""

    wire_delay = ONE_WAY

    def __init__(self, loss: float) -> None:
        super().__init__(PACKET_BYTES)
        self.loss = loss
        self.chance = random.Random(5)

    def passes(self) -> bool:
        return self.chance.random() >= self.loss


def of_a_packet(loss: float) -> tuple[float, float]:
    """Instructions and calls per packet sent, its acknowledgement included."""
    pair = LossyPair(loss)
    pair.connect()
    pair.carry(WARM_UP_BYTES)
    with Counter() as counter:
        packets = pair.carry(BYTES).packets
    return counter.instructions / packets, counter.calls / packets


async def of_an_exchange(options: dict[str, str]) -> tuple[float, float]:
    """Instructions and calls per exchange; those of the event loop are among them."""
    clock, loop = StandingClock(), asyncio.get_running_loop()
    Driver.now = staticmethod(clock.read)  # type: ignore[method-assign]
    loop.time = lambda: clock.read() / 1e9  # type: ignore[method-assign]
    server, client = ours.made("127.0.0.1", options), ours.made("127.0.0.1", options)
    response: asyncio.Future[bytes] = loop.create_future()

    def answer(packet: Packet, address: Address) -> None:
        ours.post(server, address, packet.payload)

    server.register_handler(answer)
    client.register_handler(lambda packet, _: response.set_result(packet.payload))
    await server.start()
    await client.start()

    async def exchange(count: int) -> None:
        nonlocal response
        for _ in range(count):
            response = loop.create_future()
            clock.now += EXCHANGE_TIME
            ours.post(client, server.local_address, MESSAGE)
            await response

    await exchange(5 * EXCHANGES)
    with Counter() as counter:
        await exchange(EXCHANGES)
    await client.stop()
    await server.stop()
    return counter.instructions / EXCHANGES, counter.calls / EXCHANGES


MEASUREMENTS: dict[str, Callable[[], tuple[float, float]]] = {
    "exchange of 256 bytes": lambda: asyncio.run(of_an_exchange({})),
    "exchange of 256 bytes over TCP": lambda: asyncio.run(of_an_exchange({"tcp": "yes"})),
    "packet of 1,200 bytes": lambda: of_a_packet(0.0),
    "packet of 1,200 bytes, 10 % lost each way": lambda: of_a_packet(0.1),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    arguments = parser.parse_args()
    for name, count in MEASUREMENTS.items():
        instructions, calls = count()
        if arguments.json:
            print(json.dumps({"name": name, "instructions": instructions, "calls": calls}), flush=True)
        else:
            print(f"{name:42} {instructions:8,.0f} instructions, {calls:6,.0f} calls of functions", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
