"""Small messages over links that lose, delay and reorder arrive nearly as soon as the path lets them."""

from __future__ import annotations

import pytest

from node.impairment.link import GilbertElliott, LinkSettings, Order
from node.sim.figures import percentile
from node.sim.latency import Stream, stream
from node.types import MILLISECOND


@pytest.mark.parametrize("rtt", [10, 20, 200])
@pytest.mark.parametrize("loss", [0.0, 0.05, 0.1])
def test_small_messages_over_a_lossy_path_take_no_longer_than_one_round_trip_per_loss(rtt: int, loss: float) -> None:
    seen = stream(Stream(link=LinkSettings(delay=rtt * MILLISECOND // 2, loss=loss), messages=2000))
    assert seen.missing == 0
    assert percentile(seen.delays, 0.5) <= 1.1 * percentile(seen.ideal, 0.5)
    assert percentile(seen.delays, 0.99) <= percentile(seen.ideal, 0.99) / 0.85


@pytest.mark.parametrize("rtt", [10, 20, 200])
def test_bursts_cost_no_more_than_one_round_trip(rtt: int) -> None:
    link = LinkSettings(delay=rtt * MILLISECOND // 2, bursts=GilbertElliott(p=0.02, r=0.4))
    seen = stream(Stream(link=link, messages=4000))
    assert seen.missing == 0
    assert seen.spurious < 0.001
    assert percentile(seen.delays, 0.5) <= percentile(seen.ideal, 0.5)
    # One retransmission at once takes a round trip and a half, whatever the ideal makes of the same bursts.
    assert percentile(seen.delays, 0.99) <= min(percentile(seen.ideal, 0.99), 1.5 * rtt * MILLISECOND) / 0.85


def test_what_is_said_again_ahead_of_need_is_bounded() -> None:
    link = LinkSettings(delay=5 * MILLISECOND, bursts=GilbertElliott(p=0.02, r=0.4))
    seen = stream(Stream(link=link, messages=2000))
    # A packet for each message, and one in five more: those that ask anew, and the retransmissions.
    assert seen.sender.stats.packets_sent <= 1.2 * 2000


@pytest.mark.parametrize(
    "link",
    [
        LinkSettings(delay=20 * MILLISECOND, jitter=10 * MILLISECOND),
        LinkSettings(delay=20 * MILLISECOND, jitter=10 * MILLISECOND, order=Order.NATURAL),
        LinkSettings(delay=10 * MILLISECOND, reorder=0.01),
    ],
    ids=["jitter", "jitter that reorders", "reordering"],
)
def test_packets_that_are_only_late_are_hardly_ever_sent_again(link: LinkSettings) -> None:
    seen = stream(Stream(link=link, messages=4000))
    assert seen.missing == 0
    assert seen.spurious < 0.001
    assert percentile(seen.delays, 0.99) <= percentile(seen.ideal, 0.99) / 0.85


def test_the_ideal_is_the_path_and_a_round_trip_for_each_loss() -> None:
    clean = stream(Stream(link=LinkSettings(delay=10 * MILLISECOND), messages=300))
    assert set(clean.ideal) == {10 * MILLISECOND}
    lossy = stream(Stream(link=LinkSettings(delay=10 * MILLISECOND, loss=0.3), messages=1000))
    assert set(lossy.ideal) <= {(10 + 20 * losses) * MILLISECOND for losses in range(20)}
    share = sum(delay > 10 * MILLISECOND for delay in lossy.ideal) / len(lossy.ideal)
    assert share == pytest.approx(0.3, abs=0.08)


def test_the_same_seed_gives_the_same_delays() -> None:
    asked = Stream(link=LinkSettings(delay=10 * MILLISECOND, loss=0.1), messages=500, seed=3)
    assert stream(asked) == stream(asked)
