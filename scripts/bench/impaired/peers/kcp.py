"""KCP, in C, plain: its fastest mode, without congestion control, and a window that holds a full queue."""

from __future__ import annotations

import asyncio
import time

from kcp import KCP

from impaired.load import MESSAGES_PER_SECOND, Load, Meter, message

MTU = 1_400
CHUNK_BYTES = MTU - 24
WINDOW_PACKETS = 1_024
UPDATE_INTERVAL = 0.01
CONVERSATION = 7


class End(asyncio.DatagramProtocol):
    """One end: datagrams to KCP, its packets to the socket, and its clock."""

    def __init__(self, peer: tuple[str, int] | None, meter: Meter | None) -> None:
        self.peer = peer
        self.meter = meter
        self.kcp = KCP(CONVERSATION, MTU, True, round(UPDATE_INTERVAL * 1e3), 2, True, WINDOW_PACKETS, WINDOW_PACKETS)
        self.kcp.include_outbound_handler(lambda _kcp, data: self.transport.sendto(data, self.peer))
        self.began = time.monotonic()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self.peer = address
        self.kcp.receive(data)
        for packet in self.kcp.get_all_received():
            if self.meter is not None:
                self.meter.on_bytes(packet)

    def update(self) -> None:
        self.kcp.update(round((time.monotonic() - self.began) * 1e3))


def receive(address: tuple[str, int], meter: Meter, _variant: str) -> None:
    asyncio.run(_receive(address, meter))


def send(address: tuple[str, int], load: Load, _variant: str) -> None:
    asyncio.run(_send(address, load))


async def _receive(address: tuple[str, int], meter: Meter) -> None:
    loop = asyncio.get_running_loop()
    _, end = await loop.create_datagram_endpoint(lambda: End(None, meter), local_addr=address)
    while not meter.is_over():
        end.update()
        await asyncio.sleep(UPDATE_INTERVAL)


async def _send(address: tuple[str, int], load: Load) -> None:
    loop = asyncio.get_running_loop()
    _, end = await loop.create_datagram_endpoint(lambda: End(address, None), local_addr=("0.0.0.0", 0))
    end.update()
    if load.kind == "bulk":
        chunk = bytes(CHUNK_BYTES)
        while True:
            while end.kcp.get_outbound_packets() < 2 * WINDOW_PACKETS:
                end.kcp.enqueue(chunk)
            end.update()
            await asyncio.sleep(UPDATE_INTERVAL)
    began = loop.time()
    for number in range(load.messages):
        await asyncio.sleep(max(0, began + number / MESSAGES_PER_SECOND - loop.time()))
        end.kcp.enqueue(message(number))
        # Its fastest use: nothing waits for the next update.
        end.update()
        end.kcp.flush()
    while True:
        end.update()
        await asyncio.sleep(UPDATE_INTERVAL)
