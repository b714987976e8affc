"""What a caller of UDPTransport meets: its own mistakes, and a peer that is silent for as long as was set."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from node.errors import Code, ConnectionFailed, QueueFull, UsageError
from node.transport.packet import Priority
from node.transport.settings import TransportSettings
from node.transport.tcp_transport import TCPTransport
from node.transport.udp_transport import UDPTransport
from node.types import MILLISECOND, SECOND
from tests.transport.watching import LoopErrors, begun, pair, transport, two

pytestmark = pytest.mark.loopback


@pytest.mark.asyncio
@pytest.mark.must("M49")
async def test_mistakes_of_callers_are_told_at_once_and_disturb_nobody() -> None:
    errors = LoopErrors()
    async with pair() as (first, second, _, inbox):
        address = second.local_address
        for peer, data, timeout in (
            (address, "text", 5.0),
            (address, None, 5.0),
            (address, b"x", float("nan")),
            (address, b"x", 1e300),
            (address, b"x", "5"),
            ("127.0.0.1:80", b"x", 5.0),
            (("127.0.0.1", 0), b"x", 5.0),
            (("127.0.0.1", 99_999), b"x", 5.0),
        ):
            arguments: Any = (peer, data, timeout)
            with pytest.raises(UsageError):
                await first.send_reliable(*arguments)
            with pytest.raises(UsageError):
                first.post_reliable(*arguments)
            if timeout == 5.0:
                with pytest.raises(UsageError):
                    await first.send_unreliable(*arguments[:2])
        with pytest.raises(UsageError, match="handler of type int"):
            first.register_handler(5)  # type: ignore[arg-type]
        await first.send_reliable(address, bytearray(b"good"))  # type: ignore[arg-type]
        assert inbox.payloads == [b"good"]
    assert errors.contexts == []


@pytest.mark.asyncio
@pytest.mark.parametrize(("min_rto", "max_retries"), [(0.05, 0), (0.05, 3), (0.3, 0), (0.3, 1)])
@pytest.mark.must("M55")
async def test_a_silent_peer_is_given_up_after_the_timeouts_that_were_set(min_rto: float, max_retries: int) -> None:
    settings = TransportSettings(min_rto=round(min_rto * SECOND), max_retries=max_retries)
    async with transport(seed=1, settings=settings) as (first, _), transport(seed=2) as (second, _):
        await first.send_reliable(second.local_address, b"hello")
        assert second._socket is not None
        second._socket.pause()
        began = time.monotonic()
        with pytest.raises(ConnectionFailed) as caught:
            await first.send_reliable(second.local_address, b"are you there?", timeout=60)
        took = time.monotonic() - began
    assert caught.value.code is Code.RETRIES_EXHAUSTED
    assert f"no answer to {max_retries} retransmissions" in str(caught.value)
    # Each of them waits twice as long as the one before; no machine makes time pass faster.
    assert took >= min_rto * (2 ** (max_retries + 1) - 1)
    assert first.endpoint.stats.rto_expirations == max_retries + 1


@pytest.mark.asyncio
@pytest.mark.must("M55")
async def test_the_timeout_does_not_grow_beyond_what_was_set() -> None:
    settings = TransportSettings(min_rto=50 * MILLISECOND, max_rto=50 * MILLISECOND, max_retries=12)
    async with transport(seed=1, settings=settings) as (first, _), transport(seed=2) as (second, _):
        await first.send_reliable(second.local_address, b"hello")
        assert second._socket is not None
        second._socket.pause()
        # With doubling, the twelfth timeout alone would take more than three minutes.
        with pytest.raises(ConnectionFailed) as caught:
            await first.send_reliable(second.local_address, b"are you there?", timeout=100)
    assert caught.value.code is Code.RETRIES_EXHAUSTED


@pytest.mark.asyncio
@pytest.mark.must("M46")
async def test_a_more_urgent_message_goes_before_larger_ones_that_came_before_it() -> None:
    async with pair() as (first, second, _, inbox):
        address = second.local_address
        await first.send_reliable(address, b"before")
        second._pause()
        sends = [first.send_reliable(address, bytes(900_000), 60, priority=Priority.BULK) for _ in range(3)]
        waiting = await begun(sends)
        waiting.append(asyncio.create_task(first.send_reliable(address, b"urgent", 60, priority=Priority.CONTROL)))
        await asyncio.sleep(0)
        second._resume()
        await asyncio.gather(*waiting)
        assert [payload[:6] for payload in inbox.payloads] == [b"before", b"urgent", *[bytes(6)] * 3]
        wrong: Any = 0
        with pytest.raises(UsageError, match=r"priority 0: allowed is one of Priority\.CONTROL"):
            await first.send_reliable(address, b"m", priority=wrong)


@pytest.mark.asyncio
@pytest.mark.must("M86")
async def test_a_control_message_finds_room_where_others_wait_for_some() -> None:
    async with pair() as (first, second, _, inbox):
        address = second.local_address
        await first.send_reliable(address, b"before")
        second._pause()
        sends = [first.send_reliable(address, bytes(900_000), 60, priority=Priority.BULK) for _ in range(12)]
        waiting = await begun(sends)
        control = first.send_reliable(address, b"control", 60, wait=False, priority=Priority.CONTROL)
        waiting.append(asyncio.create_task(control))
        await asyncio.sleep(0)
        second._resume()
        await asyncio.gather(*waiting)
        assert [payload[:7] for payload in inbox.payloads][:2] == [b"before", b"control"]


@pytest.mark.asyncio
@pytest.mark.must("M48")
@pytest.mark.parametrize("kind", [UDPTransport, TCPTransport])
async def test_a_full_queue_is_waited_for_or_refused_as_the_caller_chose(
    kind: type[UDPTransport] | type[TCPTransport],
) -> None:
    async with two(kind) as (first, second, _, inbox):  # type: ignore[type-var]  # either of the two
        send = first.send_reliable if isinstance(first, UDPTransport) else first.send
        address = second.local_address
        await send(address, b"before")
        second._pause()
        waiting = [asyncio.create_task(send(address, bytes([number]) * 900_000, 60)) for number in range(12)]
        # Each has its turn to fill the queue, or to line up behind it.
        await asyncio.gather(*(asyncio.sleep(0) for _ in waiting))
        with pytest.raises(QueueFull):
            await send(address, bytes(900_000), 60, wait=False)
        second._resume()
        await asyncio.gather(*waiting)
        await send(address, b"after", wait=False)
        await inbox.wait_for(14)
        assert sorted(payload[:1] for payload in inbox.payloads[1:-1]) == [bytes([number]) for number in range(12)]
        assert inbox.payloads[-1] == b"after"
