"""qh3 (QUIC around a Rust core), through its asyncio interface: one stream per block or exchange."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from qh3.asyncio import QuicConnectionProtocol, connect
from qh3.asyncio import serve as serve_quic
from qh3.quic.configuration import QuicConfiguration
from qh3.quic.events import QuicEvent, StreamDataReceived

from sides.blocks import EXCHANGE, send_blocks
from sides.blocks import exchange as exchange_one_by_one
from sides.certificate import certificate_files

WINDOW = 16 << 20


def configuration(options: dict[str, str], *, is_client: bool) -> QuicConfiguration:
    """Credit of a fast path, and no more checks of the certificate than of ours."""
    made = QuicConfiguration(
        is_client=is_client,
        alpn_protocols=["bench"],
        max_data=WINDOW,
        max_stream_data=WINDOW,
        max_datagram_size=int(options.get("mtu", 1200)),
        verify_mode=ssl.CERT_NONE,
    )
    if not is_client:
        made.load_cert_chain(*certificate_files())
    return made


class Server(QuicConnectionProtocol):
    """Answers a request with its bytes, and a block with one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._received: dict[int, int] = {}

    def quic_event_received(self, event: QuicEvent) -> None:
        if not isinstance(event, StreamDataReceived):
            return
        received = self._received.get(event.stream_id, 0) + len(event.data)
        self._received[event.stream_id] = received
        if event.end_stream:
            del self._received[event.stream_id]
            answer = event.data if received == EXCHANGE else b"1"
            self._quic.send_stream_data(event.stream_id, answer, end_stream=True)
            self.transmit()


class Client(QuicConnectionProtocol):
    """Sends on a stream of its own, and waits for its end."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting: dict[int, asyncio.Future[None]] = {}

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, StreamDataReceived) and event.end_stream:
            self._waiting.pop(event.stream_id).set_result(None)

    async def ask(self, data: bytes) -> None:
        """Returns once the server has all of it and has answered."""
        stream = self._quic.get_next_available_stream_id()
        future = self._waiting[stream] = self._loop.create_future()
        self._quic.send_stream_data(stream, data, end_stream=True)
        self.transmit()
        await future


async def serve(host: str, options: dict[str, str]) -> int:
    server = await serve_quic(host, 0, configuration=configuration(options, is_client=False), create_protocol=Server)
    return int(server._transport.get_extra_info("sockname")[1])


async def bulk(address: tuple[str, int], seconds: float, options: dict[str, str]) -> dict[str, Any]:
    made = configuration(options, is_client=True)
    async with connect(*address, configuration=made, create_protocol=Client) as client:
        assert isinstance(client, Client)
        return dict(await send_blocks(client.ask, seconds))


async def exchange(address: tuple[str, int], seconds: float, options: dict[str, str]) -> dict[str, Any]:
    made = configuration(options, is_client=True)
    async with connect(*address, configuration=made, create_protocol=Client) as client:
        assert isinstance(client, Client)
        return await exchange_one_by_one(client.ask, seconds)
