from __future__ import annotations

import http.server
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from node.cli.client import Client
from node.cli.errors import CommandFailed, CommandMisused

pytestmark = pytest.mark.loopback


@contextmanager
def saying(*parts: bytes, is_patient: bool = False) -> Iterator[str]:
    """A server that is none: it reads the question and sends those bytes, the last part again and again if patient."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.recv(65536)
                for part in parts:
                    connection.sendall(part)
                while is_patient and not select.select([connection], [], [], 0.05)[0]:
                    connection.sendall(parts[-1])

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            thread.join()


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


def test_a_file_is_fetched_as_it_is_and_a_refusal_is_quoted() -> None:
    with answering(200, b"\x1e{}\n") as url:
        assert Client(url).fetch("/file") == b"\x1e{}\n"
    refusing = answering(404, b'{"detail": "nothing was recorded"}')
    with refusing as url, pytest.raises(CommandFailed, match="nothing was recorded"):
        Client(url).fetch("/file")


def test_an_object_is_returned() -> None:
    with answering(200, b'{"peers": []}') as url:
        assert Client(url).get("/api/v1/peers") == {"peers": []}


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, b"<html>", "is no node (status 200)"),
        (200, b"[]", "is no node (status 200)"),
        (200, b"{}", "is no node (status 200)"),
        (200, b'{"peers": [], "rtt": NaN}', "is no node (status 200)"),
        (200, b'{"peers": [], "rtt": 1e999}', "is no node (status 200)"),
        (200, b'{"peers": [], "rtt": 1' + b"0" * 400 + b"}", "is no node (status 200)"),
        (302, b"", "is no node (status 302)"),
        (504, b'{"detail": "2 acknowledged"}', "gave up waiting (status 504): 2 acknowledged"),
        (503, b'{"detail": "the node is not running"}', "refused (status 503): the node is not running"),
        (500, b'{"detail": "a\\u001b[31mb"}', "refused (status 500): a?[31mb"),
        (500, b"500 Internal Server Error", "is no node (status 500)"),
        (200, b"[" * 100_000 + b"]" * 100_000, "is no node (status 200)"),
    ],
)
def test_every_other_answer_is_one_line(status: int, body: bytes, words: str) -> None:
    with answering(status, body) as url, pytest.raises(CommandFailed) as caught:
        Client(url).get("/api/v1/peers")

    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"SSH-2.0-OpenSSH_9\r\n", "what answers there does not speak HTTP"),
        (b"", "the connection was closed before there was an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "closed before there was an answer"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{", "closed before there was an answer"),
    ],
)
def test_what_does_not_speak_http_is_said_to_be_no_node(said: bytes, words: str) -> None:
    with saying(said) as url, pytest.raises(CommandFailed, match=words):
        Client(url).get("/api/v1/peers")


def test_a_name_server_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    look_up = socket.getaddrinfo

    def hang(host: str, *arguments: int, **options: int) -> object:
        gate.wait(10)
        return look_up("127.0.0.1", *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr("node.cli.client.TIMEOUT", 0.01)
    try:
        with pytest.raises(CommandFailed, match=r"no answer within 0\.01 seconds"):
            Client("http://seed.example:1").get("/api/v1/stats")
    finally:
        gate.set()


def test_a_name_that_cannot_be_one_is_one_line() -> None:
    with pytest.raises(CommandFailed, match="that is no host name"):
        Client(f"http://{'x' * 64}.example:1").get("/api/v1/stats")


def test_an_answer_that_comes_drop_by_drop_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.cli.client.TIMEOUT", 0.5)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
    with saying(head, b"{", is_patient=True) as url, pytest.raises(CommandFailed, match=r"within 0\.5 seconds"):
        Client(url).get("/api/v1/peers")


def test_what_the_node_calls_impossible_is_a_misuse_of_the_command_line() -> None:
    with answering(400, b'{"detail": "to = 7: allowed\\nis text"}') as url, pytest.raises(CommandMisused) as caught:
        Client(url).get("/api/v1/peers")
    assert str(caught.value).endswith("refused (status 400): to = 7: allowed is text")


def test_a_token_is_asked_for_or_said_to_be_another() -> None:
    with answering(401, b'{"detail": "a bearer token is needed"}') as url:
        with pytest.raises(CommandFailed, match="give it with --api-token-file"):
            Client(url).get("/api/v1/peers")
        with pytest.raises(CommandFailed, match="the token that was given is not its own"):
            Client(url, token="secret").get("/api/v1/peers")


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
    [
        "",
        "127.0.0.1:9464",
        "https://127.0.0.1",
        "http://",
        "http://[::1",
        "http://h:99999",
        "http://h:0",
        "ftp://x",
        "http://u@h",
        "http://a b",
        "http://h/\u00fc",
        "http://h/a\nb",
    ],
)
def test_an_impossible_url_is_a_misuse(url: str) -> None:
    with pytest.raises(CommandMisused, match="allowed is http://HOST:PORT"):
        Client(url)
