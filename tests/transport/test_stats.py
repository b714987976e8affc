from __future__ import annotations

from node.transport.stats import RTT_BOUNDS, EndpointStats, Histogram
from node.types import MILLISECOND
from tests.pair import Pair


def test_a_histogram_takes_in_another_one_and_a_copy_counts_by_itself() -> None:
    one, other = Histogram(RTT_BOUNDS), Histogram(RTT_BOUNDS)
    one.observe(20 * MILLISECOND)
    other.observe(20 * MILLISECOND)
    other.observe(900 * MILLISECOND)

    sums = one.copy()
    sums.absorb(other)

    assert (sum(one.counts), sum(other.counts), sum(sums.counts)) == (1, 2, 3)
    assert max(sums.counts) == 2
    assert sums.total == 940 * MILLISECOND


def test_the_round_trips_of_an_endpoint_are_those_of_its_connections_read_as_often_as_you_like() -> None:
    pair = Pair()
    pair.connect()
    pair.client.send(b"once")
    pair.run(1)
    (snapshot,) = pair.client.endpoint.snapshots()
    for _ in range(2):
        counted = pair.client.endpoint.stats.rtt
        assert counted.counts == snapshot.stats.rtt.counts
        assert counted.total == snapshot.stats.rtt.total > 0


def test_the_sum_over_connections_leaves_those_that_are_gone_as_they_were() -> None:
    gone, here = EndpointStats(), EndpointStats()
    gone.rtt.observe(MILLISECOND)
    assert sum(gone.plus([]).rtt.counts) == 1
    here.rtt.observe(MILLISECOND)
    assert sum(gone.rtt.counts) == 1
