"""Starting and stopping that overlap."""

from __future__ import annotations

import asyncio
import socket

import pytest

from node.node import Node
from node.node.listening import open_http_listener
from tests.node.network import configuration

pytestmark = pytest.mark.loopback


@pytest.mark.asyncio
async def test_a_node_that_is_stopped_while_it_starts_does_not_run_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    may_start = asyncio.Event()
    open_listener = open_http_listener

    async def open_late(host: str, port: int) -> socket.socket:
        await may_start.wait()
        return await open_listener(host, port)

    monkeypatch.setattr("node.node.node.open_http_listener", open_late)
    node = Node(configuration())
    starting = asyncio.create_task(node.start())
    await asyncio.sleep(0)

    stopping = asyncio.create_task(node.stop())
    await asyncio.sleep(0)
    may_start.set()
    await asyncio.gather(starting, stopping)

    assert node.get_stats()["state"] == "stopped"
