from __future__ import annotations

import asyncio
import io
import socket
from contextlib import AsyncExitStack

import pytest

from node.api.handlers import BODIES_MAX
from node.api.limits import BODY_BYTES_MAX
from node.api.server import READER_TIMEOUT, ApiServer
from node.errors import MessageTooLarge, NotRunning, PositronError, QueueFull
from tests.api.source import FakeNode, problem_of, serving

pytestmark = pytest.mark.loopback


@pytest.mark.asyncio
async def test_metrics_are_the_rendered_bytes_with_their_content_type() -> None:
    async with serving(FakeNode()) as session, session.get("/metrics") as response:
        assert await response.read() == b"positron_ready 1\n"
        assert response.headers["Content-Type"] == FakeNode.metrics_content_type


@pytest.mark.asyncio
async def test_health_and_readiness_follow_the_node() -> None:
    source = FakeNode()
    async with serving(source) as session:
        for path in ("/healthz", "/readyz"):
            async with session.get(path) as response:
                assert response.status == 200
        source.healthy = source.ready = False
        for path in ("/healthz", "/readyz"):
            async with session.get(path) as response:
                assert (await problem_of(response))[0] == 503


@pytest.mark.asyncio
async def test_stats_and_peers_are_json() -> None:
    async with serving(FakeNode()) as session:
        async with session.get("/api/v1/stats") as response:
            assert await response.json() == {"node_id": "00"}
        async with session.get("/api/v1/peers") as response:
            assert await response.json() == {"peers": [{"name": "node-2"}]}


@pytest.mark.asyncio
async def test_a_broadcast_is_published_and_answered_with_its_id() -> None:
    source = FakeNode()
    async with serving(source) as session, session.post("/api/v1/broadcast", json={"text": "hello"}) as response:
        assert response.status == 202
        assert await response.json() == {"message_id": "ab" * 16}
    assert source.published == [{"text": "hello"}]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("body", "content_type", "status", "words"),
    [
        (b"[1, 2]", "application/json", 400, "allowed is an object"),
        (b"{", "application/json", 400, "not JSON"),
        (b'{"a": 1}', "text/plain", 415, "allowed is application/json"),
        (b'{"a": "' + b"x" * BODY_BYTES_MAX + b'"}', "application/json", 413, str(BODY_BYTES_MAX)),
    ],
)
async def test_a_body_that_is_no_object_is_a_problem_that_names_what_is_allowed(
    body: bytes, content_type: str, status: int, words: str
) -> None:
    source = FakeNode()
    headers = {"Content-Type": content_type}
    async with (
        serving(source) as session,
        session.post("/api/v1/broadcast", data=io.BytesIO(body), headers=headers) as response,
    ):
        found, detail = await problem_of(response)
    assert found == status
    assert words in detail
    assert source.published == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MessageTooLarge("the message has 2 bytes, allowed is 1"), 400),
        (QueueFull("busy"), 503),
        (NotRunning("stopped"), 503),
        (PositronError("other"), 502),
    ],
)
async def test_what_the_node_refuses_is_a_problem_with_its_words(error: PositronError, status: int) -> None:
    source = FakeNode()
    source.error = error
    async with serving(source) as session, session.post("/api/v1/broadcast", json={}) as response:
        assert await problem_of(response) == (status, str(error))


@pytest.mark.asyncio
async def test_web_pages_cannot_broadcast() -> None:
    source = FakeNode()
    headers = {"Origin": "http://evil.example"}
    async with serving(source) as session, session.post("/api/v1/broadcast", json={}, headers=headers) as response:
        assert (await problem_of(response))[0] == 403
    assert source.published == []


@pytest.mark.asyncio
async def test_what_can_be_had_can_be_asked_after_without_its_content() -> None:
    source = FakeNode()
    async with serving(source) as session:
        for path in ("/healthz", "/metrics", "/api/v1/stats"):
            async with session.head(path) as response:
                assert (response.status, await response.read()) == (200, b"")
        source.healthy = False
        async with session.head("/healthz") as response:
            assert response.status == 503
        async with session.head("/api/v1/broadcast") as response:
            assert response.status == 405


@pytest.mark.asyncio
async def test_unknown_paths_and_methods_are_problems() -> None:
    async with serving(FakeNode()) as session:
        async with session.get("/api/v2/stats") as response:
            assert (await problem_of(response))[0] == 404
        async with session.delete("/api/v1/broadcast") as response:
            assert response.headers["Allow"] == "POST"
            assert await problem_of(response) == (405, "DELETE is not possible here; allowed is POST")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        (b"http://evil.example/metrics", b"127.0.0.1", b"403"),
        (b"http://127.0.0.1:9464/metrics", b"evil.example", b"200"),
    ],
)
async def test_a_request_is_judged_by_the_host_in_its_target_where_there_is_one(
    target: bytes, host: bytes, status: bytes
) -> None:
    async with serving(FakeNode()) as session:
        assert session._base_url is not None
        reader, writer = await asyncio.open_connection("127.0.0.1", session._base_url.port)
        writer.write(b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(65536), 5)
        writer.close()
        await writer.wait_closed()
    assert answer.split(b" ")[1] == status


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01 what is this\r\n\r\n",
        b"GET /readyz HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /readyz HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 100_000 + b"\r\n\r\n",
    ],
)
async def test_bytes_that_are_no_http_get_an_answer_and_no_traceback(
    junk: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(FakeNode()) as session:
        assert session._base_url is not None
        reader, writer = await asyncio.open_connection("127.0.0.1", session._base_url.port)
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(reader.readuntil(b'"}'), 5)
        writer.write(junk)
        await writer.drain()
        answer = await asyncio.wait_for(reader.read(65536), 5)
        writer.close()
        await writer.wait_closed()
    assert answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
    assert b"Traceback" not in answer
    assert b"File " not in answer
    assert caplog.records == []


@pytest.mark.asyncio
async def test_stopping_does_not_wait_for_an_idle_client() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    server = ApiServer(FakeNode())
    await server.start(listener)
    _, writer = await asyncio.open_connection(*address)

    async with asyncio.timeout(1):
        await server.stop()
        await server.stop()

    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*address)


@pytest.mark.asyncio
async def test_stopping_does_not_wait_for_a_body_that_never_ends() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    server = ApiServer(FakeNode())
    await server.start(listener)
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    writer.write(
        b"POST /api/v1/broadcast HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n{"
    )
    assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 100")

    async with asyncio.timeout(1):
        await server.stop()

    writer.close()


@pytest.mark.asyncio
async def test_bodies_that_never_end_hold_up_neither_health_nor_metrics() -> None:
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(serving(FakeNode()))
        assert session._base_url is not None
        for _ in range(BODIES_MAX):
            reader, writer = await asyncio.open_connection("127.0.0.1", session._base_url.port)
            stack.callback(writer.close)
            writer.write(
                b"POST /api/v1/broadcast HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n{"
            )
            assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 100")

        for path in ("/healthz", "/readyz", "/metrics", "/api/v1/stats"):
            async with session.get(path) as response:
                assert response.status == 200
        async with session.post("/api/v1/broadcast", json={}) as response:
            assert (await problem_of(response))[0] == 503


@pytest.mark.asyncio
async def test_a_connection_that_says_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.api.server.HEAD_TIMEOUT", 0.05)
    async with serving(FakeNode()) as session, asyncio.timeout(10):
        assert session._base_url is not None
        reader, writer = await asyncio.open_connection("127.0.0.1", session._base_url.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHo")
        assert await reader.read() == b""
        writer.close()
        async with session.get("/healthz") as response:
            assert response.status == 200


@pytest.mark.asyncio
async def test_clients_that_take_no_answers_hold_up_nobody() -> None:
    class Talkative(FakeNode):
        async def render_metrics(self) -> bytes:
            return bytes(4 << 20)

    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(serving(Talkative()))
        assert session._base_url is not None
        for _ in range(20):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", session._base_url.port)))
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in range(3):
            async with asyncio.timeout(5), session.get("/api/v1/stats") as response:
                assert response.status == 200


@pytest.mark.asyncio
async def test_the_kernel_cuts_a_client_that_takes_nothing() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    server = ApiServer(FakeNode())
    await server.start(listener)
    assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == READER_TIMEOUT * 1000
    await server.stop()
