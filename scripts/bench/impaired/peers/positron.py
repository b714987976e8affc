"""Our own transport: reliable messages in no order, as the node sends its gossip."""

from __future__ import annotations

import asyncio

from impaired.load import CHUNK_BYTES, MESSAGES_PER_SECOND, Load, Meter, message
from node.errors import PositronError
from node.transport.settings import TransportSettings
from node.transport.udp_transport import UDPTransport
from node.types import MILLISECOND

SENDS_AT_ONCE = 128
SETTINGS = TransportSettings(min_rto=25 * MILLISECOND)  # as the profile `testnet` has it


def receive(address: tuple[str, int], meter: Meter, _variant: str) -> None:
    asyncio.run(_receive(address, meter))


def send(address: tuple[str, int], load: Load, _variant: str) -> None:
    asyncio.run(_send_bulk(address) if load.kind == "bulk" else _send_messages(address, load))


async def _receive(address: tuple[str, int], meter: Meter) -> None:
    transport = UDPTransport(*address, settings=SETTINGS)
    transport.register_handler(lambda packet, _address: meter.on_bytes(packet.payload))
    await transport.start()
    await meter.until_over()


async def _send_bulk(address: tuple[str, int]) -> None:
    transport = UDPTransport("0.0.0.0", 0, settings=SETTINGS)
    await transport.start()
    chunk = bytes(CHUNK_BYTES)

    async def work() -> None:
        while True:
            await transport.send_reliable(address, chunk, 60)

    await asyncio.gather(*(work() for _ in range(SENDS_AT_ONCE)))


async def _send_messages(address: tuple[str, int], load: Load) -> None:
    transport = UDPTransport("0.0.0.0", 0, settings=SETTINGS)
    await transport.start()
    loop = asyncio.get_running_loop()
    while not transport.connections.get(address):
        try:
            await transport.send_reliable(address, b"", 1)
        except PositronError:
            continue
    began = loop.time()
    async with asyncio.TaskGroup() as group:
        for number in range(load.messages):
            await asyncio.sleep(max(0, began + number / MESSAGES_PER_SECOND - loop.time()))
            group.create_task(transport.send_reliable(address, message(number), 30))
