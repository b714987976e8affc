from __future__ import annotations

import asyncio
from typing import Any

import pytest

from node.errors import UsageError
from node.node.handlers import DataHandlers
from node.wire.limits import HANDLER_QUEUE_MAX, HANDLERS_MAX


class Witness:
    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self.dropped = 0
        self.was_told = asyncio.Event()

    def handler_failed(self, error: BaseException) -> None:
        self.errors.append(error)
        self.was_told.set()

    def handler_dropped(self) -> None:
        self.dropped += 1


class Inbox:
    """A handler that keeps what it is given."""

    def __init__(self, expected: int) -> None:
        self.messages: list[tuple[Any, str]] = []
        self.is_complete = asyncio.Event()
        self._expected = expected

    def __call__(self, payload: Any, author: str) -> None:
        self.messages.append((payload, author))
        if len(self.messages) == self._expected:
            self.is_complete.set()


@pytest.mark.parametrize("handler", [None, 5, "print"])
def test_what_cannot_be_called_is_refused_when_it_is_registered(handler: Any) -> None:
    with pytest.raises(UsageError, match="allowed is a function"):
        DataHandlers(Witness()).register(handler)


@pytest.mark.asyncio
async def test_every_handler_gets_every_message_in_order() -> None:
    handlers = DataHandlers(Witness())
    first, second = Inbox(100), Inbox(100)

    async def asynchronous(payload: Any, author: str) -> None:
        second(payload, author)

    handlers.register(first)
    handlers.register(asynchronous)
    for number in range(100):
        handlers.dispatch({"n": number}, "ab")
    async with asyncio.timeout(5):
        await first.is_complete.wait()
        await second.is_complete.wait()

    assert first.messages == second.messages == [({"n": number}, "ab") for number in range(100)]


@pytest.mark.asyncio
async def test_a_handler_that_raises_is_reported_and_disturbs_nobody() -> None:
    witness = Witness()
    handlers = DataHandlers(witness)
    inbox = Inbox(2)

    def broken(payload: Any, author: str) -> None:
        raise ValueError("why")

    handlers.register(broken)
    handlers.register(inbox)
    handlers.dispatch(1, "ab")
    handlers.dispatch(2, "ab")
    async with asyncio.timeout(5):
        await inbox.is_complete.wait()
        await witness.was_told.wait()

    assert [str(error) for error in witness.errors] == ["why", "why"]


@pytest.mark.asyncio
async def test_slow_handlers_are_bounded_and_what_finds_no_room_is_reported() -> None:
    witness = Witness()
    handlers = DataHandlers(witness)
    running = 0
    gate = asyncio.Event()

    async def slow(payload: Any, author: str) -> None:
        nonlocal running
        running += 1
        await gate.wait()

    handlers.register(slow)
    for number in range(HANDLERS_MAX + HANDLER_QUEUE_MAX + 5):
        handlers.dispatch(number, "ab")
    await asyncio.sleep(0)

    assert running == HANDLERS_MAX
    assert witness.dropped == 5
    await handlers.close()


@pytest.mark.asyncio
async def test_closing_does_not_wait_for_a_handler_that_never_ends() -> None:
    handlers = DataHandlers(Witness())
    began = asyncio.Event()

    async def endless(payload: Any, author: str) -> None:
        began.set()
        await asyncio.Event().wait()

    handlers.register(endless)
    handlers.dispatch(1, "ab")
    async with asyncio.timeout(5):
        await began.wait()
    async with asyncio.timeout(1):
        await handlers.close()


@pytest.mark.asyncio
async def test_a_handler_may_close_its_own_node() -> None:
    handlers = DataHandlers(Witness())
    closed = asyncio.Event()

    async def closing(payload: Any, author: str) -> None:
        await handlers.close()
        closed.set()

    handlers.register(closing)
    handlers.dispatch(1, "ab")
    async with asyncio.timeout(1):
        await closed.wait()


@pytest.mark.asyncio
async def test_a_plain_function_is_called_on_the_spot() -> None:
    handlers = DataHandlers(Witness())
    inbox = Inbox(1)
    handlers.register(inbox)
    handlers.dispatch({"n": 0}, "ab")

    assert inbox.messages == [({"n": 0}, "ab")]


@pytest.mark.asyncio
async def test_a_plain_function_that_raises_is_reported_and_keeps_nobody_from_being_called() -> None:
    witness, inbox = Witness(), Inbox(1)
    handlers = DataHandlers(witness)

    def broken(_payload: Any, _author: str) -> None:
        raise ValueError("broken")

    handlers.register(broken)
    handlers.register(inbox)
    handlers.dispatch({"n": 0}, "ab")

    assert [str(error) for error in witness.errors] == ["broken"]
    assert len(inbox.messages) == 1
