"""The RTT estimator agrees with plain transcriptions of RFC 6298 and RFC 9002."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.transport.rtt import GRANULARITY, INITIAL_RTT, SAMPLE_TIME, SAMPLE_WEIGHT_MAX, RttEstimator
from node.types import MILLISECOND, SECOND
from tests.reference.rfc6298 import RetransmissionTimer
from tests.reference.rfc9002 import LossDetection

ROUNDING = 64
"""Nanoseconds that integer division may add up to: 8 in smoothed_rtt, 12 in rttvar, four times that in the RTO."""

MAX_ACK_DELAY = 10 * MILLISECOND
rtts = st.integers(0, 5 * SECOND)
samples = st.lists(st.tuples(rtts, st.integers(0, 50 * MILLISECOND)), min_size=1, max_size=60)


@given(samples)
@pytest.mark.must("M50")
def test_estimates_follow_rfc_9002(pairs: list[tuple[int, int]]) -> None:
    estimator, reference = RttEstimator(MAX_ACK_DELAY), LossDetection(MAX_ACK_DELAY)
    for index, (rtt, ack_delay) in enumerate(pairs):
        estimator.update(rtt, ack_delay)
        reference.latest_rtt = Fraction(rtt)
        reference.update_rtt(ack_delay, index)
        assert estimator.smoothed_rtt is not None
        assert estimator.rttvar is not None
        assert estimator.latest_rtt == rtt
        assert estimator.min_rtt == reference.min_rtt
        assert abs(estimator.smoothed_rtt - reference.smoothed_rtt) < ROUNDING
        assert abs(estimator.rttvar - reference.rttvar) < ROUNDING
        assert abs(estimator.computed_rto() - reference.probe_timeout()) < ROUNDING
        assert abs(estimator.loss_delay(9, 8) - reference.loss_delay()) < ROUNDING


@given(st.lists(rtts, min_size=1, max_size=60))
@pytest.mark.must("M50")
def test_computed_rto_follows_rfc_6298(several: list[int]) -> None:
    estimator, reference = RttEstimator(MAX_ACK_DELAY), RetransmissionTimer(GRANULARITY)
    for rtt in several:
        estimator.update(rtt, 0)
        reference.measure(rtt)
        assert abs(estimator.computed_rto() - MAX_ACK_DELAY - reference.unbounded_rto()) < ROUNDING


@given(rtts, st.lists(st.tuples(rtts, st.integers(0, 10 * SECOND)), max_size=30))
def test_a_sample_after_a_silence_counts_for_several(first: int, later: list[tuple[int, int]]) -> None:
    estimator, reference = RttEstimator(MAX_ACK_DELAY), RttEstimator(MAX_ACK_DELAY)
    estimator.update(first, 0)
    reference.update(first, 0)
    for rtt, since in later:
        estimator.update(rtt, 0, since)
        weight = max(1, min(SAMPLE_WEIGHT_MAX, int(since / SAMPLE_TIME + 0.5)))
        for step in range(weight):
            rttvar = reference.rttvar
            reference.update(rtt, 0)
            if step % 2:
                reference.rttvar = rttvar
        assert estimator.smoothed_rtt == pytest.approx(reference.smoothed_rtt, abs=ROUNDING)


@pytest.mark.parametrize("since", [SECOND // 2, 2 * SECOND])
def test_what_is_over_is_forgotten_in_seconds_however_rare_the_samples_are(since: int) -> None:
    estimator = RttEstimator(MAX_ACK_DELAY)
    for _ in range(30):
        estimator.update(160 * MILLISECOND, 0, since)
    for _ in range(20 * SECOND // since):
        estimator.update(1 * MILLISECOND, 0, since)

    assert estimator.smoothed_rtt == pytest.approx(MILLISECOND, rel=0.1)
    assert estimator.computed_rto() < 15 * MILLISECOND


@given(samples)
def test_computed_rto_is_never_below_what_a_healthy_path_needs(pairs: list[tuple[int, int]]) -> None:
    estimator = RttEstimator(MAX_ACK_DELAY)
    for rtt, ack_delay in pairs:
        estimator.update(rtt, ack_delay)
    assert estimator.smoothed_rtt is not None
    assert estimator.computed_rto() >= estimator.smoothed_rtt + GRANULARITY + MAX_ACK_DELAY


def test_before_the_first_sample_the_initial_rtt_counts() -> None:
    estimator = RttEstimator(MAX_ACK_DELAY)
    assert (estimator.latest_rtt, estimator.smoothed_rtt, estimator.rttvar, estimator.min_rtt) == (None,) * 4
    assert estimator.computed_rto() == 3 * INITIAL_RTT + MAX_ACK_DELAY
    assert estimator.loss_delay(9, 8) == INITIAL_RTT * 9 // 8


def test_first_sample_sets_everything() -> None:
    estimator = RttEstimator(MAX_ACK_DELAY)
    estimator.update(40 * MILLISECOND, 0)
    assert estimator.smoothed_rtt == estimator.min_rtt == 40 * MILLISECOND
    assert estimator.rttvar == 20 * MILLISECOND
    assert estimator.computed_rto() == 130 * MILLISECOND


def test_steady_samples_bring_the_rto_down_to_its_least() -> None:
    estimator = RttEstimator(MAX_ACK_DELAY)
    for _ in range(100):
        estimator.update(40 * MILLISECOND, 0)
    assert estimator.computed_rto() == 40 * MILLISECOND + GRANULARITY + MAX_ACK_DELAY


def test_delay_of_the_acknowledgement_is_taken_out_of_the_sample() -> None:
    estimator = RttEstimator(MAX_ACK_DELAY)
    for _ in range(200):
        estimator.update(40 * MILLISECOND, 0)
        estimator.update(48 * MILLISECOND, 8 * MILLISECOND)
    assert estimator.smoothed_rtt == pytest.approx(40 * MILLISECOND, abs=ROUNDING)


def test_a_delay_above_the_promise_of_the_peer_does_not_shrink_the_sample() -> None:
    estimator = RttEstimator(MAX_ACK_DELAY)
    estimator.update(40 * MILLISECOND, 0)
    for _ in range(300):
        estimator.update(100 * MILLISECOND, SECOND)
    assert estimator.smoothed_rtt == pytest.approx(90 * MILLISECOND, abs=ROUNDING)


@pytest.mark.must("M51")
def test_a_delay_that_would_beat_the_fastest_sample_is_not_believed() -> None:
    estimator = RttEstimator(MAX_ACK_DELAY)
    for _ in range(300):
        estimator.update(40 * MILLISECOND, 10 * MILLISECOND)
    assert estimator.smoothed_rtt == 40 * MILLISECOND


def test_loss_delay_is_never_finer_than_the_clock() -> None:
    estimator = RttEstimator(MAX_ACK_DELAY)
    estimator.update(0, 0)
    assert estimator.loss_delay(9, 8) == GRANULARITY
