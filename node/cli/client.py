"""Asks a running node over HTTP and turns every way in which that can go wrong into one line.

Knows the paths of the API and nothing of what the answers mean. Uses the standard library alone, so that a command
that asks one question starts fast.
"""

from __future__ import annotations

import errno
import http.client
import json
import math
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from node.cli.errors import CommandFailed, CommandMisused, NodeRefused

__all__ = ["Client"]

TIMEOUT = 5.0
"""Seconds to wait for a node on this machine or in the same data centre."""

ANSWER_BYTES_MAX = 64 << 20
"""More than the statistics of the largest node; whatever sends more is something else."""

_MARKS = {
    "stats": "node_id",
    "peers": "peers",
    "trust": "peers",
    "messages": "messages",
    "broadcast": "message_id",
    "send": "to",
}
"""A member of every node's answer, by the last word of the path; what answers without it is something else."""


class Client:
    """Speaks to the node at `url`, such as http://127.0.0.1:9464. token: the bearer token that it asks for, or ""."""

    def __init__(self, url: str, *, token: str = "") -> None:
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            parts = urlsplit(self.url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
            parts = urlsplit("")
        is_visible = self.url.isascii() and self.url.isprintable() and " " not in self.url
        extra = parts.query or parts.fragment or parts.username
        if parts.scheme != "http" or not host or port == 0 or extra or not is_visible:
            raise CommandMisused(f"url {url!r}: allowed is http://HOST:PORT")
        self._host = host
        self._port = port or 80
        self._prefix = parts.path

    def get(self, path: str, *, seconds: float = 0.0) -> dict[str, Any]:
        """The JSON object at `path`. seconds: that the node may wait before it answers.

        Raises CommandMisused if the node says that such a question cannot be, NodeRefused if it does not answer it, and
        CommandFailed if no node is there.
        """
        return self._parse(path, *self._ask("GET", path, None, TIMEOUT + seconds))

    def fetch(self, path: str) -> bytes:
        """The file at `path`, whatever is in it; as `get`."""
        status, content = self._ask("GET", path, None, TIMEOUT)
        if status >= 400:
            self._parse(path, status, content)
        return content

    def post(self, path: str, body: bytes, *, seconds: float = 0.0) -> dict[str, Any]:
        """The JSON object that the node answers to the JSON document `body`; as `get`."""
        return self._parse(path, *self._ask("POST", path, body, TIMEOUT + seconds))

    def _ask(self, method: str, path: str, body: bytes | None, timeout: float) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        headers = self._headers | ({"Content-Type": "application/json"} if body is not None else {})
        try:
            _connect(connection, timeout)
            with _patience(connection.sock, timeout):
                connection.request(method, self._prefix + path, body, headers)
                response = connection.getresponse()
                content = response.read(ANSWER_BYTES_MAX)
                status = response.status
                if response.length:
                    raise http.client.IncompleteRead(content, response.length)
        except (OSError, http.client.HTTPException) as error:
            raise CommandFailed(
                f"no node answers at {self.url}: {_reason(error, timeout)}; "
                "choose another with --port, --url or POSITRON_URL"
            ) from error
        finally:
            connection.close()
        return status, content

    def _parse(self, path: str, status: int, content: bytes) -> dict[str, Any]:
        mark = _MARKS.get(urlsplit(path).path.rpartition("/")[2], "")
        try:
            answer = json.loads(content, parse_constant=_finite, parse_float=_finite, parse_int=_whole)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict) or (status < 400 and mark and mark not in answer):
            raise CommandFailed(f"what answers at {self.url} is no node (status {status})")
        if status < 400:
            return answer
        detail = str(answer.get("detail", "no reason given"))
        if status == 401 and self._headers:
            detail = "the token that was given is not its own"
        elif status == 401:
            detail = "it asks for its token; give it with --api-token-file or POSITRON_API_TOKEN"
        verb = "gave up waiting" if status == 504 else "refused"
        kind = CommandMisused if status == 400 else NodeRefused
        raise kind(f"the node at {self.url} {verb} (status {status}): {_printable(detail[:1000])}")


def _printable(text: str) -> str:
    """One line that moves no cursor and paints nothing: whatever answers may have written it."""
    return "".join(character if character.isprintable() else "?" for character in " ".join(text.split()))


def _connect(connection: http.client.HTTPConnection, seconds: float) -> None:
    """Connects within that time, which the limit of a socket does not hold a name server to; OSError."""
    failures: list[OSError] = []

    def connect() -> None:
        try:
            connection.connect()
        except OSError as error:
            failures.append(error)
        except UnicodeError:
            failures.append(OSError(errno.EINVAL, "that is no host name"))

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError
    if failures:
        raise failures[0]


@contextmanager
def _patience(sock: socket.socket, seconds: float) -> Iterator[None]:
    """Cuts the connection after that time: the socket's own limit begins anew with every byte. TimeoutError."""
    is_over = threading.Event()

    def cut() -> None:
        is_over.set()
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if is_over.is_set():
            # What else the block met was caused by the cut.
            raise TimeoutError


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number of JSON")
    return number


def _whole(text: str) -> int:
    number = int(text)
    if abs(number) >= 1 << 64:
        raise ValueError("no number of a node is as large")
    return number


def _reason(error: OSError | http.client.HTTPException, timeout: float) -> str:
    match error:
        case TimeoutError():
            return f"no answer within {timeout:g} seconds"
        case http.client.RemoteDisconnected() | http.client.IncompleteRead() | ConnectionResetError():
            return "the connection was closed before there was an answer"
        case http.client.HTTPException():
            return "what answers there does not speak HTTP"
        case _:
            return (error.strerror or type(error).__name__).lower()
