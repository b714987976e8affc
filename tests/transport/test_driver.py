"""The driver on a real loop, with a machine whose behaviour each test writes down."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from node.transport.driver import POLL_RETRY_PERIOD, POLLS_IN_VAIN_MAX, STEPS_PER_TURN_MAX, Driver
from node.types import MILLISECOND, SECOND, Instant
from tests.transport.sleeping import Naps

DEADLINE = 5.0


@dataclass(frozen=True)
class Output:
    text: str


@dataclass
class Script:
    """A machine that answers each input with one output and one event, and each timeout with an event."""

    outputs: deque[object] = field(default_factory=deque)
    events: deque[str] = field(default_factory=deque)
    timeout_at: Instant | None = None
    timeouts: list[Instant] = field(default_factory=list)

    def receive(self, event: str, now: Instant) -> None:
        self.outputs.append(Output(event))
        self.events.append(event)

    def handle_timeout(self, now: Instant) -> None:
        self.timeouts.append(now)
        self.timeout_at = None
        self.events.append("timeout")

    def poll_transmit(self, now: Instant) -> object | None:
        return self.outputs.popleft() if self.outputs else None

    def poll_event(self) -> str | None:
        return self.events.popleft() if self.events else None

    def next_timeout(self) -> Instant | None:
        return self.timeout_at


async def wait_until(condition: Callable[[], bool], signal: asyncio.Event) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await signal.wait()
            signal.clear()


@pytest.mark.asyncio
async def test_outputs_go_to_the_sink_of_their_class_and_events_to_the_owner_in_order() -> None:
    machine, sent, seen = Script(), list[str](), list[str]()
    driver = Driver(machine, on_event=seen.append)
    driver.attach(Output, lambda output: sent.append(output.text))
    driver.feed(["a", "b"])
    assert (sent, seen) == (["a", "b"], ["a", "b"])


@pytest.mark.asyncio
async def test_a_command_given_while_an_event_is_handled_is_drained_before_pump_returns() -> None:
    machine, seen = Script(), list[str]()

    def on_event(event: str) -> None:
        seen.append(event)
        if event == "first":
            machine.events.append("second")
            driver.pump()

    driver = Driver(machine, on_event=on_event)
    driver.attach(Output, lambda output: None)
    driver.feed(["first"])
    assert seen == ["first", "second"]


@pytest.mark.asyncio
async def test_inputs_fed_by_a_sink_reach_the_machine_before_feed_returns() -> None:
    machine, seen = Script(), list[str]()
    driver = Driver(machine, on_event=seen.append)
    driver.attach(Output, lambda output: driver.feed(["refused"]) if output.text == "dial" else None)
    driver.feed(["dial"])
    assert sorted(seen) == ["dial", "refused"]


@pytest.mark.asyncio
async def test_the_timer_fires_at_the_machines_deadline_and_not_before() -> None:
    machine, fired = Script(), asyncio.Event()
    driver = Driver(machine, on_event=lambda event: fired.set())
    deadline = driver.now() + 20 * MILLISECOND
    machine.timeout_at = deadline
    driver.pump()
    await asyncio.wait_for(fired.wait(), DEADLINE)
    assert len(machine.timeouts) == 1
    assert machine.timeouts[0] >= deadline


@pytest.mark.asyncio
async def test_a_deadline_that_moves_nearer_fires_at_the_nearer_time() -> None:
    machine, fired = Script(), asyncio.Event()
    driver = Driver(machine, on_event=lambda event: fired.set())
    machine.timeout_at = driver.now() + 100 * SECOND
    driver.pump()
    machine.timeout_at = driver.now() + 5 * MILLISECOND
    driver.pump()
    await asyncio.wait_for(fired.wait(), DEADLINE)


@pytest.mark.asyncio
async def test_a_deadline_that_moves_away_is_not_kept_early() -> None:
    machine, fired = Script(), asyncio.Event()
    driver = Driver(machine, on_event=lambda event: fired.set())
    machine.timeout_at = driver.now() + 2 * MILLISECOND
    driver.pump()
    later = driver.now() + 30 * MILLISECOND
    machine.timeout_at = later
    driver.pump()
    await asyncio.wait_for(fired.wait(), DEADLINE)
    assert machine.timeouts[0] >= later


@pytest.mark.asyncio
async def test_a_machine_with_much_to_say_lets_the_loop_turn() -> None:
    machine, signal, turns = Script(), asyncio.Event(), list[int]()
    seen: list[str] = []

    def on_event(event: str) -> None:
        seen.append(event)
        signal.set()

    driver = Driver(machine, on_event=on_event)
    machine.events.extend("x" * (3 * STEPS_PER_TURN_MAX))
    driver.pump()
    asyncio.get_running_loop().call_soon(lambda: turns.append(len(seen)))
    assert len(seen) == STEPS_PER_TURN_MAX
    await wait_until(lambda: len(seen) == 3 * STEPS_PER_TURN_MAX, signal)
    assert turns[0] < 3 * STEPS_PER_TURN_MAX


@pytest.mark.asyncio
async def test_a_loop_that_polls_does_not_sleep_until_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    naps = Naps(monkeypatch)
    driver = Driver(Script(), on_event=lambda event: None, busy_poll=5 * MILLISECOND)
    driver.attach(Output, lambda output: None)
    for text in ("first", "second"):
        awake_until = driver.now() + 5 * MILLISECOND
        driver.feed([text])
        assert await naps.next() >= awake_until


@pytest.mark.asyncio
async def test_polling_in_vain_ends_and_is_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    naps = Naps(monkeypatch)
    driver = Driver(Script(), on_event=lambda event: None, busy_poll=MILLISECOND)
    for _ in range(POLLS_IN_VAIN_MAX):
        awake_until = driver.now() + MILLISECOND
        driver.pump()
        assert await naps.next() >= awake_until
    driver.pump()
    await naps.next()
    assert naps.looks <= 3
    for _ in range(POLL_RETRY_PERIOD - 2):
        driver.pump()
    awake_until = driver.now() + MILLISECOND
    driver.pump()
    assert await naps.next() >= awake_until


@pytest.mark.asyncio
async def test_polling_that_is_answered_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    naps = Naps(monkeypatch)
    driver = Driver(Script(), on_event=lambda event: None, busy_poll=MILLISECOND)
    driver.attach(Output, lambda output: None)
    for _ in range(2 * POLLS_IN_VAIN_MAX):
        driver.pump()
        awake_until = driver.now() + MILLISECOND
        driver.feed(["answer"])
        assert await naps.next() >= awake_until


@pytest.mark.asyncio
async def test_a_loop_that_need_not_poll_sleeps_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    naps = Naps(monkeypatch)
    driver = Driver(Script(), on_event=lambda event: None)
    driver.attach(Output, lambda output: None)
    driver.feed(["only"])
    await naps.next()
    assert naps.looks <= 3


@pytest.mark.asyncio
async def test_a_closed_driver_keeps_no_loop_awake(monkeypatch: pytest.MonkeyPatch) -> None:
    naps = Naps(monkeypatch)
    driver = Driver(Script(), on_event=lambda event: None, busy_poll=SECOND)
    driver.pump()
    driver.close()
    await naps.next()
    assert naps.looks <= 3


@pytest.mark.asyncio
async def test_a_closed_driver_does_nothing_more() -> None:
    machine, seen = Script(), list[str]()
    driver = Driver(machine, on_event=seen.append)
    machine.timeout_at = driver.now()
    driver.pump()
    driver.close()
    driver.feed(["late"])
    await asyncio.sleep(0)
    assert not seen
    assert not machine.timeouts


@pytest.mark.asyncio
async def test_closing_from_an_event_stops_the_drain() -> None:
    machine, seen = Script(), list[str]()

    def on_event(event: str) -> None:
        seen.append(event)
        driver.close()

    driver = Driver(machine, on_event=on_event)
    machine.events.extend(["last", "never"])
    driver.pump()
    assert seen == ["last"]


@pytest.mark.asyncio
async def test_an_error_of_the_machine_surfaces_and_the_driver_stays_usable() -> None:
    machine, seen = Script(), list[str]()
    driver = Driver(machine, on_event=seen.append)
    driver.attach(Output, lambda output: None)
    machine.outputs.append("an output that nobody takes")
    with pytest.raises(KeyError):
        driver.pump()
    driver.feed(["next"])
    assert seen == ["next"]


@pytest.mark.asyncio
async def test_flush_says_everything_at_once() -> None:
    machine, seen = Script(), list[str]()
    driver = Driver(machine, on_event=seen.append)
    machine.events.extend("x" * (3 * STEPS_PER_TURN_MAX))
    driver.flush()
    assert len(seen) == 3 * STEPS_PER_TURN_MAX


@pytest.mark.asyncio
async def test_flush_ends_when_the_driver_is_closed_meanwhile() -> None:
    machine, seen = Script(), list[str]()

    def on_event(event: str) -> None:
        seen.append(event)
        driver.close()

    driver = Driver(machine, on_event=on_event)
    machine.events.extend("xy")
    driver.flush()
    driver.flush()
    assert seen == ["x"]
