"""The HTTP side of a node: serves the table of routes on one socket, within bounds, to whom it may concern.

It listens on a socket that the node's shell has bound, answers on the same event loop, and says every error as a
problem document, never as a traceback. What is answered is `node.api.handlers`' affair.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TypeAlias

from aiohttp import web

from node.api.acceptor import Acceptor
from node.api.access import Access
from node.api.connection import Connection, expect, is_defect
from node.api.handlers import Handlers, Source
from node.api.limits import BODY_BYTES_MAX
from node.api.problems import TOO_LARGE, RequestProblem, problem
from node.api.routes import ROUTES, Route
from node.api.validation import parse_query

__all__ = ["ApiServer", "Source"]

STOP_TIMEOUT = 0.2
"""Seconds that open requests have to end when the node stops."""

KEEPALIVE = 15.0
"""Seconds that an idle connection stays open: longer than any usual scrape interval below it."""

HEAD_TIMEOUT = 10.0
"""Seconds that a new connection has to send the head of its first request."""

READER_TIMEOUT = 20.0
"""Seconds that a client may take nothing of an answer before its connection is cut."""

CONNECTIONS_MAX = 512
"""Open connections at once: half of the usual 1024 descriptors, so that the peers keep the other half."""

_logger = logging.getLogger("node.api")

_Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ApiServer:
    """Serves one node on one bound socket, which it owns from `start` on. access: who may ask; anybody if not given."""

    def __init__(self, source: Source, access: Access | None = None) -> None:
        self._source = source
        self._handlers = Handlers(source)
        self._access = access or Access()
        self._runner: web.AppRunner | None = None
        self._acceptor: Acceptor | None = None
        self._silent: dict[object, None] = {}

    async def start(self, listener: socket.socket) -> None:
        """Begins to serve on `listener`, a bound TCP socket."""
        application = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[self._guard])
        for route in ROUTES:
            handler = self._handler(route)
            # What can be had can be asked after without its content (RFC 9110 §9.3.2), as probes of health do.
            for method in (route.method, "HEAD") if route.method == "GET" else (route.method,):
                application.router.add_route(method, route.path, handler, expect_handler=expect)
        self._runner = web.AppRunner(application, handle_signals=False, shutdown_timeout=STOP_TIMEOUT)
        await self._runner.setup()
        server = self._runner.server
        assert server is not None
        _limit_slow_readers(listener)

        loop = asyncio.get_running_loop()

        def protocol() -> asyncio.BaseProtocol:
            made = Connection(
                server,
                loop=loop,
                access_log=None,  # type: ignore[arg-type]  # the library takes it, and then keeps no such log
                keepalive_timeout=KEEPALIVE,
                logger=_logger,
                # What is packed could be a thousand times as large as what was sent.
                auto_decompress=False,
            )
            self._silent[made] = None
            loop.call_later(HEAD_TIMEOUT, self._cut_if_silent, made)
            return made

        self._acceptor = Acceptor(listener, protocol, has_room=lambda: len(server.connections) < CONNECTIONS_MAX)
        self._acceptor.start()

    async def stop(self) -> None:
        """Closes the socket and every connection; harmless when not started."""
        if self._acceptor is not None:
            await self._acceptor.stop()
            self._acceptor = None
        if self._runner is not None:
            self._source.messages.wake()
            self._source.history.wake()
            await self._runner.cleanup()
            self._runner = None

    def _cut_if_silent(self, protocol: web.RequestHandler) -> None:
        if protocol in self._silent:
            del self._silent[protocol]
            protocol.force_close()

    def _handler(self, route: Route) -> _Handler:
        answer = getattr(self._handlers, route.name)

        async def handle(request: web.Request) -> web.StreamResponse:
            if not route.is_open:
                self._access.check_target(request.raw_path, request.headers.get("Host"))
                self._access.check_token(request.headers.get("Authorization"))
            if route.body is not None:
                self._access.check_origin(request.headers.get("Origin"))
            found: web.StreamResponse = await answer(request, parse_query(route, request.query.items()))
            return found

        return handle

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Says every error of a client as a problem document; bugs of ours stay exceptions for the log."""
        self._silent.pop(request.protocol, None)
        try:
            return await handler(request)
        except RequestProblem as error:
            response = problem(error.status, error.detail, error.members)
            if error.status == HTTPStatus.UNAUTHORIZED:
                response.headers["WWW-Authenticate"] = "Bearer"
            return response
        except web.HTTPException as error:
            return _restate(request, error)


def _limit_slow_readers(listener: socket.socket) -> None:
    """Accepted connections inherit it: the kernel cuts one whose answers nobody takes (tcp(7), TCP_USER_TIMEOUT)."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(READER_TIMEOUT * 1000))


_logger.addFilter(is_defect)


def _restate(request: web.Request, error: web.HTTPException) -> web.Response:
    match error:
        case web.HTTPRequestEntityTooLarge():
            detail = TOO_LARGE
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            detail = f"{error.method[:20]} is not possible here; allowed is {allowed}"
        case web.HTTPNotFound():
            detail = "there is nothing here; /api/v1/openapi.json says what there is"
        case _:
            detail = error.reason
    response = problem(HTTPStatus(error.status), detail)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response
