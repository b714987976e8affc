"""TCP sockets over loopback, with peers that do not read and kernels that have run out of files."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest

from node.errors import StartError
from node.transport.stream import (
    SLOW_READER,
    StreamClosed,
    StreamConnect,
    StreamData,
    StreamInput,
    StreamOpened,
    StreamShutdown,
    StreamWrite,
)
from node.transport.tcp_streams import TCPStreams, open_tcp_listener
from node.types import MILLISECOND, SECOND, Address
from node.wire.limits import STREAM_BUFFER_BYTES_MAX, STREAM_HANDLE_FIRST
from tests.transport.watching import LoopErrors, until

pytestmark = pytest.mark.loopback
DIALLED = STREAM_HANDLE_FIRST
InputT = TypeVar("InputT", bound=StreamInput)


class Inputs:
    """What a machine would have been told."""

    def __init__(self) -> None:
        self.all: list[StreamInput] = []
        self.changed = asyncio.Event()

    def __call__(self, inputs: Iterable[StreamInput]) -> None:
        self.all += inputs
        self.changed.set()

    def of(self, kind: type[InputT]) -> list[InputT]:
        return [each for each in self.all if isinstance(each, kind)]

    async def first(self, kind: type[InputT]) -> InputT:
        await until(lambda: bool(self.of(kind)), self.changed)
        return self.of(kind)[0]

    async def data(self, size: int) -> bytes:
        await until(lambda: sum(len(each.data) for each in self.of(StreamData)) >= size, self.changed)
        return b"".join(each.data for each in self.of(StreamData))


@asynccontextmanager
async def opened(
    host: str = "127.0.0.1", *, listener: socket.socket | None = None, streams_max: int = 16, stall: float = 5.0
) -> AsyncIterator[tuple[TCPStreams, Inputs]]:
    inputs = Inputs()
    streams = TCPStreams(
        listener or open_tcp_listener(host, 0), on_inputs=inputs, streams_max=streams_max, stall_timeout=stall
    )
    try:
        yield streams, inputs
    finally:
        streams.close()


def deaf_listener() -> socket.socket:
    """Accepts into small buffers and never reads."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.bind(("127.0.0.1", 0))
    sock.listen(8)
    return sock


@pytest.mark.asyncio
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_stream_carries_bytes_both_ways(host: str) -> None:
    async with opened(host) as (near, near_inputs), opened(host) as (far, far_inputs):
        near.connect(StreamConnect(DIALLED, far.address))
        assert await near_inputs.first(StreamOpened) == StreamOpened(DIALLED, far.address, is_initiator=True)
        accepted = await far_inputs.first(StreamOpened)
        assert accepted.stream < STREAM_HANDLE_FIRST
        assert not accepted.is_initiator
        near.write(StreamWrite(DIALLED, b"there"))
        far.write(StreamWrite(accepted.stream, b"and back"))
        assert await far_inputs.data(5) == b"there"
        assert await near_inputs.data(8) == b"and back"


@pytest.mark.asyncio
async def test_a_listener_on_all_addresses_names_ipv4_peers_plainly() -> None:
    async with opened("::") as (far, far_inputs), opened() as (near, _):
        near.connect(StreamConnect(DIALLED, ("127.0.0.1", far.address[1])))
        assert (await far_inputs.first(StreamOpened)).address[0] == "127.0.0.1"


@pytest.mark.asyncio
async def test_more_than_the_kernel_takes_at_once_arrives_in_order() -> None:
    data = bytes(index % 251 for index in range(3 << 20))
    async with opened() as (near, _), opened() as (far, far_inputs):
        near.connect(StreamConnect(DIALLED, far.address))
        for start in range(0, len(data), 1 << 20):
            near.write(StreamWrite(DIALLED, data[start : start + (1 << 20)]))
        assert await far_inputs.data(len(data)) == data


@pytest.mark.asyncio
async def test_the_last_bytes_arrive_before_the_end() -> None:
    async with opened() as (near, near_inputs), opened() as (far, far_inputs):
        near.connect(StreamConnect(DIALLED, far.address))
        await near_inputs.first(StreamOpened)
        far.write(StreamWrite((await far_inputs.first(StreamOpened)).stream, b"unread by the other end"))
        near.write(StreamWrite(DIALLED, bytes(500_000)))
        near.shutdown(StreamShutdown(DIALLED))
        closed = await far_inputs.first(StreamClosed)
        assert closed.reason == "end of stream"
        assert len(await far_inputs.data(500_000)) == 500_000
        await asyncio.wait_for(near.drained(), 5)
        assert not near_inputs.of(StreamClosed)


@pytest.mark.asyncio
async def test_nobody_listening_is_reported_as_a_closed_stream() -> None:
    sock = open_tcp_listener("127.0.0.1", 0)
    address = sock.getsockname()
    sock.close()
    async with opened() as (near, inputs):
        near.connect(StreamConnect(DIALLED, address))
        assert await inputs.first(StreamClosed) == StreamClosed(DIALLED, "Connection refused")
        assert near.stats.connect_failures == 1
        assert len(near) == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("address", [("localhost", 80), ("127.0.0.1", 0), ("127.0.0.1", 70_000)])
async def test_what_is_no_address_is_never_looked_up(address: Address) -> None:
    async with opened() as (near, inputs):
        near.connect(StreamConnect(DIALLED, address))
        assert inputs.all == [StreamClosed(DIALLED, "not an IP address and port")]


@pytest.mark.asyncio
async def test_a_dial_that_is_given_up_is_never_heard_of() -> None:
    async with opened() as (near, inputs), opened() as (far, _):
        near.connect(StreamConnect(DIALLED, far.address))
        near.shutdown(StreamShutdown(DIALLED))
        assert len(near) == 0
        assert not inputs.all


@pytest.mark.asyncio
@pytest.mark.must("M75")
async def test_a_peer_that_reads_nothing_is_cut_after_a_while() -> None:
    with deaf_listener() as deaf:
        async with opened(stall=0.05) as (near, inputs):
            near.connect(StreamConnect(DIALLED, deaf.getsockname()))
            near.write(StreamWrite(DIALLED, bytes(8 << 20)))
            assert await inputs.first(StreamClosed) == StreamClosed(DIALLED, SLOW_READER)
            assert near.stats.slow_readers == 1


@pytest.mark.asyncio
@pytest.mark.must("M75")
async def test_what_waits_for_a_peer_is_bounded() -> None:
    with deaf_listener() as deaf:
        async with opened() as (near, inputs):
            near.connect(StreamConnect(DIALLED, deaf.getsockname()))
            for _ in range(STREAM_BUFFER_BYTES_MAX >> 20):
                near.write(StreamWrite(DIALLED, bytes(1 << 20)))
            assert not inputs.of(StreamClosed)
            near.write(StreamWrite(DIALLED, bytes(8 << 20)))
            assert inputs.of(StreamClosed) == [StreamClosed(DIALLED, SLOW_READER)]


@pytest.mark.asyncio
async def test_a_peer_that_reads_slowly_but_steadily_is_kept() -> None:
    with deaf_listener() as slow:
        async with opened(stall=0.2) as (near, inputs):
            near.connect(StreamConnect(DIALLED, slow.getsockname()))
            near.write(StreamWrite(DIALLED, bytes(4 << 20)))
            await inputs.first(StreamOpened)
            accepted, _ = slow.accept()
            with accepted:
                accepted.setblocking(False)
                loop, received = asyncio.get_running_loop(), 0
                while received < 4 << 20:
                    received += len(await asyncio.wait_for(loop.sock_recv(accepted, 1 << 16), 5))
            assert not inputs.of(StreamClosed)


@pytest.mark.asyncio
async def test_a_full_file_table_pauses_accepting_and_is_no_error_of_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Exhausted(socket.socket):
        refusals = [errno.ECONNABORTED, errno.EMFILE]  # noqa: RUF012 - one instance

        def accept(self) -> Any:
            if self.refusals:
                raise OSError(self.refusals.pop(0), "refused")
            return super().accept()

    monkeypatch.setattr("node.transport.tcp_streams.ACCEPT_PAUSE", 0.01)
    errors, listener = LoopErrors(), Exhausted(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen(8)
    listener.setblocking(False)
    async with opened(listener=listener) as (far, far_inputs), opened() as (near, _):
        near.connect(StreamConnect(DIALLED, far.address))
        await far_inputs.first(StreamOpened)
        assert (far.stats.accept_errors["EMFILE"], far.stats.accept_errors["ECONNABORTED"]) == (1, 1)
    assert not errors.contexts


@pytest.mark.asyncio
async def test_no_more_streams_are_accepted_than_there_is_room_for() -> None:
    async with opened(streams_max=2) as (far, _), opened() as (near, inputs):
        for number in range(3):
            near.connect(StreamConnect(DIALLED + number, far.address))
        await inputs.first(StreamClosed)
        assert (len(far), far.stats.refused) == (2, 1)


@pytest.mark.asyncio
async def test_a_paused_stream_keeps_its_bytes_in_the_kernel() -> None:
    async with opened() as (near, near_inputs), opened() as (far, far_inputs):
        far.pause()
        near.connect(StreamConnect(DIALLED, far.address))
        near.write(StreamWrite(DIALLED, b"later"))
        await far_inputs.first(StreamOpened)
        await near_inputs.first(StreamOpened)
        await asyncio.sleep(0)
        assert not far_inputs.of(StreamData)
        far.resume()
        assert await far_inputs.data(5) == b"later"


@pytest.mark.asyncio
async def test_the_kernel_tells_what_it_has_measured() -> None:
    async with opened() as (near, inputs), opened() as (far, _):
        near.connect(StreamConnect(DIALLED, far.address))
        assert near.kernel_info(DIALLED) is None
        await inputs.first(StreamOpened)
        info = near.kernel_info(DIALLED)
        assert info is not None
        assert 0 < info.smoothed_rtt < SECOND
        assert 0 < info.rttvar < SECOND
        assert 100 * MILLISECOND < info.rto < 5 * SECOND, "the kernel's own floor is 200 ms"
        assert info.retransmissions == 0
        assert 1_000 < info.congestion_window < 10_000_000


@pytest.mark.asyncio
async def test_outputs_for_a_stream_that_is_gone_are_ignored() -> None:
    async with opened() as (near, inputs):
        near.write(StreamWrite(DIALLED, b"x"))
        near.shutdown(StreamShutdown(DIALLED))
        near.close()
        near.close()
        assert not inputs.all


def test_a_taken_port_is_one_clear_line() -> None:
    with open_tcp_listener("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=rf"cannot listen on TCP 127.0.0.1:{port}: Address already in use"):
            open_tcp_listener("127.0.0.1", port)
