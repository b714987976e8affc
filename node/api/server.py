"""The HTTP side of a node: metrics, health, statistics, and a way to broadcast; the only module with aiohttp routes.

Knows the node only as a `Source` of ready answers. It listens on a socket that the node's shell has bound, answers on
the same event loop, and says every error as a problem document, never as a traceback.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Protocol, TypeAlias

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from node.api.acceptor import Acceptor
from node.api.limits import BODY_BYTES_MAX
from node.api.problems import Json, RequestProblem, parse_object, problem
from node.errors import NotRunning, PositronError, QueueFull, UsageError

__all__ = ["ApiServer", "Source"]

BODY_TIMEOUT = 5.0
"""Seconds that a client has to send its body."""

STOP_TIMEOUT = 0.2
"""Seconds that open requests have to end when the node stops."""

KEEPALIVE = 15.0
"""Seconds that an idle connection stays open: longer than any usual scrape interval below it."""

CONNECTIONS_MAX = 512
"""Open connections at once: half of the usual 1024 descriptors, so that the peers keep the other half."""

BODIES_MAX = 64
"""Bodies that arrive at once, of BODY_BYTES_MAX each; more are told to come back. Nothing else takes time to answer."""

_logger = logging.getLogger("node.api")

_Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Source(Protocol):
    """What the server may ask of a node; everything is ready at once, nothing raises but `broadcast`."""

    metrics_content_type: str

    def render_metrics(self) -> bytes: ...
    def is_healthy(self) -> bool: ...
    def is_ready(self) -> bool: ...
    def stats(self) -> dict[str, Json]: ...
    def peers(self) -> list[Json]: ...
    def publish(self, payload: dict[str, Json]) -> str: ...


class ApiServer:
    """Serves one node on one bound socket, which it owns from `start` on."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._runner: web.AppRunner | None = None
        self._acceptor: Acceptor | None = None
        self._bodies = 0

    async def start(self, listener: socket.socket) -> None:
        """Begins to serve on `listener`, a bound TCP socket."""
        application = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[self._guard])
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/api/v1/stats", self._stats)
        application.router.add_get("/api/v1/peers", self._peers)
        application.router.add_post("/api/v1/broadcast", self._broadcast)
        self._runner = web.AppRunner(
            application,
            access_log=None,
            handle_signals=False,
            keepalive_timeout=KEEPALIVE,
            shutdown_timeout=STOP_TIMEOUT,
            logger=_logger,
        )
        await self._runner.setup()
        server = self._runner.server
        assert server is not None
        self._acceptor = Acceptor(listener, server, has_room=lambda: len(server.connections) < CONNECTIONS_MAX)
        self._acceptor.start()

    async def stop(self) -> None:
        """Closes the socket and every connection; harmless when not started."""
        if self._acceptor is not None:
            await self._acceptor.stop()
            self._acceptor = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Says every error of a client as a problem document; bugs of ours stay exceptions for the log."""
        try:
            return await handler(request)
        except RequestProblem as error:
            return problem(error.status, error.detail)
        except web.HTTPException as error:
            return _restate(request, error)

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        response = web.Response(body=self._source.render_metrics())
        response.headers["Content-Type"] = self._source.metrics_content_type
        return response

    async def _healthz(self, request: web.Request) -> web.StreamResponse:
        return _claim(self._source.is_healthy(), "ok", "the node is not running")

    async def _readyz(self, request: web.Request) -> web.StreamResponse:
        return _claim(self._source.is_ready(), "ready", "the node has no active peer yet")

    async def _stats(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self._source.stats())

    async def _peers(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"peers": self._source.peers()})

    async def _broadcast(self, request: web.Request) -> web.StreamResponse:
        # A page in a browser on this machine could reach a loopback port; a program sends no Origin, and a page
        # cannot send this content type to another origin without asking first.
        if "Origin" in request.headers:
            raise RequestProblem(HTTPStatus.FORBIDDEN, "requests from web pages are not allowed")
        if request.content_type != "application/json":
            raise RequestProblem(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                f"the content type is {request.content_type[:80]}; allowed is application/json",
            )
        payload = parse_object(await self._body(request))
        return web.json_response({"message_id": self._publish(payload)}, status=HTTPStatus.ACCEPTED)

    async def _body(self, request: web.Request) -> bytes:
        if self._bodies >= BODIES_MAX:
            raise RequestProblem(
                HTTPStatus.SERVICE_UNAVAILABLE, f"more than {BODIES_MAX} bodies arrive at once; try again"
            )
        self._bodies += 1
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                return await request.read()
        except TimeoutError as error:
            raise RequestProblem(
                HTTPStatus.REQUEST_TIMEOUT, f"the body did not arrive within {BODY_TIMEOUT:g} seconds"
            ) from error
        finally:
            self._bodies -= 1

    def _publish(self, payload: dict[str, Json]) -> str:
        try:
            return self._source.publish(payload)
        except (NotRunning, QueueFull) as error:
            raise RequestProblem(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from error
        except UsageError as error:
            raise RequestProblem(HTTPStatus.BAD_REQUEST, str(error)) from error
        except PositronError as error:
            raise RequestProblem(HTTPStatus.BAD_GATEWAY, str(error)) from error


def _is_ours(record: logging.LogRecord) -> bool:
    """False for what the library says about a client that does not speak HTTP: it has had its answer."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)


_logger.addFilter(_is_ours)


def _claim(holds: bool, word: str, otherwise: str) -> web.Response:
    if holds:
        return web.json_response({"status": word})
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, otherwise)


def _restate(request: web.Request, error: web.HTTPException) -> web.Response:
    match error:
        case web.HTTPRequestEntityTooLarge():
            detail = f"the body is too large; allowed are at most {BODY_BYTES_MAX} bytes"
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            detail = f"{error.method[:20]} is not possible here; allowed is {allowed}"
        case web.HTTPNotFound():
            detail = "there is nothing here; see /metrics, /healthz, /readyz, /api/v1/stats, /api/v1/peers"
        case _:
            detail = error.reason
    response = problem(HTTPStatus(error.status), detail)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response
