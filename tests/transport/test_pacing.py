"""Packets leave at the rate, in bursts that an event loop can keep up with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.transport.pacing import Pacer
from node.types import MICROSECOND, MILLISECOND, SECOND, Duration, Instant

PACKET = 1_400
BURST = 10 * PACKET


def pacer(rate: int) -> Pacer:
    machine = Pacer(PACKET)
    machine.rate = rate
    return machine


def send_for(machine: Pacer, duration: Duration, *, lateness: Duration = 0, poll: Duration = 0) -> int:
    """Bytes sent by a sender that always has more, whose timer fires `lateness` after the instant it asked for.

    poll: asks at least this often, as a connection does that is busy receiving.
    """
    now: Instant = 0
    sent = 0
    while now < duration:
        while machine.may_send(now):
            machine.on_sent(PACKET)
            sent += PACKET
        assert machine.blocked_until is not None
        assert machine.blocked_until > now, "a timer in the past spins"
        now = machine.blocked_until + lateness if not poll else min(machine.blocked_until, now + poll)
    return sent


def test_without_a_rate_nothing_is_held_back() -> None:
    machine = pacer(0)
    for _ in range(1_000):
        assert machine.may_send(0)
        machine.on_sent(PACKET)
    assert machine.blocked_until is None


def test_a_first_burst_is_allowed_and_then_no_more() -> None:
    machine = pacer(1_000_000)
    sent = 0
    while machine.may_send(0):
        machine.on_sent(PACKET)
        sent += 1
    assert sent == 10


@pytest.mark.parametrize("rate", [2_000, 100_000, 1_000_000, 100_000_000])
def test_rate_is_kept(rate: int) -> None:
    sent = send_for(pacer(rate), 20 * SECOND)
    assert sent <= 20 * rate + BURST + rate * 7 * MILLISECOND // SECOND + PACKET
    assert sent >= 20 * rate * 0.99 - PACKET


@pytest.mark.parametrize("rate", [100_000, 10_000_000])
@pytest.mark.must("M60")
def test_rate_is_kept_by_an_event_loop_that_is_late(rate: int) -> None:
    assert send_for(pacer(rate), 5 * SECOND, lateness=4 * MILLISECOND) >= 5 * rate * 0.97


@pytest.mark.must("M60")
def test_the_rate_is_kept_by_an_event_loop_that_is_always_late_by_more() -> None:
    rate = 10_000_000
    assert send_for(pacer(rate), 5 * SECOND, lateness=15 * MILLISECOND) >= 5 * rate * 0.95


@pytest.mark.parametrize(("latenesses", "most"), [([200, 0, 0], 7), ([1_000] * 50, 22)])
def test_a_burst_makes_up_for_what_is_usual_and_at_most_for_twenty_milliseconds(
    latenesses: list[int], most: int
) -> None:
    machine = pacer(10_000_000)
    now: Instant = 0
    for lateness in latenesses:
        burst_after(machine, now)
        assert machine.blocked_until is not None
        now = machine.blocked_until + lateness * MILLISECOND
    machine.blocked_until = None
    assert burst_after(machine, now + SECOND) <= machine.rate * most * MILLISECOND // SECOND + PACKET


def burst_after(machine: Pacer, now: Instant) -> int:
    """Bytes that may leave at once."""
    sent = 0
    while machine.may_send(now):
        machine.on_sent(PACKET)
        sent += PACKET
    return sent


@pytest.mark.parametrize("rate", [2_000, 7_000, 100_000])
def test_rate_is_kept_however_often_the_pacer_is_asked(rate: int) -> None:
    sent = send_for(pacer(rate), 10 * SECOND, poll=200 * MICROSECOND)
    assert sent >= 10 * rate * 0.95


def test_a_long_pause_saves_up_no_more_than_a_burst() -> None:
    machine = pacer(1_000_000)
    machine.may_send(0)
    sent = 0
    while machine.may_send(100 * SECOND):
        machine.on_sent(PACKET)
        sent += PACKET
    assert sent <= BURST + PACKET


def test_a_debt_left_by_probes_is_paid_back() -> None:
    machine = pacer(1_000_000)
    machine.on_sent(BURST + 100_000)
    assert not machine.may_send(0)
    assert machine.blocked_until is not None
    assert machine.blocked_until >= 100 * MILLISECOND


@given(st.integers(1, 1 << 40), st.lists(st.integers(0, 10 * MILLISECOND), max_size=100))
def test_whenever_it_blocks_it_names_a_later_instant_at_which_it_does_not(rate: int, steps: list[int]) -> None:
    machine = pacer(rate)
    now = 0
    for step in steps:
        now += step
        if machine.may_send(now):
            machine.on_sent(PACKET)
            continue
        assert machine.blocked_until is not None
        assert machine.blocked_until > now
        now = machine.blocked_until
        assert machine.may_send(now)
