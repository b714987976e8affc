"""A node for the API, with fixed answers, and a server of it on loopback."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from node.api.access import Access
from node.api.problems import Json
from node.api.server import ApiServer
from node.errors import PositronError
from node.node.journal import Journal, Page


class FakeFeed:
    """A journal of texts."""

    def __init__(self) -> None:
        self.journal: Journal[str] = Journal("a", entries_max=100)

    def page(self, after: str | None, limit: int) -> dict[str, Any]:
        return self._form(self.journal.read(after, limit))

    def tail(self, number: int) -> dict[str, Any]:
        return self._form(self.journal.tail(number))

    async def changed(self, cursor: str, seconds: float) -> None:
        await self.journal.changed(cursor, seconds)

    def wake(self) -> None:
        self.journal.wake()

    def _form(self, page: Page[str]) -> dict[str, Any]:
        entries = [text for _, text in page.entries]
        return {"entries": entries, "cursor": page.cursor, "missed": page.missed, "is_reset": page.is_reset}


class FakeNode:
    """A source with fixed answers; `error` is raised by everything that may raise."""

    metrics_content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self) -> None:
        self.healthy = True
        self.has_chaos = True
        self.ready = True
        self.published: list[dict[str, Json]] = []
        self.waited: list[tuple[str, float]] = []
        self.sent: list[tuple[str, Json, bool, float]] = []
        self.recorded: list[tuple[str, int]] = []
        self.error: PositronError | None = None
        self.messages = FakeFeed()
        self.history = FakeFeed()

    def chaos(self, command: str, body: dict[str, Json]) -> dict[str, Any] | None:
        if self.error is not None:
            raise self.error
        return {"command": command, "body": body} if self.has_chaos else None

    async def render_metrics(self) -> bytes:
        return b"positron_ready 1\n"

    def is_healthy(self) -> bool:
        return self.healthy

    def is_ready(self) -> bool:
        return self.ready

    def node(self) -> dict[str, Json]:
        return {"name": "node-1"}

    def stats(self) -> dict[str, Json]:
        return {"node_id": "00"}

    def peers(self) -> list[Json]:
        return [{"name": "node-2"}]

    def peer(self, name: str) -> dict[str, Json]:
        self._fail()
        return {"name": name}

    def qlog(self, name: str) -> bytes:
        self._fail()
        return b'\x1e{"title": "' + name.encode() + b'"}\n'

    def record(self, name: str, bytes_max: int) -> bool:
        self._fail()
        self.recorded.append((name, bytes_max))
        return len(self.recorded) > 1

    def links(self) -> list[Json]:
        return [{"transport": "udp"}]

    def trust(self) -> dict[str, Json]:
        return {"peers": []}

    async def broadcast(self, payload: dict[str, Json], *, wait: str, timeout: float) -> str:
        self._fail()
        self.published.append(payload)
        self.waited.append((wait, timeout))
        return "ab" * 16

    async def send(self, to: str, data: Json, *, reliable: bool, timeout: float) -> dict[str, Json]:
        self._fail()
        self.sent.append((to, data, reliable, timeout))
        return {"to": to}

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


@asynccontextmanager
async def serving(source: FakeNode, access: Access | None = None) -> AsyncIterator[aiohttp.ClientSession]:
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = ApiServer(source, access)
    await server.start(listener)
    try:
        async with aiohttp.ClientSession(url) as session:
            yield session
    finally:
        await server.stop()


async def problem_of(response: aiohttp.ClientResponse) -> tuple[int, str]:
    assert response.content_type == "application/problem+json"
    body = await response.json()
    assert body["status"] == response.status
    assert set(body) == {"type", "title", "status", "detail"}
    return response.status, body["detail"]
