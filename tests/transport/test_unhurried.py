"""Unreliable messages that come alone: acknowledged with the next packet, and their sender is not misled by that."""

from __future__ import annotations

import pytest

from node.impairment.link import LinkSettings
from node.transport.events import Delivery
from node.transport.packet import SentPacket
from node.types import MILLISECOND
from node.wire.limits import UNHURRIED_ACK_DELAY
from tests.pair import Pair
from tests.transport.test_recovery import Bench, steady

DELAY = 10 * MILLISECOND


def unhurried(bench: Bench) -> int:
    packet = SentPacket(bench.next_number, bench.now, 80, is_ack_eliciting=True, is_unhurried=True)
    bench.recovery.on_sent(packet)
    bench.next_number += 1
    return packet.number


def test_the_timer_waits_longer_for_what_may_be_acknowledged_late() -> None:
    bench = steady()
    unhurried(bench)
    sent_at, rto = bench.now, bench.rtt.computed_rto()
    assert bench.recovery.next_timeout() == sent_at + rto + UNHURRIED_ACK_DELAY
    assert not bench.recovery.is_answer_near
    bench.send()
    assert bench.recovery.next_timeout() == sent_at + rto
    assert bench.recovery.is_answer_near


def test_the_timer_forgets_hurry_with_the_packet_that_was_in_one() -> None:
    bench = steady()
    number = unhurried(bench)
    (other,) = bench.send()
    bench.wait(40 * MILLISECOND)
    bench.ack(other)
    assert bench.recovery.in_flight()[0].number == number
    assert not bench.recovery.is_answer_near


def test_a_late_acknowledgement_is_a_sample_of_the_path_alone() -> None:
    bench = steady()
    number = unhurried(bench)
    bench.wait(540 * MILLISECOND)
    bench.ack(number, delay=500 * MILLISECOND)
    assert bench.rtt.latest_rtt == 40 * MILLISECOND


def test_a_delay_that_would_beat_every_sample_is_not_believed() -> None:
    bench = steady()
    number = unhurried(bench)
    bench.wait(540 * MILLISECOND)
    bench.ack(number, delay=535 * MILLISECOND)
    assert bench.rtt.latest_rtt == bench.rtt.min_rtt == 40 * MILLISECOND


@pytest.mark.parametrize(("path", "is_doubtful"), [(40, False), (31, False), (28, True), (1, True)])
def test_a_path_that_may_have_become_much_faster_is_to_be_measured(path: int, is_doubtful: bool) -> None:
    bench = steady(40 * MILLISECOND)
    number = unhurried(bench)
    bench.wait(540 * MILLISECOND)
    assert bench.ack(number, delay=(540 - path) * MILLISECOND).is_doubtful is is_doubtful
    (number,) = bench.send()
    bench.wait(path * MILLISECOND)
    assert not bench.ack(number).is_doubtful


@pytest.mark.parametrize("drift", [-0.0003, 0.0003])
def test_clocks_that_drift_raise_no_doubt(drift: float) -> None:
    bench = steady(100_000)
    number = unhurried(bench)
    bench.wait(UNHURRIED_ACK_DELAY)
    delay = UNHURRIED_ACK_DELAY - 100_000 + int(drift * UNHURRIED_ACK_DELAY)
    assert not bench.ack(number, delay=delay).is_doubtful


def test_links_with_nothing_but_heartbeats_find_out_that_their_path_has_become_faster() -> None:
    pair = Pair(link=LinkSettings(delay=40 * MILLISECOND))
    pair.connect()

    def beat(times: int) -> None:
        for _ in range(times):
            for side in (pair.client, pair.server):
                side.send(b"beat", delivery=Delivery.UNRELIABLE)
                pair.run(0.25)

    beat(20)
    pair.set_link(LinkSettings(delay=DELAY))
    before = pair.client.endpoint.stats.packets_sent
    beat(20)

    (snapshot,) = pair.client.endpoint.snapshots()
    assert snapshot.min_rtt == 2 * DELAY
    assert snapshot.smoothed_rtt is not None
    assert abs(snapshot.smoothed_rtt - 2 * DELAY) < MILLISECOND
    assert pair.client.endpoint.stats.packets_sent - before <= 20 + 3


def test_peers_that_exchange_heartbeats_send_no_packet_to_acknowledge_them() -> None:
    pair = Pair(link=LinkSettings(delay=DELAY))
    pair.connect()
    for _ in range(10):
        for side in (pair.client, pair.server):
            side.send(b"beat", delivery=Delivery.UNRELIABLE)
            pair.run(0.25)
    before = [side.endpoint.stats.packets_sent for side in (pair.client, pair.server)]
    for _ in range(20):
        for side in (pair.client, pair.server):
            side.send(b"beat", delivery=Delivery.UNRELIABLE)
            pair.run(0.25)
    sent = [side.endpoint.stats.packets_sent for side in (pair.client, pair.server)]
    assert [after - earlier for after, earlier in zip(sent, before, strict=True)] == [20, 20]
    (snapshot,) = pair.client.endpoint.snapshots()
    assert snapshot.smoothed_rtt is not None
    assert abs(snapshot.smoothed_rtt - 2 * DELAY) < MILLISECOND
