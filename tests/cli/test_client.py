from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from node.cli.client import Client
from node.cli.errors import CommandFailed, CommandMisused

pytestmark = pytest.mark.loopback


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def test_an_object_is_returned() -> None:
    with answering(200, b'{"peers": []}') as url:
        assert Client(url).get("/api/v1/peers") == {"peers": []}


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, b"<html>", "is no node (status 200)"),
        (200, b"[]", "is no node (status 200)"),
        (504, b'{"detail": "2 acknowledged"}', "gave up waiting (status 504): 2 acknowledged"),
        (503, b'{"detail": "the node is not running"}', "refused (status 503): the node is not running"),
        (500, b"500 Internal Server Error", "is no node (status 500)"),
        (200, b"[" * 100_000 + b"]" * 100_000, "is no node (status 200)"),
    ],
)
def test_every_other_answer_is_one_line(status: int, body: bytes, words: str) -> None:
    with answering(status, body) as url, pytest.raises(CommandFailed) as caught:
        Client(url).get("/api/v1/peers")

    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_node_is_one_line_that_says_where_it_was_looked_for_and_how_to_look_elsewhere() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    with pytest.raises(CommandFailed) as caught:
        Client(f"http://127.0.0.1:{port}").get("/api/v1/stats")

    assert str(caught.value) == (
        f"no node answers at http://127.0.0.1:{port}: connection refused; "
        "choose another with --port, --url or POSITRON_URL"
    )


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:9464", "https://127.0.0.1", "http://", "http://[::1", "http://h:99999", "ftp://x", "http://u@h"],
)
def test_an_impossible_url_is_a_misuse(url: str) -> None:
    with pytest.raises(CommandMisused, match="allowed is http://HOST:PORT"):
        Client(url)
