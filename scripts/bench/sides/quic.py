"""aioquic (QUIC in Python) and qh3 (QUIC around a Rust core), through the asyncio interface that they share.

Option `library` says which of them; a stream for each block or exchange.
"""

from __future__ import annotations

import asyncio
import importlib
import ssl
from types import ModuleType
from typing import Any

from sides.blocks import EXCHANGE, send_blocks
from sides.blocks import exchange as exchange_one_by_one
from sides.certificate import certificate_files

WINDOW = 16 << 20


def configuration(options: dict[str, str], *, is_client: bool) -> Any:
    """Credit of a fast path, and no more checks of the certificate than of ours."""
    made = _part(options, "quic.configuration").QuicConfiguration(
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


async def serve(host: str, options: dict[str, str]) -> int:
    """Answers a request with its bytes, and a block with one."""
    base, received_type = _base(options), _part(options, "quic.events").StreamDataReceived

    class Server(base):  # type: ignore[misc]  # known when the library is
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._received: dict[int, int] = {}

        def quic_event_received(self, event: Any) -> None:
            if not isinstance(event, received_type):
                return
            received = self._received.get(event.stream_id, 0) + len(event.data)
            self._received[event.stream_id] = received
            if event.end_stream:
                del self._received[event.stream_id]
                answer = event.data if received == EXCHANGE else b"1"
                self._quic.send_stream_data(event.stream_id, answer, end_stream=True)
                self.transmit()

    made = configuration(options, is_client=False)
    server = await _part(options, "asyncio").serve(host, 0, configuration=made, create_protocol=Server)
    return int(server._transport.get_extra_info("sockname")[1])


async def bulk(address: tuple[str, int], seconds: float, options: dict[str, str]) -> dict[str, Any]:
    async with _connect(address, options) as client:
        return dict(await send_blocks(client.ask, seconds))


async def exchange(address: tuple[str, int], seconds: float, options: dict[str, str]) -> dict[str, Any]:
    async with _connect(address, options) as client:
        return await exchange_one_by_one(client.ask, seconds)


def _connect(address: tuple[str, int], options: dict[str, str]) -> Any:
    """A client whose `ask(data)` sends on a stream of its own, and returns once the server has it and has answered."""
    base, received_type = _base(options), _part(options, "quic.events").StreamDataReceived

    class Client(base):  # type: ignore[misc]  # known when the library is
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._waiting: dict[int, asyncio.Future[None]] = {}

        def quic_event_received(self, event: Any) -> None:
            if isinstance(event, received_type) and event.end_stream:
                self._waiting.pop(event.stream_id).set_result(None)

        async def ask(self, data: bytes) -> None:
            stream = self._quic.get_next_available_stream_id()
            future = self._waiting[stream] = self._loop.create_future()
            self._quic.send_stream_data(stream, data, end_stream=True)
            self.transmit()
            await future

    made = configuration(options, is_client=True)
    return _part(options, "asyncio").connect(*address, configuration=made, create_protocol=Client)


def _base(options: dict[str, str]) -> Any:
    return _part(options, "asyncio").QuicConnectionProtocol


def _part(options: dict[str, str], name: str) -> ModuleType:
    return importlib.import_module(f"{options['library']}.{name}")
