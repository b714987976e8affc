"""Transports over loopback that end with the test, and an inbox that lets tests wait for messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from node.transport.packet import Packet
from node.types import Address

DEADLINE = 10.0
"""Seconds after which a test gives up waiting; nothing here takes a tenth of it."""


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


class LoopErrors:
    """Collects what would have become a traceback of the loop."""

    def __init__(self) -> None:
        self.contexts: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self.contexts.append(context))
