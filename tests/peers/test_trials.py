"""Whom to pass over after a failed dial, and when strangers are worth a dial."""

from __future__ import annotations

from random import Random

from node.peers.trials import DOUBTS, DOUBTS_MAX, PASS_MAX, PAUSE_MAX, Trials
from node.types import SECOND, NodeId
from node.wire.limits import DIAL_RETRY_MAX, TRIALS_MAX

ANN = NodeId(b"a" * 32)


def key(number: int) -> NodeId:
    return NodeId(number.to_bytes(32, "big"))


def doubting(failures: int = DOUBTS) -> Trials:
    trials = Trials(Random(1))
    for number in range(failures):
        trials.failed(key(number), 0, is_met=False)
    return trials


def test_who_could_not_be_reached_is_passed_over_for_a_while() -> None:
    trials = Trials(Random(1))
    assert not trials.is_passed_over(ANN, 0)
    assert trials.failed(ANN, 0, is_met=False) == 1
    assert trials.is_passed_over(ANN, 2 * SECOND - 1)
    assert not trials.is_passed_over(ANN, 4 * SECOND)


def passed_for(trials: Trials, *, is_met: bool) -> int:
    trials.failed(ANN, 0, is_met=is_met)
    return next(seconds for seconds in range(1_000) if not trials.is_passed_over(ANN, seconds * SECOND))


def test_the_time_doubles_and_ends_sooner_for_who_was_met() -> None:
    trials = Trials(Random(1))
    times = [passed_for(trials, is_met=False) for _ in range(12)]
    assert times[4] >= 4 * times[0]
    assert PASS_MAX // SECOND // 2 <= times[-1] <= PASS_MAX // SECOND + 1
    trials = Trials(Random(1))
    assert max(passed_for(trials, is_met=True) for _ in range(12)) <= DIAL_RETRY_MAX // SECOND + 1


def test_who_was_reached_is_not_passed_over_and_begins_anew() -> None:
    trials = Trials(Random(1))
    for _ in range(5):
        trials.failed(ANN, 0, is_met=False)
    trials.reached(ANN, is_new=True)
    assert not trials.is_passed_over(ANN, 0)
    assert trials.failed(ANN, 0, is_met=False) == 1


def test_strangers_are_tried_freely_until_many_in_a_row_are_not_there() -> None:
    trials = doubting(DOUBTS - 1)
    assert trials.may_try(0)
    trials.failed(ANN, 0, is_met=False)
    assert trials.are_doubted
    assert not trials.may_try(0)
    assert trials.may_try(2 * SECOND)


def test_the_pause_between_doubted_strangers_grows_to_its_bound() -> None:
    trials = doubting(10 * DOUBTS)
    assert trials.doubts == DOUBTS_MAX
    assert not trials.may_try(PAUSE_MAX - 1)
    assert trials.may_try(PAUSE_MAX)
    trials.tries(PAUSE_MAX)
    assert not trials.may_try(2 * PAUSE_MAX - 1)


def test_strangers_that_are_there_end_the_doubt() -> None:
    trials = doubting(10 * DOUBTS)
    for number in range(3):
        trials.reached(key(number), is_new=True)
    assert not trials.are_doubted
    assert trials.may_try(0)


def test_who_was_met_before_neither_raises_nor_ends_a_doubt() -> None:
    trials = doubting(DOUBTS - 1)
    for number in range(20):
        trials.failed(key(number), 0, is_met=True)
    assert not trials.are_doubted
    trials = doubting()
    trials.reached(ANN, is_new=False)
    assert trials.are_doubted


def test_the_failures_that_are_remembered_are_bounded() -> None:
    assert len(doubting(TRIALS_MAX + 50)) == TRIALS_MAX
