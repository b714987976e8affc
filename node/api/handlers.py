"""Answers each route of the table from a `Source`: one method per route, named as the route.

Knows the node only as a `Source` of ready answers. Whatever waits for something (news, a body, a peer) does so in a
bounded number and for a bounded time, so that it never holds up another request.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from http import HTTPStatus
from typing import Any, Protocol, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from node.api.limits import BODY_BYTES_MAX
from node.api.openapi import description
from node.api.problems import TOO_LARGE, Json, RequestProblem, parse_object, problem
from node.api.routes import QLOG
from node.api.schemas import CHAOS_COMMANDS, SCHEMAS
from node.api.validation import check_body
from node.errors import (
    AmbiguousPeer,
    ConnectionFailed,
    NotRunning,
    PositronError,
    QueueFull,
    ReceiptTimeout,
    SendTimeout,
    UnknownPeer,
    UsageError,
)

__all__ = ["BODIES_MAX", "Feed", "Handlers", "Query", "Source"]

BODY_TIMEOUT = 5.0
"""Seconds that a client has to send its body."""

BODIES_MAX = 64
"""Bodies that arrive at once, of BODY_BYTES_MAX each; more are told to come back."""

WAITS_MAX = 64
"""Questions that wait for news at once; more are told to come back."""

SENDS_MAX = 256
"""Sends that wait for their acknowledgement at once; more are told to come back."""

TURN_CHARACTERS = 1 << 16
"""Of JSON that are made before the event loop goes on with something else: a millisecond or two."""

Query = dict[str, Json]


class Feed(Protocol):
    """A journal, as pages."""

    def page(self, after: str | None, limit: int) -> dict[str, Any]: ...
    def tail(self, number: int) -> dict[str, Any]: ...
    async def changed(self, cursor: str, seconds: float) -> None: ...
    def wake(self) -> None: ...


class Source(Protocol):
    """What the API may ask of a node. `peer`, `qlog`, `record`, `chaos`, `broadcast` and `send` raise PositronError."""

    metrics_content_type: str

    @property
    def messages(self) -> Feed: ...
    @property
    def history(self) -> Feed: ...
    async def render_metrics(self) -> bytes: ...
    def is_healthy(self) -> bool: ...
    def is_ready(self) -> bool: ...
    def node(self) -> dict[str, Json]: ...
    def stats(self) -> dict[str, Json]: ...
    def peers(self) -> list[Json]: ...
    def peer(self, name: str) -> dict[str, Json]: ...
    def qlog(self, name: str) -> bytes: ...
    def record(self, name: str, bytes_max: int) -> bool: ...
    def links(self) -> list[Json]: ...
    def trust(self) -> dict[str, Json]: ...
    def chaos(self, command: str, body: dict[str, Json]) -> dict[str, Any] | None: ...
    async def broadcast(self, payload: dict[str, Json], *, wait: str, timeout: float) -> str: ...  # noqa: ASYNC109
    async def send(self, to: str, data: Json, *, reliable: bool, timeout: float) -> dict[str, Json]: ...  # noqa: ASYNC109


class Handlers:
    """The handlers of one node's API."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._bodies = _Room(BODIES_MAX, "bodies arrive")
        self._waits = _Room(WAITS_MAX, "questions wait")
        self._sends = _Room(SENDS_MAX, "sends are under way")
        # One page at a time: a hundred of them would take a hundred turns in a row.
        self._paging = asyncio.Lock()

    async def metrics(self, request: web.Request, query: Query) -> web.StreamResponse:
        response = web.Response(body=await self._source.render_metrics())
        response.headers["Content-Type"] = self._source.metrics_content_type
        return response

    async def healthz(self, request: web.Request, query: Query) -> web.StreamResponse:
        return _claim(self._source.is_healthy(), "ok", "the node is not running")

    async def readyz(self, request: web.Request, query: Query) -> web.StreamResponse:
        return _claim(self._source.is_ready(), "ready", "the node has no active peer yet")

    async def openapi(self, request: web.Request, query: Query) -> web.StreamResponse:
        return web.json_response(description())

    async def node(self, request: web.Request, query: Query) -> web.StreamResponse:
        return _json(self._source.node())

    async def stats(self, request: web.Request, query: Query) -> web.StreamResponse:
        return _json(self._source.stats())

    async def peers(self, request: web.Request, query: Query) -> web.StreamResponse:
        return _json({"peers": self._source.peers()})

    async def peer(self, request: web.Request, query: Query) -> web.StreamResponse:
        with _problems():
            return _json(self._source.peer(request.match_info["peer"]))

    async def qlog(self, request: web.Request, query: Query) -> web.StreamResponse:
        with _problems():
            return web.Response(body=self._source.qlog(request.match_info["peer"]), content_type=QLOG)

    async def record(self, request: web.Request, query: Query) -> web.StreamResponse:
        body: dict[str, Any] = check_body(SCHEMAS["Recording"], await self._object(request))
        with _problems():
            was = self._source.record(request.match_info["peer"], body["bytes_max"] if body["is_recording"] else 0)
        return _json({"is_recording": body["is_recording"], "was_recording": was})

    async def links(self, request: web.Request, query: Query) -> web.StreamResponse:
        return _json({"links": self._source.links()})

    async def trust(self, request: web.Request, query: Query) -> web.StreamResponse:
        return _json(self._source.trust())

    async def messages(self, request: web.Request, query: Query) -> web.StreamResponse:
        return await self._page(self._source.messages, query)

    async def history(self, request: web.Request, query: Query) -> web.StreamResponse:
        return await self._page(self._source.history, query)

    async def chaos(self, request: web.Request, query: Query) -> web.StreamResponse:
        return self._chaos("status", {})

    async def chaos_command(self, request: web.Request, query: Query) -> web.StreamResponse:
        command = request.match_info["command"]
        if command not in CHAOS_COMMANDS:
            raise RequestProblem(HTTPStatus.NOT_FOUND, f"{command[:80]}: allowed is one of {', '.join(CHAOS_COMMANDS)}")
        return self._chaos(command, await self._object(request))

    def _chaos(self, command: str, body: dict[str, Json]) -> web.StreamResponse:
        with _problems():
            answer = self._source.chaos(command, body)
        if answer is None:
            raise RequestProblem(HTTPStatus.NOT_FOUND, "the setting chaos_control is off")
        return _json(answer)

    async def broadcast(self, request: web.Request, query: Query) -> web.StreamResponse:
        payload = await self._object(request)
        wait, timeout = str(query["wait"]), cast("float", query["timeout"])
        is_awaited = wait != "queued"
        with self._sends if is_awaited else nullcontext(), _problems():
            message_id = await self._source.broadcast(payload, wait=wait, timeout=float(timeout))
        return _json({"message_id": message_id}, HTTPStatus.OK if is_awaited else HTTPStatus.ACCEPTED)

    async def send(self, request: web.Request, query: Query) -> web.StreamResponse:
        body: dict[str, Any] = check_body(SCHEMAS["Send"], await self._object(request))
        with self._sends, _problems():
            answer = await self._source.send(
                body["to"], body["data"], reliable=body["reliable"], timeout=float(body["timeout"])
            )
        return _json(answer)

    async def _page(self, feed: Feed, query: dict[str, Any]) -> web.StreamResponse:
        with _problems():
            after: str | None = query.get("after")
            tail: int | None = query.get("tail")
            if tail is not None:
                if after is not None:
                    raise RequestProblem(HTTPStatus.BAD_REQUEST, "after and tail exclude each other")
                return await self._paged(feed.tail(tail))
            page = feed.page(after, query["limit"])
            if query["wait"] > 0 and not page[next(iter(page))]:
                with self._waits:
                    await feed.changed(page["cursor"], query["wait"])
                page = feed.page(page["cursor"], query["limit"]) | {"is_reset": page["is_reset"]}
            return await self._paged(page)

    async def _paged(self, page: dict[str, Any]) -> web.StreamResponse:
        """The page as JSON, made entry by entry, so that the peers get their turn between large ones."""
        name = next(iter(page))
        parts, size = [], 0
        async with self._paging:
            for entry in page[name]:
                parts.append(json.dumps(entry, allow_nan=False))
                size += len(parts[-1])
                if size >= TURN_CHARACTERS:
                    size = 0
                    await asyncio.sleep(0)
        rest = json.dumps({key: value for key, value in page.items() if key != name})
        return web.json_response(text=f'{{"{name}": [{", ".join(parts)}], {rest[1:]}')

    async def _object(self, request: web.Request) -> dict[str, Json]:
        if request.content_type != "application/json":
            raise RequestProblem(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                f"the content type is {request.content_type[:80]}; allowed is application/json",
            )
        encoding = request.headers.get("Content-Encoding", "identity")
        if encoding.lower() != "identity":
            raise RequestProblem(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"the content encoding is {encoding[:80]}; allowed is none"
            )
        if (request.content_length or 0) > BODY_BYTES_MAX:
            # At once, and not when so much of it is here.
            raise RequestProblem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, TOO_LARGE)
        with self._bodies:
            try:
                async with asyncio.timeout(BODY_TIMEOUT):
                    return parse_object(await request.read())
            except (HttpProcessingError, web.RequestPayloadError) as error:
                raise RequestProblem(HTTPStatus.BAD_REQUEST, "the body is not framed as HTTP has it") from error
            except TimeoutError as error:
                raise RequestProblem(
                    HTTPStatus.REQUEST_TIMEOUT, f"the body did not arrive within {BODY_TIMEOUT:g} seconds"
                ) from error


class _Room:
    """Room for a number of requests that wait at once; entering a full one is a problem."""

    def __init__(self, most: int, what: str) -> None:
        self._most = most
        self._what = what
        self._number = 0

    def __enter__(self) -> None:
        if self._number >= self._most:
            raise RequestProblem(
                HTTPStatus.SERVICE_UNAVAILABLE, f"more than {self._most} {self._what} at once; try again"
            )
        self._number += 1

    def __exit__(self, *_: object) -> None:
        self._number -= 1


_STATUS: tuple[tuple[type[PositronError], HTTPStatus], ...] = (
    (NotRunning, HTTPStatus.SERVICE_UNAVAILABLE),
    (QueueFull, HTTPStatus.SERVICE_UNAVAILABLE),
    (UnknownPeer, HTTPStatus.NOT_FOUND),
    (AmbiguousPeer, HTTPStatus.CONFLICT),
    (UsageError, HTTPStatus.BAD_REQUEST),
    (SendTimeout, HTTPStatus.GATEWAY_TIMEOUT),
    (ConnectionFailed, HTTPStatus.BAD_GATEWAY),
    (PositronError, HTTPStatus.BAD_GATEWAY),
)
"""The status of what a node refuses; the first class that fits decides."""


@contextmanager
def _problems() -> Iterator[None]:
    """Says what the node refuses as a problem."""
    try:
        yield
    except PositronError as error:
        status = next(status for kind, status in _STATUS if isinstance(error, kind))
        raise RequestProblem(status, str(error), _progress(error)) from error


def _progress(error: PositronError) -> dict[str, Json]:
    """How far a broadcast came, for a client that goes on with its id."""
    if not isinstance(error, ReceiptTimeout):
        return {}
    return {
        "message_id": error.message_id,
        "acked": error.acked,
        "covered": error.covered,
        "members": error.members,
    }


def _json(answer: object, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    # A number that JSON does not have would be a bug of ours; better no answer than one that no client can read.
    return web.json_response(text=json.dumps(answer, allow_nan=False), status=status)


def _claim(holds: bool, word: str, otherwise: str) -> web.Response:
    if holds:
        return web.json_response({"status": word})
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, otherwise)
