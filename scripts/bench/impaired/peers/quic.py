"""aioquic and qh3, which share their interface: one stream for bulk; messages on one stream, or on one stream each."""

from __future__ import annotations

import asyncio
import importlib
import ssl
from typing import Any

from sides.certificate import certificate_files

from impaired.load import MESSAGES_PER_SECOND, Load, Meter, message

ALPN = ["bench"]
PIECE_BYTES = 1 << 16
UNSENT_BYTES_MAX = 4 << 20


def receive(address: tuple[str, int], meter: Meter, variant: str) -> None:
    asyncio.run(_receive(address, meter, variant.partition(":")[0]))


def send(address: tuple[str, int], load: Load, variant: str) -> None:
    asyncio.run(_send(address, load, variant))


async def _receive(address: tuple[str, int], meter: Meter, library: str) -> None:
    asyncio_part = importlib.import_module(f"{library}.asyncio")
    events = importlib.import_module(f"{library}.quic.events")
    base: Any = asyncio_part.QuicConnectionProtocol

    class Receiver(base):  # type: ignore[misc]
        def quic_event_received(self, event: Any) -> None:
            if isinstance(event, events.StreamDataReceived):
                meter.on_bytes(event.data, event.stream_id)

    configuration = _configuration(library, is_client=False)
    configuration.load_cert_chain(*certificate_files())
    await asyncio_part.serve(*address, configuration=configuration, create_protocol=Receiver)
    await meter.until_over()


async def _send(address: tuple[str, int], load: Load, variant: str) -> None:
    library, _, way = variant.partition(":")
    asyncio_part = importlib.import_module(f"{library}.asyncio")
    configuration = _configuration(library, is_client=True)
    async with asyncio_part.connect(*address, configuration=configuration) as protocol:
        connection = protocol._quic
        stream = connection.get_next_available_stream_id(is_unidirectional=True)
        if load.kind == "bulk":
            await _send_bulk(protocol, connection, stream)
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(load.messages):
            await asyncio.sleep(max(0, began + number / MESSAGES_PER_SECOND - loop.time()))
            if way == "streams":
                stream = connection.get_next_available_stream_id(is_unidirectional=True)
            connection.send_stream_data(stream, message(number), end_stream=way == "streams")
            protocol.transmit()
        await asyncio.sleep(load.is_over_after())


async def _send_bulk(protocol: Any, connection: Any, stream: int) -> None:
    piece = bytes(PIECE_BYTES)
    while True:
        while _unsent(connection, stream) < UNSENT_BYTES_MAX:
            connection.send_stream_data(stream, piece)
        protocol.transmit()
        await asyncio.sleep(0.005)


def _unsent(connection: Any, stream: int) -> int:
    if hasattr(connection, "get_send_buffer_size"):
        return int(connection.get_send_buffer_size(stream))
    sender = connection._streams[stream].sender if stream in connection._streams else None
    return 0 if sender is None else sender._buffer_stop - sender._buffer_start


def _configuration(library: str, *, is_client: bool) -> Any:
    configuration_part = importlib.import_module(f"{library}.quic.configuration")
    configuration = configuration_part.QuicConfiguration(is_client=is_client, alpn_protocols=ALPN)
    configuration.verify_mode = ssl.CERT_NONE
    configuration.max_data = configuration.max_stream_data = 16 << 20
    return configuration
