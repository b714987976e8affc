from __future__ import annotations

import asyncio
import gzip
import json
import logging
import socket
import struct

import pytest

from tests.api.source import FakeNode, serving

pytestmark = [pytest.mark.loopback, pytest.mark.asyncio]

_POST = b"POST /api/v1/broadcast HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
_BOMB = gzip.compress(bytes(10_000_000))


async def answer(port: int, *parts: bytes) -> tuple[bytes, bytes]:
    """Head and body of what comes back for those bytes, each part sent by itself."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(20):
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        body = await reader.readexactly(int(length.partition(b":")[2]))
    writer.close()
    return head, body


@pytest.mark.parametrize(
    ("status", "parts"),
    [
        (400, [b"GET /metrics HTTP/9.9\r\n\r\n"]),
        (400, [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"]),
        (400, [b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n"]),
        (400, [b"GET /metrics HTTP/1.1\r\n\r\n"]),
        (400, [_POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"]),
        (400, [_POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"]),
        (400, [_POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", b"zz\r\n"]),
        (415, [_POST + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"]),
        (415, [_POST + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(_BOMB) + _BOMB]),
        (415, [_POST + b"Content-Encoding: br\r\nContent-Length: 3\r\n\r\nabc"]),
        (413, [_POST + b"Content-Length: 99999999999\r\n\r\n{}"]),
        (413, [_POST + b"Expect: 100-continue\r\nContent-Length: 1064961\r\n\r\n"]),
        (417, [_POST + b"Expect: pony\r\nContent-Length: 2\r\n\r\n{}"]),
    ],
)
async def test_what_cannot_be_read_is_a_problem_and_no_line_in_the_log(
    status: int, parts: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    source = FakeNode()
    with caplog.at_level(logging.INFO):
        async with serving(source) as session:
            head, body = await answer(session._base_url.port, *parts)  # type: ignore[union-attr, arg-type]  # it has one
    assert b" %d " % status in head.partition(b"\r\n")[0]
    assert b"\r\nContent-Type: application/problem+json" in head
    found = json.loads(body)
    assert found["status"] == status
    assert found["detail"].isprintable()
    assert source.published == []
    assert caplog.records == []


async def test_a_client_that_waits_for_a_word_before_its_body_gets_it() -> None:
    source = FakeNode()
    async with (
        asyncio.timeout(20),
        serving(source) as session,
        session.post("/api/v1/broadcast", json={"text": "hello"}, expect100=True) as response,
    ):
        assert response.status == 202
    assert source.published == [{"text": "hello"}]


@pytest.mark.parametrize(
    "begun", [_POST + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n", _POST + b"Content-Length: 9\r\n\r\n{"]
)
async def test_a_client_that_goes_before_its_body_is_there_leaves_no_trace(
    begun: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        async with serving(FakeNode()) as session:
            for _ in range(20):
                with socket.create_connection(("127.0.0.1", session._base_url.port)) as client:  # type: ignore[union-attr]
                    client.sendall(begun)
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                async with session.get("/healthz") as response:
                    assert response.status == 200
    assert caplog.records == []


async def test_a_defect_is_a_problem_and_a_record_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    source = FakeNode()
    source.render_metrics = lambda: 1 / 0  # type: ignore[method-assign, assignment, return-value]  # that is the defect
    async with serving(source) as session, session.get("/metrics") as response:
        assert response.status == 500
        assert response.content_type == "application/problem+json"
        assert (await response.json())["detail"] == "this node has failed; its log says how"
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError
