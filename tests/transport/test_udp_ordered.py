"""Ordered messages of UDPTransport over loopback: several channels, callers who wait, and mistakes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from node.errors import MessageTooLarge, NotRunning, QueueFull, SendTimeout, UsageError
from node.transport.events import Delivery
from node.transport.packet import Priority
from node.wire.limits import CHANNELS_MAX, MESSAGE_BYTES_MAX
from node.wire.varint import VARINT_MAX
from tests.transport.watching import begun, pair, transport

pytestmark = pytest.mark.loopback


@pytest.mark.asyncio
@pytest.mark.must("M39")
async def test_each_channel_keeps_its_order_whatever_sizes_and_priorities() -> None:
    async with pair() as (first, second, _, inbox):
        address = second.local_address
        await first.send_reliable(address, b"\xff")
        second._pause()
        sends = []
        for number in range(120):
            data = bytes([number % 3, number]) + bytes((7, 90_000, 1_400)[number % 7 % 3])
            priority = Priority(number % 4)
            sends.append(first.send_ordered(address, data, 60, channel=number % 3, priority=priority))
        waiting = await begun(sends)
        second._resume()
        await asyncio.gather(*waiting)
        await inbox.wait_for(121)
    assert {packet.delivery for packet, _ in inbox.packets[1:]} == {Delivery.ORDERED}
    for channel in range(3):
        numbers = [payload[1] for payload in inbox.payloads[1:] if payload[0] == channel]
        assert numbers == list(range(channel, 120, 3))


@pytest.mark.asyncio
@pytest.mark.must("M39")
async def test_callers_who_wait_for_room_keep_the_order_of_their_channel() -> None:
    async with pair() as (first, second, _, inbox):
        address = second.local_address
        await first.send_reliable(address, b"before")
        second._pause()
        sends = [first.send_ordered(address, bytes([number]) + bytes(700_000), 60, channel=5) for number in range(12)]
        waiting = await begun(sends)
        with pytest.raises(QueueFull, match="no room for a message of 4 bytes"):
            await first.send_ordered(address, b"last", channel=5, wait=False)
        with pytest.raises(SendTimeout, match="had no room"):
            await first.send_ordered(address, b"last", 0.05, channel=5)
        gone = asyncio.create_task(first.send_ordered(address, b"gone", 60, channel=5))
        await asyncio.sleep(0)
        gone.cancel()
        second._resume()
        await asyncio.gather(*waiting)
        await first.send_ordered(address, b"\x0c", channel=5, wait=False)
        await inbox.wait_for(14)
    assert [payload[0] for payload in inbox.payloads[1:]] == list(range(13))


@pytest.mark.asyncio
async def test_an_ordered_message_that_was_given_up_arrives_in_its_turn() -> None:
    async with pair() as (first, second, _, inbox):
        address = second.local_address
        await first.send_reliable(address, b"before")
        second._pause()
        with pytest.raises(SendTimeout, match=r"may yet get.* within 0\.05 s"):
            await first.send_ordered(address, b"late", 0.05)
        cancelled = asyncio.create_task(first.send_ordered(address, b"cancelled"))
        await asyncio.sleep(0)
        cancelled.cancel()
        second._resume()
        await first.send_ordered(address, b"after")
        assert await inbox.wait_for(4) == [b"before", b"late", b"cancelled", b"after"]


@pytest.mark.asyncio
@pytest.mark.must("M49")
async def test_mistakes_are_named_with_what_is_allowed() -> None:
    async with pair() as (first, second, _, inbox):
        address = second.local_address
        wrong: Any
        for wrong in (-1, VARINT_MAX + 1, True, 1.0, "1", None):
            with pytest.raises(UsageError, match=f"allowed is a whole number from 0 to {VARINT_MAX}"):
                await first.send_ordered(address, b"x", channel=wrong)
        wrong = 1
        with pytest.raises(UsageError, match="priority 1"):
            await first.send_ordered(address, b"x", priority=wrong)
        with pytest.raises(UsageError, match="timeout 0"):
            await first.send_ordered(address, b"x", 0)
        with pytest.raises(MessageTooLarge, match=str(MESSAGE_BYTES_MAX)):
            await first.send_ordered(address, bytes(MESSAGE_BYTES_MAX + 1))
        for channel in range(CHANNELS_MAX):
            await first.send_ordered(address, b"x", channel=channel * 1_000)
        with pytest.raises(UsageError, match=f"channel 7: allowed are {CHANNELS_MAX} channels"):
            await first.send_ordered(address, b"x", channel=7)
        await first.send_ordered(address, b"good", channel=63_000)
        assert (await inbox.wait_for(CHANNELS_MAX + 1))[-1] == b"good"
    with pytest.raises(NotRunning):
        await first.send_ordered(address, b"x")


@pytest.mark.asyncio
async def test_a_name_and_its_message_have_the_time_of_the_caller_together(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    async def deliver(_sends: object, _address: object, _data: bytes, seconds: float, **_: object) -> None:
        given.append(seconds)

    async def resolve(*_: object, **__: object) -> tuple[str, int]:
        loop = asyncio.get_running_loop()
        until = loop.time() + 0.01
        while loop.time() < until:
            await asyncio.sleep(0)
        return "127.0.0.1", 9

    monkeypatch.setattr("node.transport.sends.Sends.deliver", deliver)
    monkeypatch.setattr("node.transport.shell.resolve", resolve)
    async with transport() as (one, _):
        await one.send_ordered(("somebody", 9), b"x", 5.0)
        await one.send_ordered(("somebody", 9), b"x", 5.0)
        await one.send_ordered(("somebody-else", 9), b"x", 0.002)
    assert 0 < given[0] < 5.0
    assert given[1:] == [5.0, 0.001]
