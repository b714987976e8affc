"""A host that did not run for a while goes on as before: what that delayed says nothing about its paths."""

from __future__ import annotations

import pytest

from node.impairment.link import LinkSettings, Order
from node.types import MILLISECOND, SECOND
from tests.pair import Pair


@pytest.mark.must("M81")
def test_a_loss_after_a_long_pause_is_found_within_round_trips() -> None:
    pair = Pair(link=LinkSettings(delay=10 * MILLISECOND, jitter=8 * MILLISECOND, order=Order.NATURAL))
    pair.connect()
    for _ in range(20):
        pair.client.send(bytes(3_000))
        pair.run(0.02)
    # What has come meanwhile is read when the host goes on, in an order that says nothing about the path.
    pair.client.send(bytes(20_000))
    pair.world.pause(pair.client.host, 10 * SECOND)
    pair.run(12)
    delays = []
    for number in range(50):
        pair.set_link(LinkSettings(delay=10 * MILLISECOND, loss=1.0))
        message_id = pair.client.send(bytes([number]) * 1_000)
        pair.set_link(LinkSettings(delay=10 * MILLISECOND))
        began = pair.world.now
        pair.client.send(b"a later one")
        assert pair.run_until(lambda wanted=message_id: wanted in pair.client.acknowledged(), 30)  # type: ignore[misc]
        delays.append(pair.world.now - began)
        pair.run(0.2)
    assert max(delays) < SECOND // 2


@pytest.mark.must("M81")
def test_a_standstill_is_no_round_trip() -> None:
    pair = Pair(link=LinkSettings(delay=10 * MILLISECOND))
    pair.connect()
    for _ in range(20):
        pair.client.send(bytes(3_000))
        pair.run(0.05)
    before = pair.client.snapshot
    pair.client.send(bytes(20_000))
    pair.world.pause(pair.client.host, 20 * SECOND)
    pair.run(25)
    after = pair.client.snapshot
    assert after.smoothed_rtt is not None
    assert before.smoothed_rtt is not None
    assert after.smoothed_rtt < 2 * before.smoothed_rtt
    assert after.computed_rto < 2 * before.computed_rto
    assert len(pair.server.received()) == 21
