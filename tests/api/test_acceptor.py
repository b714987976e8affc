from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from node.api import acceptor as module
from node.api.acceptor import Acceptor

pytestmark = pytest.mark.loopback


class Greeter(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(b"hello")
        transport.close()


class Exhausted(socket.socket):
    """A listener of a process that has no descriptors left, for a number of accepts."""

    failures = 0
    accepts = 0

    def accept(self) -> tuple[socket.socket, object]:
        self.accepts += 1
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return super().accept()


@asynccontextmanager
async def accepting(*, room: bool = True) -> AsyncIterator[Exhausted]:
    listener = Exhausted()
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    acceptor = Acceptor(listener, Greeter, has_room=lambda: room)
    acceptor.start()
    try:
        yield listener
    finally:
        await acceptor.stop()


async def answer_of(listener: socket.socket) -> bytes:
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    try:
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@pytest.mark.asyncio
async def test_each_connection_gets_a_protocol() -> None:
    async with accepting() as listener:
        assert await asyncio.gather(*(answer_of(listener) for _ in range(40))) == [b"hello"] * 40


@pytest.mark.asyncio
async def test_without_room_a_connection_is_closed_at_once() -> None:
    async with accepting(room=False) as listener:
        assert await answer_of(listener) == b""


@pytest.mark.asyncio
async def test_without_descriptors_it_waits_in_silence_and_serves_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "ACCEPT_PAUSE", 0.01)
    async with accepting() as listener:
        listener.failures = 3

        assert await answer_of(listener) == b"hello"

        assert listener.accepts <= 6  # three that failed, one that did not, and one that found nobody
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.asyncio
async def test_a_stop_while_it_waits_leaves_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    async with accepting() as listener:
        listener.failures = 1
        with socket.create_connection(listener.getsockname()):
            async with asyncio.timeout(5):
                while not listener.accepts:
                    await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=0.01)
    assert listener.fileno() == -1
    assert caplog.records == []
