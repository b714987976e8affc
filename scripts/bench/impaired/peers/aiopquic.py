"""aiopquic: picoquic, in C, on a thread of its own. Its defaults, that is BBR."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from aiopquic.asyncio import QuicConnectionProtocol, connect, serve
from aiopquic.quic.configuration import QuicConfiguration
from aiopquic.quic.events import StreamDataReceived
from sides.certificate import certificate_files

from impaired.load import MESSAGES_PER_SECOND, Load, Meter, message
from impaired.peers.quic import ALPN, PIECE_BYTES


def receive(address: tuple[str, int], meter: Meter, _variant: str) -> None:
    asyncio.run(_receive(address, meter))


def send(address: tuple[str, int], load: Load, _variant: str) -> None:
    asyncio.run(_send(address, load))


async def _receive(address: tuple[str, int], meter: Meter) -> None:
    class Receiver(QuicConnectionProtocol):  # type: ignore[misc]
        def quic_event_received(self, event: Any) -> None:
            if isinstance(event, StreamDataReceived):
                meter.on_bytes(event.data, event.stream_id)

    certificate, key = certificate_files()
    configuration = QuicConfiguration(
        is_client=False, alpn_protocols=ALPN, certificate_file=certificate, private_key_file=key
    )
    await serve(*address, configuration=configuration, create_protocol=Receiver)
    await meter.until_over()


async def _send(address: tuple[str, int], load: Load) -> None:
    configuration = QuicConfiguration(is_client=True, alpn_protocols=ALPN, verify_mode=ssl.CERT_NONE)
    async with connect(*address, configuration=configuration) as protocol:
        connection = protocol._quic
        stream = connection.get_next_available_stream_id(is_unidirectional=True)
        if load.kind == "bulk":
            piece = bytes(PIECE_BYTES)
            while True:
                await connection.send_stream_data_drained(stream, piece)
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(load.messages):
            await asyncio.sleep(max(0, began + number / MESSAGES_PER_SECOND - loop.time()))
            connection.send_stream_data(stream, message(number))
        await asyncio.sleep(load.is_over_after())
