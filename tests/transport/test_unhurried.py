"""Unreliable messages that come alone: acknowledged with the next packet, and their sender is not misled by that."""

from __future__ import annotations

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
