"""A host's clock starts elsewhere and drifts, and its timers still fire at the first instant that is late enough."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node.sim.clock import DRIFT_MAX, Clock
from node.types import MILLISECOND, SECOND

instants = st.integers(0, 10**6 * SECOND)


def test_clock_shows_its_offset_at_the_beginning_of_the_world() -> None:
    assert Clock(5 * SECOND).local_at(0) == 5 * SECOND
    assert Clock(5 * SECOND).world_at(7 * SECOND) == 2 * SECOND


def test_fast_clock_gains_its_drift() -> None:
    clock = Clock()
    clock.set_drift(1_000, 0)
    assert clock.local_at(10 * SECOND) == 10 * SECOND + 10 * MILLISECOND


def test_change_of_drift_does_not_make_the_clock_jump() -> None:
    clock = Clock(3 * SECOND)
    clock.set_drift(1_000, 0)
    before = clock.local_at(10 * SECOND)
    clock.set_drift(-1_000, 10 * SECOND)
    assert clock.local_at(10 * SECOND) == before
    assert clock.local_at(20 * SECOND) == before + 10 * SECOND - 10 * MILLISECOND


@given(offset=instants, drift=st.integers(-DRIFT_MAX, DRIFT_MAX), since=instants, later=instants)
def test_the_instant_of_a_timer_is_the_first_that_is_not_too_early(
    offset: int, drift: int, since: int, later: int
) -> None:
    clock = Clock(offset)
    clock.set_drift(drift, since)
    local = clock.local_at(since) + later
    at = clock.world_at(local)
    assert clock.local_at(at) >= local
    assert clock.local_at(at - 1) < local or not later
