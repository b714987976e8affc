"""Real nodes on loopback for the tests of the node and of what is built on it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

from node.config import NetworkConfig
from node.node import Node
from node.types import Address

DEADLINE = 30.0
"""Seconds after which a test that waits for something gives up; a loaded machine needs some of them."""


class Inbox:
    """A data handler that keeps what it is given, and lets a test wait for it."""

    def __init__(self) -> None:
        self.messages: list[tuple[Any, str]] = []
        self._changed = asyncio.Event()

    def __call__(self, data: Any, sender_id: str) -> None:
        self.messages.append((data, sender_id))
        self._changed.set()

    async def wait_for(self, number: int) -> list[tuple[Any, str]]:
        """The messages, once there are that many."""
        async with asyncio.timeout(DEADLINE):
            while len(self.messages) < number:
                self._changed.clear()
                await self._changed.wait()
        return self.messages


def configuration(**changes: Any) -> NetworkConfig:
    """A node on free ports of loopback that says what it has to say quickly."""
    values: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": 0,
        "heartbeat_interval": 0.1,
        "connection_timeout": 5.0,
        "profile": "testnet",
    }
    return NetworkConfig(**(values | changes))


def udp_address(node: Node) -> Address:
    assert node.udp_transport is not None
    return node.udp_transport.local_address


def address_text(node: Node) -> str:
    host, port = udp_address(node)
    return f"{host}:{port}"


@asynccontextmanager
async def network(size: int, **changes: Any) -> AsyncIterator[list[Node]]:
    """That many nodes, all of which have all others as active peers; the first one is the seed."""
    async with AsyncExitStack() as stack:
        nodes: list[Node] = []
        for _ in range(size):
            seeds = [address_text(nodes[0])] if nodes else []
            node = Node(configuration(bootstrap_nodes=seeds, is_seed=not nodes, **changes))
            await stack.enter_async_context(node)
            nodes.append(node)
        await until(lambda: all(len(node.peer_manager.active_peers) == size - 1 for node in nodes))
        yield nodes


@contextmanager
def network_beside(size: int, **changes: Any) -> Iterator[list[Node]]:
    """As `network`, in a thread with a loop of its own, for tests that block: ask the nodes over HTTP only."""
    loop = asyncio.new_event_loop()
    is_up = threading.Event()
    over = asyncio.Event()
    nodes: list[Node] = []

    async def live() -> None:
        async with network(size, **changes) as running:
            nodes.extend(running)
            is_up.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(live()))
    thread.start()
    try:
        assert is_up.wait(DEADLINE)
        yield nodes
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(DEADLINE)
        loop.close()


def url_of(node: Node) -> str:
    assert node.http_address is not None
    host, port = node.http_address
    return f"http://{host}:{port}"


async def until(holds: Callable[[], bool]) -> None:
    """Returns when something holds that no event tells of; looks again after every turn of the loops concerned."""
    async with asyncio.timeout(DEADLINE):
        while not holds():
            # Shorter than any timer of a node, longer than nothing: the other nodes of the process must get their turn.
            await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=0.01)
