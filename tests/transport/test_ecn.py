"""Marks are tried out, checked against the peer's counts, and dropped where the path does not carry them."""

from __future__ import annotations

from itertools import count

import pytest

from node.impairment.link import LinkSettings
from node.transport.ecn import ECT_0, EcnState, EcnValidation
from node.transport.packet import SentPacket
from node.transport.settings import TransportSettings
from node.types import MILLISECOND, Address
from node.wire.frames import AckFrame, append_ack, parse_frames
from tests.pair import CLIENT, SERVER, Pair

_numbers = count()


def send(ecn: EcnValidation, packets: int = 1) -> list[SentPacket]:
    sent = []
    for _ in range(packets):
        ecn.choose()
        packet = SentPacket(next(_numbers), 0, 1_200, is_ack_eliciting=True)
        ecn.on_sent(packet)
        sent.append(packet)
    return sent


def ack(counts: tuple[int, int, int] | None) -> AckFrame:
    return AckFrame(((0, 100),), 0, counts)


def test_ten_packets_try_the_path_out() -> None:
    ecn = EcnValidation(is_enabled=True)
    assert [packet.is_marked for packet in send(ecn, 12)] == [True] * 10 + [False] * 2
    assert ecn.state is EcnState.TESTING


def test_counts_that_agree_make_the_path_capable() -> None:
    ecn = EcnValidation(is_enabled=True)
    sent = send(ecn, 10)
    assert not ecn.on_ack(ack((10, 0, 0)), sent, is_newest=True)
    assert ecn.state is EcnState.CAPABLE
    assert ecn.choose() == ECT_0


@pytest.mark.parametrize(
    "counts",
    [None, (9, 0, 0), (9, 1, 0), (11, 0, 0), (0, 0, 0)],
    ids=["no counts", "bleached", "rewritten to ECT(1)", "more than were sent", "zero"],
)
def test_counts_that_do_not_agree_end_it(counts: tuple[int, int, int] | None) -> None:
    ecn = EcnValidation(is_enabled=True)
    sent = send(ecn, 10)
    assert not ecn.on_ack(ack(counts), sent, is_newest=True)
    assert ecn.state is EcnState.FAILED
    assert ecn.choose() == 0


def test_counts_that_shrink_end_it() -> None:
    ecn = EcnValidation(is_enabled=True)
    ecn.on_ack(ack((10, 0, 0)), send(ecn, 10), is_newest=True)
    ecn.on_ack(ack((9, 0, 2)), send(ecn, 1), is_newest=True)
    assert ecn.state is EcnState.FAILED


def test_an_acknowledgement_that_was_overtaken_proves_nothing() -> None:
    ecn = EcnValidation(is_enabled=True)
    ecn.on_ack(ack((10, 0, 0)), send(ecn, 10), is_newest=True)
    assert not ecn.on_ack(ack((4, 0, 0)), [], is_newest=False)
    assert ecn.state is EcnState.CAPABLE


def test_losing_every_packet_that_tried_it_ends_it() -> None:
    ecn = EcnValidation(is_enabled=True)
    states = []
    for packet in send(ecn, 10):
        ecn.on_lost([packet])
        states.append(ecn.state)
    assert states == [EcnState.TESTING] * 9 + [EcnState.FAILED]


def test_each_growth_of_the_count_is_congestion_once() -> None:
    ecn = EcnValidation(is_enabled=True)
    assert ecn.on_ack(ack((8, 0, 2)), send(ecn, 10), is_newest=True)
    assert not ecn.on_ack(ack((9, 0, 2)), send(ecn, 1), is_newest=True)
    assert ecn.on_ack(ack((9, 0, 3)), send(ecn, 1), is_newest=True)


def test_counts_travel_in_a_frame_of_their_own_type() -> None:
    for frame in (AckFrame(((3, 9), (0, 1)), 0), AckFrame(((3, 9), (0, 1)), 0, (70, 0, 300))):
        buffer = bytearray()
        append_ack(buffer, frame)
        assert buffer[0] == (0x02 if frame.ecn is None else 0x03)
        assert parse_frames(bytes(buffer)) == [frame]


# --- two endpoints and a path


@pytest.mark.parametrize("congestion", ["newreno", "cubic", "lossfloor"])
def test_a_queue_that_marks_is_kept_short_without_a_loss(congestion: str) -> None:
    settings = TransportSettings(congestion=congestion)
    link = LinkSettings(delay=10 * MILLISECOND, rate=1_250_000, limit=300, ce_threshold=5 * MILLISECOND)
    pair = Pair(link=link, client_settings=settings)
    pair.connect()
    waits = []
    for _ in range(300):
        while pair.client.snapshot.send_queue_messages < 50:
            pair.client.send(bytes(10_000))
        pair.run(0.01)
        waits.append(pair.world.link(CLIENT, SERVER).queue_delay(pair.world.now))
    assert pair.client.connection.sending.ecn.state is EcnState.CAPABLE
    assert pair.client.connection.stats.congestion_marks > 0
    assert pair.world.link(CLIENT, SERVER).stats.overflowed == 0
    assert sum(waits[100:]) / len(waits[100:]) < 15 * MILLISECOND


def test_a_side_that_is_told_not_to_marks_nothing() -> None:
    pair = Pair(client_settings=TransportSettings(ecn=False), server_settings=TransportSettings())
    pair.connect()
    for _ in range(20):
        pair.client.send(bytes(2_000))
    pair.run(1)
    pair.assert_delivered([bytes(2_000)] * 20)
    assert pair.client.connection.sending.ecn.state is EcnState.FAILED
    assert pair.server.connection.sending.ecn.state is not EcnState.FAILED


def test_a_path_that_bleaches_marks_is_noticed_and_nothing_is_lost() -> None:
    pair = Pair()
    inject = pair.world.inject

    def bleach(source: Address, target: Address, data: bytes, ecn: int = 0) -> None:
        inject(source, target, data, ecn & 0)

    pair.world.inject = bleach  # type: ignore[method-assign]
    pair.connect()
    for _ in range(20):
        pair.client.send(bytes(2_000))
    pair.run(1)
    pair.assert_delivered([bytes(2_000)] * 20)
    assert pair.client.connection.sending.ecn.state is EcnState.FAILED
