"""The server of the live page, over real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from node.testnet.errors import TestnetFailed
from node.testnet.web import server
from node.testnet.web.server import HOST, WebServer
from tests.testnet.web.test_live import exposition

pytestmark = [pytest.mark.loopback, pytest.mark.asyncio]


@asynccontextmanager
async def served() -> AsyncIterator[tuple[WebServer, aiohttp.ClientSession]]:
    """A server whose testnet has two nodes, and a client of it."""
    web = WebServer(lambda: {"a": exposition("a", loss=0.25), "b": exposition("b")}, {}, "t")
    port = await web.start(0)
    try:
        async with aiohttp.ClientSession(f"http://{HOST}:{port}") as client:
            yield web, client
    finally:
        await web.stop()


async def event(answer: aiohttp.ClientResponse) -> dict[str, object]:
    async with asyncio.timeout(20):
        assert await answer.content.readline() == b"event: board\n"
        data = await answer.content.readline()
        assert await answer.content.readline() == b"\n"
    told: dict[str, object] = json.loads(data.removeprefix(b"data: "))
    return told


async def test_the_home_is_the_overview_and_every_board_has_an_address() -> None:
    async with served() as (_, client):
        async with client.get("/") as answer:
            assert answer.url.path == "/overview"
            assert answer.status == 200
            assert "script-src 'sha256-" in answer.headers["Content-Security-Policy"]
            assert "testnet t: 2 of 2 nodes answer, scrape 1" in await answer.text()
        for uid in ("node", "links", "link", "gossip", "chaos"):
            async with client.get(f"/{uid}") as answer:
                assert answer.status == 200
        async with client.get("/nix") as answer:
            assert answer.status == 404
            assert "/overview" in await answer.text()


async def test_each_scrape_is_an_event() -> None:
    async with served() as (web, client), client.get("/events/chaos") as answer:
        assert answer.content_type == "text/event-stream"
        first = await event(answer)
        assert str(first["state"]).endswith("scrape 1")
        async with asyncio.TaskGroup() as group:
            follower = group.create_task(web.follow())
            second = await event(answer)
            follower.cancel()
        assert str(second["state"]).endswith("scrape 2")
        panels = second["panels"]
        assert isinstance(panels, dict)
        assert "25 %" in panels["2"] or "a applied" in panels["2"]


async def test_a_page_that_leads_here_by_name_is_refused() -> None:
    async with served() as (_, client):
        for path in ("/overview", "/events/overview", "/"):
            async with client.get(path, headers={"Host": "evil.example.com"}) as answer:
                assert answer.status == 403
        async with client.get("/overview", headers={"Host": "localhost"}) as answer:
            assert answer.status == 200


async def test_there_is_a_bound_of_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "READERS_MAX", 1)
    async with served() as (web, client):
        async with client.get("/events/chaos") as first:
            await event(first)
            async with client.get("/events/chaos") as second:
                assert second.status == 503
        # Who left makes room, with the next event at the latest.
        async with asyncio.timeout(20):
            while True:
                await web._look(asyncio.get_running_loop().time())
                async with client.get("/events/chaos") as third:
                    if third.status == 200:
                        break


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        web = WebServer(dict, {}, "t")
        with pytest.raises(TestnetFailed, match=f"--port {port}: {HOST}:{port} cannot be listened at"):
            await web.start(port)
        await web.stop()
