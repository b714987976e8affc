"""One client's connection to the HTTP side: what is no request gets a problem document all the same.

Knows nothing of nodes. The library reads and writes; this says how it answers what it cannot read, and what of that is
worth a line in the log: only what is a defect of ours.
"""

from __future__ import annotations

import logging
from http import HTTPStatus

from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import HttpProcessingError

from node.api.limits import BODY_BYTES_MAX
from node.api.problems import TOO_LARGE, problem

__all__ = ["Connection", "expect", "is_defect"]


class Connection(web.RequestHandler):
    """See the module."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is answered when a request could not be read (400), or its handler failed (500)."""
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self.log_exception("request failed", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("a part of another answer is sent already")
        detail = "this node has failed; its log says how" if message is None else " ".join(message.split())[:200]
        response = problem(HTTPStatus(status), detail)
        response.force_close()
        return response


async def expect(request: web.Request) -> web.StreamResponse | None:
    """Tells a client that waits with its body to go on (RFC 9110 §10.1.1); a problem if it need not send it."""
    expected = request.headers.get("Expect", "")
    if expected.lower() != "100-continue":
        return problem(HTTPStatus.EXPECTATION_FAILED, f"Expect: {expected[:80]}: allowed is 100-continue")
    if (request.content_length or 0) > BODY_BYTES_MAX:
        return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, TOO_LARGE)
    if request.version == HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # That was no part of an answer yet.
        request.writer.output_size = 0
    return None


def is_defect(record: logging.LogRecord) -> bool:
    """False for what the library says about a client that speaks no HTTP, or that is gone."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError | ConnectionError)
