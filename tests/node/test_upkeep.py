from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from node.metrics.names import LAG_BOUNDS
from node.metrics.readings import RuntimeStats
from node.node import upkeep
from node.node.log import EventLog
from node.node.resolver import ResolutionError
from node.node.upkeep import follow, keep_health_file, measure_lag, resolve_seeds, watch_clock
from node.transport.stats import Histogram
from node.types import SECOND, Address, Duration


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LAG_INTERVAL", "HEALTH_INTERVAL", "FOLLOW_INTERVAL", "RETRY_MIN", "RETRY_MAX", "RENEW_INTERVAL"):
        monkeypatch.setattr(upkeep, name, 0.001)


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.get_running_loop().create_task(work)
    try:
        async with asyncio.timeout(5):
            yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


class CountingHistogram(Histogram):
    def __init__(self) -> None:
        super().__init__(LAG_BOUNDS)
        self.values: list[Duration] = []
        self.has_values = asyncio.Event()

    def observe(self, value: Duration) -> None:
        self.values.append(value)
        if len(self.values) == 3:
            self.has_values.set()


@pytest.mark.asyncio
async def test_lag_is_measured_again_and_again_and_never_negative() -> None:
    lag, told = CountingHistogram(), list[int]()

    async with running(measure_lag(lag, told.append)):
        await lag.has_values.wait()

    assert min(lag.values) >= 0
    assert 0 <= told[0] <= lag.values[0]


@pytest.mark.asyncio
async def test_a_clock_that_is_set_is_told_once_by_how_much_and_the_shift_is_kept(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    start = time.time_ns()
    clock = [start, start + SECOND // 2, start + 3600 * SECOND, start + 3600 * SECOND, start - 60 * SECOND]
    over = asyncio.Event()

    def now() -> int:
        if len(clock) == 1:
            over.set()
            return clock[0]
        return clock.pop(0)

    monkeypatch.setattr("node.node.upkeep.time.time_ns", now)
    monkeypatch.setattr("node.node.upkeep.time.monotonic_ns", lambda: 5 * SECOND)
    runtime = RuntimeStats()

    with caplog.at_level(logging.WARNING, "positron"):
        async with running(watch_clock(start - 5 * SECOND, runtime, EventLog(runtime))):
            await over.wait()

    assert [record.fields for record in caplog.records] == [  # type: ignore[attr-defined]  # of our own records
        {"by_seconds": 3600.0, "shift_seconds": 3600.0},
        {"by_seconds": -3660.0, "shift_seconds": -60.0},
    ]
    assert {record.getMessage() for record in caplog.records} == {"wall_clock_set"}
    assert runtime.clock_shift == -60 * SECOND


@pytest.mark.asyncio
async def test_the_health_file_is_there_while_the_node_is_ready_and_gone_afterwards(tmp_path: Path) -> None:
    file = tmp_path / "health"
    asked = asyncio.Event()
    answers = [True, True, False, True]
    seen: list[bool] = []

    def is_ready() -> bool:
        seen.append(file.exists())
        if not answers:
            asked.set()
            return True
        return answers.pop(0)

    async with running(keep_health_file(str(file), is_ready, EventLog(RuntimeStats()))):
        await asked.wait()

    assert seen[:5] == [False, True, True, False, True]
    assert not file.exists()


@pytest.mark.asyncio
async def test_a_health_file_that_cannot_be_written_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asked = asyncio.Event()

    def is_ready() -> bool:
        if caplog.records:
            asked.set()
        return True

    async with running(keep_health_file(str(tmp_path / "no" / "health"), is_ready, EventLog(RuntimeStats()))):
        await asked.wait()

    assert caplog.records[0].getMessage() == "health_file_not_written"


@pytest.mark.asyncio
async def test_an_action_is_repeated() -> None:
    calls = 0
    enough = asyncio.Event()

    def action() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            enough.set()

    async with running(follow(action)):
        await enough.wait()


@pytest.mark.asyncio
async def test_an_address_is_added_once_and_never_looked_up_again() -> None:
    added: list[Address] = []

    await asyncio.wait_for(
        resolve_seeds(("127.0.0.1", 9000), "0.0.0.0", added.append, EventLog(RuntimeStats())), timeout=5
    )

    assert added == [("127.0.0.1", 9000)]


@pytest.mark.asyncio
async def test_an_unknown_name_is_one_warning_and_is_looked_up_until_it_is_known(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answers: list[tuple[Address, ...] | ResolutionError] = [ResolutionError("Name or service not known")] * 3
    answers += [(("10.0.0.1", 9000),), (("10.0.0.1", 9000), ("10.0.0.2", 9000))]

    async def answer(*_: object) -> tuple[Address, ...]:
        given = answers.pop(0)
        if isinstance(given, ResolutionError):
            raise given
        return given

    added: list[Address] = []
    complete = asyncio.Event()

    def add(address: Address) -> None:
        added.append(address)
        if len(added) == 2:
            complete.set()

    monkeypatch.setattr(upkeep, "resolve", answer)
    monkeypatch.setattr(upkeep, "RETRY_MAX", 0.004)
    with caplog.at_level(logging.WARNING, "positron"):
        async with running(resolve_seeds(("seed", 9000), "0.0.0.0", add, EventLog(RuntimeStats()))):
            await complete.wait()

    assert added == [("10.0.0.1", 9000), ("10.0.0.2", 9000)]
    assert [record.getMessage() for record in caplog.records] == ["bootstrap_unknown"]
