"""asyncio's own TLS over TCP, through its streams: one connection, lengths in front of messages."""

from __future__ import annotations

import asyncio
import ssl
import struct
from typing import Any

from sides.blocks import EXCHANGE
from sides.blocks import exchange as exchange_one_by_one
from sides.certificate import certificate_files

_kept: list[object] = []
_length = struct.Struct(">I")


async def serve(host: str, _options: dict[str, str]) -> int:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate_files())

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(await reader.readexactly(EXCHANGE))
        except asyncio.IncompleteReadError:
            writer.close()

    server = await asyncio.start_server(answer, host, 0, ssl=context)
    _kept.append(server)
    return int(server.sockets[0].getsockname()[1])


async def exchange(address: tuple[str, int], seconds: float, _options: dict[str, str]) -> dict[str, Any]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(*address, ssl=context)

    async def ask(request: bytes) -> None:
        writer.write(request)
        await reader.readexactly(EXCHANGE)

    result = await exchange_one_by_one(ask, seconds)
    writer.close()
    return result
