"""Serves the live page on loopback: one scrape of all nodes a second, and its pictures as server-sent events.

Only 127.0.0.1, no change to anything, a bounded number of readers; whoever does not read is cut off, and a page of
another origin that leads here by name is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from node.api.access import Access
from node.api.problems import RequestProblem
from node.testnet.boards import BOARDS
from node.testnet.boards.spec import Board
from node.testnet.errors import TestnetFailed
from node.testnet.web.live import Live, board_of
from node.testnet.web.page import POLICY, render_page

__all__ = ["HOST", "WebServer"]

HOST = "127.0.0.1"
READERS_MAX = 16
"""Browsers that follow at once; each costs a picture a second."""

WRITE_TIMEOUT = 10.0
INTERVAL = 1.0
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

Scrape = Callable[[], dict[str, str | None]]


class WebServer:
    """scrape: asks every node for its metrics; runs in a thread, and may take its time. name: of the testnet."""

    def __init__(self, scrape: Scrape, rules: Mapping[str, str], name: str) -> None:
        self._scrape = scrape
        self._name = name
        self._live = Live(rules)
        self._readers = 0
        self._news = asyncio.Condition()
        # Drawing happens in a thread, beside the scrapes, and neither may see the other's half-done work.
        self._drawing = asyncio.Lock()
        self._drawn: dict[tuple[str, tuple[tuple[str, str], ...]], tuple[int, str]] = {}
        self._runner: web.AppRunner | None = None
        self._began = time.monotonic()

    async def start(self, port: int) -> int:
        """Takes a first scrape and listens; the port, which is any free one for 0. TestnetFailed if it is taken."""
        app = web.Application(middlewares=[_guarded(Access())])
        app.add_routes(
            [
                web.get("/", self._home),
                web.get("/events/{board}", self._events),
                web.get("/{board}", self._page),
            ]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, HOST, port)
        try:
            await site.start()
        except OSError as error:
            await runner.cleanup()
            raise TestnetFailed(f"--port {port}: {HOST}:{port} cannot be listened at: {error.strerror}") from error
        self._runner = runner
        await self._look(self._began)
        bound: int = runner.addresses[0][1]
        return bound

    async def follow(self) -> None:
        """One scrape a second, for ever."""
        while True:
            turn = time.monotonic()
            await self._look(turn)
            await asyncio.sleep(max(INTERVAL / 10, turn + INTERVAL - time.monotonic()))

    async def stop(self) -> None:
        """Cuts every reader off and lets the port go."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _look(self, now: float) -> None:
        texts = await asyncio.to_thread(self._scrape)
        async with self._drawing:
            await asyncio.to_thread(self._live.take, now - self._began, texts)
        async with self._news:
            self._news.notify_all()

    # --- answers ----------------------------------------------------------------------------------------------------

    async def _home(self, _request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(f"/{BOARDS[0].uid}")

    async def _page(self, request: web.Request) -> web.StreamResponse:
        board = _board(request)
        async with self._drawing:
            choices = self._live.choices(board, request.query)
            nodes, peers = self._live.nodes(), self._live.peers()
            drawings = await asyncio.to_thread(self._live.drawings, board, choices)
        options = {"node": {name: name for name in nodes}, "peer": peers}
        page = render_page(board, drawings, self._state(), options, choices)
        return web.Response(text=page, content_type="text/html", headers=_HEADERS)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        board = _board(request)
        if self._readers >= READERS_MAX:
            raise web.HTTPServiceUnavailable(text=f"{READERS_MAX} readers follow already\n")
        self._readers += 1
        try:
            response = web.StreamResponse(headers=_HEADERS | {"Content-Type": "text/event-stream"})
            await response.prepare(request)
            # A reader that is gone or does not read is no failure of ours.
            with contextlib.suppress(ConnectionError, TimeoutError):
                while True:
                    event = await self._event(board, request.query)
                    async with asyncio.timeout(WRITE_TIMEOUT):
                        await response.write(event)
                    async with self._news:
                        await self._news.wait()
        finally:
            self._readers -= 1
        return response

    async def _event(self, board: Board, asked: Mapping[str, str]) -> bytes:
        """The latest picture; those who look at the same share it."""
        async with self._drawing:
            choices = self._live.choices(board, asked)
            key = (board.uid, tuple(sorted(choices.items())))
            number, drawn = self._drawn.get(key, (-1, ""))
            if number != self._live.scrapes:
                panels = await asyncio.to_thread(self._live.drawings, board, choices)
                drawn = json.dumps({"state": self._state(), "panels": panels})
                self._drawn = {other: one for other, one in self._drawn.items() if one[0] >= self._live.scrapes - 1}
                self._drawn[key] = (self._live.scrapes, drawn)
        return f"event: board\ndata: {drawn}\n\n".encode()

    def _state(self) -> str:
        up, known = self._live.up()
        return f"testnet {self._name}: {up} of {known} nodes answer, scrape {self._live.scrapes}"


def _board(request: web.Request) -> Board:
    uid = request.match_info["board"]
    board = board_of(uid)
    if board is None:
        known = ", ".join(f"/{one.uid}" for one in BOARDS)
        raise web.HTTPNotFound(text=f"there is no board {uid[:40]!r}; there are {known}\n")
    return board


def _guarded(access: Access) -> Callable[..., Awaitable[web.StreamResponse]]:
    @web.middleware
    async def guard(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            access.check_host(request.headers.get("Host"))
        except RequestProblem as problem:
            raise web.HTTPForbidden(text=f"ask for {HOST} or localhost\n") from problem
        return await handler(request)

    return guard
