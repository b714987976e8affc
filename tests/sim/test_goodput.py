"""Random loss costs what it loses and no more, queues stay short, and equal flows get equal shares."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.impairment.link import LossAt
from node.sim.goodput import Bulk, jain, measure, observe
from node.transport.events import Delivery


@pytest.mark.parametrize(("loss", "seed"), [(0.0, 1), (0.01, 1), (0.05, 1), (0.1, 1), (0.2, 1), (0.2, 6)])
def test_lossfloor_fills_the_path_whatever_it_loses(loss: float, seed: int) -> None:
    goodput = measure(Bulk(rate=20e6, rtt=0.04, loss=loss, seconds=2, seed=seed))
    assert goodput >= 0.95 * 20e6 * (1 - loss)


@pytest.mark.parametrize("loss", [0.01, 0.1, 0.2])
def test_loss_behind_the_line_costs_no_more_either(loss: float) -> None:
    goodput = measure(Bulk(rate=50e6, rtt=0.02, loss=loss, loss_at=LossAt.EXIT, warm_up=2, seconds=1))
    assert goodput >= 0.94 * 50e6 * (1 - loss)


@pytest.mark.parametrize("seed", range(1, 7))
def test_a_fast_and_lossy_path_is_full_after_a_second(seed: int) -> None:
    goodput = measure(Bulk(rate=50e6, rtt=0.04, loss=0.1, seconds=0.5, seed=seed))
    assert goodput >= 0.95 * 50e6 * 0.9


@pytest.mark.parametrize("loss", [0.0, 0.05])
def test_one_flow_adds_at_most_half_a_round_trip_of_queue(loss: float) -> None:
    outcome = observe(Bulk(rate=20e6, rtt=0.04, loss=loss, loss_at=LossAt.EXIT, seconds=3))
    assert outcome.queue_delay <= 0.5 * 0.04


@pytest.mark.parametrize("rtt", [0.1, 0.2])
def test_a_path_that_holds_nearly_all_that_may_wait_to_be_sent_has_no_longer_queue(rtt: float) -> None:
    outcome = observe(Bulk(rate=100e6, rtt=rtt, warm_up=3, seconds=1))
    # The queue of the sender is empty whenever all of it is under way: that is no application with little to say.
    assert outcome.queue_delay <= 0.25 * rtt
    assert sum(outcome.goodputs) >= 0.95 * 100e6
    (sender,) = outcome.connections
    assert sum(sender.stats.packets_lost.values()) <= 0.1 * sender.stats.packets_sent


@pytest.mark.parametrize(("flows", "buffer"), [(2, 1.0), (4, 1.0), (4, 4.0)])
def test_equal_flows_get_equal_shares(flows: int, buffer: float) -> None:
    outcome = observe(Bulk(rate=10e6, rtt=0.04, flows=flows, buffer=buffer, warm_up=4, seconds=8))
    assert sum(outcome.goodputs) >= 0.93 * 10e6
    assert jain(outcome.goodputs) >= 0.9


def test_an_event_loop_that_stalls_for_200_ms_loses_no_more_than_that() -> None:
    outcome = observe(Bulk(rate=20e6, rtt=0.04, stall=0.2, seconds=3))
    # A fifth of every second is gone; the queue of a round trip carries on for a while.
    assert sum(outcome.goodputs) >= 0.95 * 0.8 * 20e6


def test_newreno_fills_a_clean_path_and_not_a_lossy_one() -> None:
    clean = measure(Bulk(rate=20e6, rtt=0.04, loss=0.0, seconds=2, congestion="newreno"))
    lossy = measure(Bulk(rate=20e6, rtt=0.04, loss=0.05, seconds=2, congestion="newreno"))
    assert clean >= 0.9 * 20e6
    assert lossy <= 0.2 * 20e6


@pytest.mark.must("M45")
def test_one_ordered_channel_carries_what_a_long_path_does() -> None:
    bulk = Bulk(rate=100e6, rtt=0.1, warm_up=3, seconds=1)
    ordered = observe(replace(bulk, delivery=Delivery.ORDERED))
    assert sum(ordered.goodputs) >= 0.93 * measure(bulk)
    # The credit of the channel had been what limits it, and grew.
    assert ordered.connections[0].stats.channel_credit_used_up > 0


def test_jain_is_one_for_equal_shares_and_one_nth_for_none() -> None:
    assert jain([5.0, 5.0, 5.0]) == pytest.approx(1.0)
    assert jain([5.0, 0.0, 0.0]) == pytest.approx(1 / 3)
