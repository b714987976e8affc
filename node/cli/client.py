"""Asks a running node over HTTP and turns every way in which that can go wrong into one line.

Knows the paths of the API and nothing of what the answers mean. Uses the standard library alone, so that a command
that asks one question starts fast.
"""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from node.cli.errors import CommandFailed, CommandMisused

__all__ = ["Client"]

TIMEOUT = 5.0
"""Seconds to wait for a node on this machine or in the same data centre."""

ANSWER_BYTES_MAX = 64 << 20
"""More than the statistics of the largest node; whatever sends more is something else."""


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
        if parts.scheme != "http" or not host or parts.query or parts.fragment or parts.username:
            raise CommandMisused(f"url {url!r}: allowed is http://HOST:PORT")
        self._host = host
        self._port = port or 80
        self._prefix = parts.path

    def get(self, path: str, *, seconds: float = 0.0) -> dict[str, Any]:
        """The JSON object at `path`; raises CommandFailed. seconds: that the node may wait before it answers."""
        return self._ask("GET", path, None, TIMEOUT + seconds)

    def post(self, path: str, body: bytes, *, seconds: float = 0.0) -> dict[str, Any]:
        """The JSON object that the node answers to the JSON document `body`; as `get`."""
        return self._ask("POST", path, body, TIMEOUT + seconds)

    def _ask(self, method: str, path: str, body: bytes | None, timeout: float) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        headers = self._headers | ({"Content-Type": "application/json"} if body is not None else {})
        try:
            connection.request(method, self._prefix + path, body, headers)
            response = connection.getresponse()
            content = response.read(ANSWER_BYTES_MAX)
            status = response.status
        except (OSError, http.client.HTTPException) as error:
            raise CommandFailed(
                f"no node answers at {self.url}: {_reason(error, timeout)}; "
                "choose another with --port, --url or POSITRON_URL"
            ) from error
        finally:
            connection.close()
        return self._parse(status, content)

    def _parse(self, status: int, content: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise CommandFailed(f"what answers at {self.url} is no node (status {status})") from error
        if not isinstance(answer, dict):
            raise CommandFailed(f"what answers at {self.url} is no node (status {status})")
        if status >= 400:
            detail = str(answer.get("detail", "no reason given"))
            if status == 401:
                detail = "it asks for its token; give it with --api-token-file or POSITRON_API_TOKEN"
            verb = "gave up waiting" if status == 504 else "refused"
            raise CommandFailed(f"the node at {self.url} {verb} (status {status}): {detail[:1000]}")
        return answer


def _reason(error: OSError | http.client.HTTPException, timeout: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout:g} seconds"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return type(error).__name__
