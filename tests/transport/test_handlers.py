"""Calls of registered handlers: how many, in which order, and what happens when they fail."""

from __future__ import annotations

import asyncio
import logging

import pytest

from node.transport.events import Delivery
from node.transport.handlers import ERROR_KINDS_MAX, Handlers
from node.transport.packet import Packet
from node.types import Address
from node.wire.limits import HANDLER_QUEUE_MAX, HANDLERS_MAX
from tests.transport.watching import until

PEER = ("192.0.2.1", 9000)


class Gate:
    """A handler whose calls wait until the gate opens."""

    def __init__(self) -> None:
        self.calls: list[bytes] = []
        self.open = asyncio.Event()
        self.changed = asyncio.Event()
        self.is_full: list[bool] = []
        self.handlers = Handlers(on_full=lambda: self.is_full.append(True), on_room=lambda: self.is_full.append(False))
        self.handlers.handler = self

    async def __call__(self, packet: Packet, peer_addr: Address) -> None:
        self.calls.append(packet.payload)
        self.changed.set()
        await self.open.wait()

    def dispatch(self, *payloads: bytes, lane: int | None = None, delivery: Delivery = Delivery.RELIABLE) -> None:
        for payload in payloads:
            self.handlers.dispatch(Packet(payload, delivery), PEER, None if lane is None else (lane, None))

    async def finish(self) -> None:
        while self.handlers._running:
            await asyncio.wait(list(self.handlers._running))

    async def wait_for(self, count: int) -> None:
        await until(lambda: len(self.calls) >= count, self.changed)


@pytest.mark.asyncio
async def test_no_more_calls_than_the_limit_run_at_once() -> None:
    gate = Gate()
    gate.dispatch(*[b"x"] * (HANDLERS_MAX + 10))
    await gate.wait_for(HANDLERS_MAX)
    assert len(gate.calls) == HANDLERS_MAX
    gate.open.set()
    await gate.wait_for(HANDLERS_MAX + 10)


@pytest.mark.asyncio
async def test_messages_of_one_lane_are_handled_one_after_the_other() -> None:
    gate = Gate()
    gate.dispatch(b"1", b"2", b"3", lane=7)
    gate.dispatch(b"other", lane=8)
    gate.dispatch(b"free")
    await gate.wait_for(3)
    assert gate.calls == [b"1", b"other", b"free"]
    gate.open.set()
    await gate.wait_for(5)
    assert gate.calls[3:] == [b"2", b"3"]


@pytest.mark.asyncio
async def test_a_plain_function_is_called_where_a_message_of_a_free_lane_is_dispatched() -> None:
    gate, calls = Gate(), list[bytes]()
    gate.handlers.handler = lambda packet, _: calls.append(packet.payload)
    gate.dispatch(b"1", b"2", lane=7)
    assert calls == [b"1", b"2"]
    gate.handlers.handler = gate
    gate.dispatch(b"3", lane=7)
    gate.handlers.handler = lambda packet, _: calls.append(packet.payload)
    gate.dispatch(b"4", lane=7)
    assert calls == [b"1", b"2"]
    gate.open.set()
    await gate.finish()
    assert calls == [b"1", b"2", b"4"]


@pytest.mark.asyncio
async def test_a_lane_keeps_its_order_when_every_place_is_taken() -> None:
    gate = Gate()
    gate.dispatch(*[b"x"] * (HANDLERS_MAX - 1))
    gate.dispatch(b"1", b"2", b"3", b"4", lane=7)
    gate.open.set()
    await gate.wait_for(HANDLERS_MAX + 3)
    assert [call for call in gate.calls if call != b"x"] == [b"1", b"2", b"3", b"4"]


@pytest.mark.asyncio
async def test_a_full_queue_is_announced_once_and_so_is_room() -> None:
    gate = Gate()
    gate.dispatch(*[b"x"] * (HANDLERS_MAX + HANDLER_QUEUE_MAX + 5))
    assert gate.is_full == [True]
    gate.open.set()
    await gate.wait_for(HANDLERS_MAX + HANDLER_QUEUE_MAX + 5)
    assert gate.is_full == [True, False]


@pytest.mark.asyncio
async def test_a_full_queue_drops_what_nobody_was_promised_and_counts_it() -> None:
    gate = Gate()
    gate.dispatch(*[b"x"] * (HANDLERS_MAX + HANDLER_QUEUE_MAX))
    gate.dispatch(b"heartbeat", delivery=Delivery.UNRELIABLE)
    gate.dispatch(b"promised")
    gate.open.set()
    await gate.wait_for(HANDLERS_MAX + HANDLER_QUEUE_MAX + 1)
    assert gate.handlers.stats.dropped == 1
    assert b"heartbeat" not in gate.calls
    assert b"promised" in gate.calls


@pytest.mark.asyncio
async def test_messages_without_a_handler_are_counted() -> None:
    gate = Gate()
    gate.handlers.handler = None
    gate.dispatch(b"x")
    assert gate.handlers.stats.unhandled == 1


@pytest.mark.asyncio
async def test_each_kind_of_error_is_logged_once_and_always_counted(caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()
    kinds = [LookupError, ArithmeticError, LookupError]

    def broken(packet: Packet, peer_addr: Address) -> None:
        raise kinds.pop(0)(packet.payload)

    gate.handlers.handler = broken
    with caplog.at_level(logging.ERROR, logger="node.transport"):
        gate.dispatch(b"1", b"2", b"3", lane=1)
        await gate.finish()
    assert gate.handlers.stats.errors == {"LookupError": 2, "ArithmeticError": 1}
    assert [record.exc_info is not None for record in caplog.records] == [True, True]


@pytest.mark.asyncio
async def test_the_kinds_of_errors_are_bounded() -> None:
    gate = Gate()

    def broken(packet: Packet, peer_addr: Address) -> None:
        raise type(packet.payload.decode(), (LookupError,), {})

    gate.handlers.handler = broken
    count = ERROR_KINDS_MAX + 5
    gate.dispatch(*(f"E{number}".encode() for number in range(count)))
    await gate.finish()
    assert len(gate.handlers.stats.errors) == ERROR_KINDS_MAX + 1
    assert gate.handlers.stats.errors["other"] == 5


@pytest.mark.asyncio
async def test_closing_cancels_what_runs_and_forgets_what_waits() -> None:
    gate = Gate()
    gate.dispatch(*[b"x"] * (HANDLERS_MAX + 5))
    await gate.wait_for(HANDLERS_MAX)
    await gate.handlers.close()
    gate.dispatch(b"late")
    assert len(gate.calls) == HANDLERS_MAX
    assert gate.handlers.stats.unhandled == 1
    assert not gate.handlers.stats.errors


@pytest.mark.asyncio
async def test_a_handler_that_refuses_to_be_cancelled_does_not_hold_up_closing() -> None:
    gate, released = Gate(), asyncio.Event()

    async def stubborn(packet: Packet, peer_addr: Address) -> None:
        gate.changed.set()
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue

    gate.handlers.handler = stubborn
    gate.dispatch(b"x")
    await until(gate.changed.is_set, gate.changed)
    async with asyncio.timeout(0.9):
        await gate.handlers.close()
    released.set()
    await asyncio.wait(list(gate.handlers._running))


@pytest.mark.asyncio
async def test_a_plain_function_is_done_when_its_message_was_dispatched() -> None:
    gate, calls = Gate(), []
    gate.handlers.handler = lambda packet, _address: calls.append(packet.payload)
    gate.dispatch(b"a", b"b", lane=1)
    gate.dispatch(b"c")
    assert calls == [b"a", b"b", b"c"]
    assert not gate.handlers._running


@pytest.mark.asyncio
async def test_a_plain_function_that_raises_disturbs_nobody() -> None:
    gate = Gate()

    def fail(_packet: Packet, _address: Address) -> None:
        raise ValueError("not ours")

    gate.handlers.handler = fail
    gate.dispatch(b"a", b"b", lane=1)
    assert gate.handlers.stats.errors == {"ValueError": 2}
    gate.handlers.handler = gate
    gate.dispatch(b"c", lane=1)
    await gate.wait_for(1)


@pytest.mark.asyncio
async def test_plain_calls_of_a_lane_follow_the_one_that_had_to_wait() -> None:
    gate, calls = Gate(), []
    gate.dispatch(b"first", lane=1)
    await gate.wait_for(1)
    gate.handlers.handler = lambda packet, _address: calls.append(packet.payload)
    gate.dispatch(b"a", b"b", lane=1)
    assert calls == []
    gate.open.set()
    await gate.finish()
    await asyncio.sleep(0)
    assert calls == [b"a", b"b"]
