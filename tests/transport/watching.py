"""Transports over loopback that end with the test, and an inbox that lets tests wait for messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from node.identity.keys import Identity
from node.transport.packet import Packet
from node.transport.settings import TransportSettings
from node.transport.tcp_transport import TCPTransport
from node.transport.udp_transport import UDPTransport
from node.types import MILLISECOND, Address

SETTINGS = TransportSettings(min_rto=50 * MILLISECOND)

DEADLINE = 10.0
"""Seconds after which a test gives up waiting; nothing here takes a tenth of it."""

TransportT = TypeVar("TransportT", UDPTransport, TCPTransport)


class Inbox:
    """A handler that keeps what it is given."""

    def __init__(self) -> None:
        self.packets: list[tuple[Packet, Address]] = []
        self.changed = asyncio.Event()

    async def __call__(self, packet: Packet, peer_addr: Address) -> None:
        self.packets.append((packet, peer_addr))
        self.changed.set()

    @property
    def payloads(self) -> list[bytes]:
        return [packet.payload for packet, _ in self.packets]

    async def wait_for(self, count: int) -> list[bytes]:
        await until(lambda: len(self.packets) >= count, self.changed)
        return self.payloads


async def until(condition: Callable[[], bool], changed: asyncio.Event) -> None:
    """Waits for something that `changed` announces."""
    async with asyncio.timeout(DEADLINE):
        while not condition():
            changed.clear()
            await changed.wait()


async def begun(sends: Iterable[Coroutine[Any, Any, None]]) -> list[asyncio.Task[None]]:
    """Tasks of which each has run to where it waits, one after the other."""
    tasks = [asyncio.create_task(send) for send in sends]
    await asyncio.gather(*(asyncio.sleep(0) for _ in tasks))
    return tasks


class LoopErrors:
    """Collects what would have become a traceback of the loop."""

    def __init__(self) -> None:
        self.contexts: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self.contexts.append(context))


@asynccontextmanager
async def started(
    kind: type[TransportT], *, seed: int | None = None, settings: TransportSettings | None = None, port: int = 0
) -> AsyncIterator[tuple[TransportT, Inbox]]:
    identity = None if seed is None else Identity(bytes([seed]) * 32)
    created, inbox = kind("127.0.0.1", port, identity=identity, settings=settings), Inbox()
    created.register_handler(inbox)
    await created.start()
    try:
        yield created, inbox
    finally:
        await created.stop()


@asynccontextmanager
async def two(
    kind: type[TransportT], *, settings: TransportSettings | None = None
) -> AsyncIterator[tuple[TransportT, TransportT, Inbox, Inbox]]:
    async with (
        started(kind, seed=1, settings=settings) as (first, first_inbox),
        started(kind, seed=2, settings=settings) as (second, second_inbox),
    ):
        yield first, second, first_inbox, second_inbox


transport = partial(started, UDPTransport, settings=SETTINGS)
pair = partial(two, UDPTransport, settings=SETTINGS)
