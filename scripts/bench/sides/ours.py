"""The UDP transport of this project, or with option `tcp` its TCP transport, through their public interface."""

from __future__ import annotations

import asyncio
from typing import Any

from node.transport.packet import Packet
from node.transport.settings import TransportSettings
from node.transport.tcp_transport import TCPTransport
from node.transport.udp_transport import UDPTransport
from node.types import MICROSECOND, Address
from sides.blocks import EXCHANGE, send_blocks
from sides.blocks import exchange as exchange_one_by_one

PATIENCE = 30.0
_kept: list[object] = []


def settings(options: dict[str, str]) -> TransportSettings:
    """Defaults, but for the credit of a fast path and what the measurement asks for."""
    return TransportSettings(
        mtu=int(options.get("mtu", 1400)),
        mss=int(options.get("mtu", 1400)),
        initial_window=int(options.get("window", 4 << 20)),
        busy_poll=int(options.get("busy", 0)) * MICROSECOND,
        segments_max=int(options.get("segments", TransportSettings().segments_max)),
    )


def post(transport: UDPTransport | TCPTransport, address: Address, data: bytes) -> None:
    """A message that arrives, and for which nobody waits."""
    if isinstance(transport, TCPTransport):
        transport.post(address, data, PATIENCE)
    else:
        transport.post_reliable(address, data, PATIENCE)


async def send(transport: UDPTransport | TCPTransport, address: Address, data: bytes) -> None:
    """Returns once the peer has the message."""
    if isinstance(transport, TCPTransport):
        await transport.send(address, data, PATIENCE)
    else:
        await transport.send_reliable(address, data, PATIENCE)


def made(host: str, options: dict[str, str]) -> UDPTransport | TCPTransport:
    return (TCPTransport if "tcp" in options else UDPTransport)(host, 0, settings=settings(options))


async def serve(host: str, options: dict[str, str]) -> int:
    """Takes everything; answers what is as long as a request with the same bytes."""
    transport = made(host, options)

    def answer(packet: Packet, address: Address) -> None:
        if len(packet.payload) == EXCHANGE:
            post(transport, address, packet.payload)

    async def answer_awaited(packet: Packet, address: Address) -> None:
        if len(packet.payload) == EXCHANGE:
            await send(transport, address, packet.payload)

    transport.register_handler(answer_awaited if "awaited" in options else answer)
    await transport.start()
    _kept.append(transport)
    return transport.local_address[1]


async def bulk(address: Address, seconds: float, options: dict[str, str]) -> dict[str, Any]:
    """Blocks as reliable messages."""
    transport = UDPTransport("0.0.0.0", 0, settings=settings(options))
    await transport.start()
    result = await send_blocks(lambda block: transport.send_reliable(address, block, PATIENCE), seconds)
    await transport.stop()
    return result


async def exchange(address: Address, seconds: float, options: dict[str, str]) -> dict[str, Any]:
    """A reliable message there, and one back; the response is what is waited for, as with the peers.

    Option `awaited`: both ends wait for the acknowledgements of their messages, too.
    """
    transport = made("0.0.0.0", options)
    response: asyncio.Future[bytes] | None = None
    loop, is_awaited = asyncio.get_running_loop(), "awaited" in options

    def take(packet: Packet, _address: Address) -> None:
        assert response is not None
        response.set_result(packet.payload)

    async def ask(request: bytes) -> None:
        nonlocal response
        response = loop.create_future()
        if is_awaited:
            await send(transport, address, request)
        else:
            post(transport, address, request)
        await response

    transport.register_handler(take)
    await transport.start()
    result = await exchange_one_by_one(ask, seconds)
    await transport.stop()
    return result
