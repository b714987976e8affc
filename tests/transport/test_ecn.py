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
        ecn.choose(is_ack_eliciting=True)
        packet = SentPacket(next(_numbers), 0, 1_200, is_ack_eliciting=True)
        ecn.on_sent(packet)
        sent.append(packet)
    return sent


def ack(counts: tuple[int, int, int] | None) -> AckFrame:
    return AckFrame(((0, 100),), 0, counts)


def state_of(ecn: EcnValidation) -> EcnState:
    """The state, which changes behind the back of the type checker."""
    return ecn.state


def test_ten_packets_try_the_path_out() -> None:
    ecn = EcnValidation(is_enabled=True)
    assert [packet.is_marked for packet in send(ecn, 12)] == [True] * 10 + [False] * 2
    assert ecn.state is EcnState.TESTING


def test_what_is_never_acknowledged_does_not_try_it_out() -> None:
    ecn = EcnValidation(is_enabled=True)
    assert ecn.choose(is_ack_eliciting=False) == 0
    sent = send(ecn, 10)
    assert all(packet.is_marked for packet in sent)
    ecn.on_ack(ack((10, 0, 0)), sent, is_newest=True)
    assert ecn.choose(is_ack_eliciting=False) == ECT_0


def test_counts_that_agree_make_the_path_capable() -> None:
    ecn = EcnValidation(is_enabled=True)
    sent = send(ecn, 10)
    assert not ecn.on_ack(ack((10, 0, 0)), sent, is_newest=True)
    assert ecn.state is EcnState.CAPABLE
    assert ecn.choose(is_ack_eliciting=True) == ECT_0


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
    assert ecn.choose(is_ack_eliciting=True) == 0


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


@pytest.mark.parametrize("lost", [0, 4])
def test_a_device_that_rewrites_every_mark_to_ce_ends_it(lost: int) -> None:
    ecn = EcnValidation(is_enabled=True)
    sent = send(ecn, 10)
    ecn.on_lost(sent[:lost])
    for number, packet in enumerate(sent[lost:], 1):
        assert state_of(ecn) is EcnState.TESTING
        assert ecn.on_ack(ack((0, 0, number)), [packet], is_newest=True) == (packet is not sent[-1])
    assert state_of(ecn) is EcnState.FAILED


def test_one_mark_that_arrives_as_it_was_sent_makes_the_others_congestion() -> None:
    ecn = EcnValidation(is_enabled=True)
    sent = send(ecn, 10)
    assert ecn.on_ack(ack((0, 0, 9)), sent[:9], is_newest=True)
    assert not ecn.on_ack(ack((1, 0, 9)), sent[9:], is_newest=True)
    assert ecn.state is EcnState.CAPABLE


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


# --- another path


def moved(counts: tuple[int, int, int] | None, *, sent: int = 10) -> tuple[EcnValidation, list[SentPacket]]:
    """A validation that another path begins for, after the peer has counted that much; and packets under way there."""
    ecn = EcnValidation(is_enabled=True)
    old = send(ecn, sent + 4)
    ecn.on_ack(ack(counts), old[:sent], is_newest=True)
    ecn.on_path_change(next(_numbers), is_enabled=True)
    return ecn, old[sent:]


@pytest.mark.must("M77")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((10, 0, 0), (20, 0, 0)),
        ((8, 0, 2), (18, 0, 2)),
        (None, (10, 0, 0)),
        ((0, 10, 0), (10, 10, 0)),
        ((14, 0, 0), (24, 0, 0)),
        ((99, 0, 0), (109, 0, 0)),
    ],
    ids=["capable", "with marks", "bleached before", "rewritten before", "more", "far more than were sent"],
)
def test_another_path_is_judged_by_how_the_counts_grow_there(
    before: tuple[int, int, int] | None, after: tuple[int, int, int]
) -> None:
    ecn, _ = moved(before)
    sent = send(ecn, 12)
    assert [packet.is_marked for packet in sent] == [True] * 10 + [False] * 2
    assert not ecn.on_ack(ack(after), sent, is_newest=True)
    assert ecn.state is EcnState.CAPABLE


@pytest.mark.must("M77")
@pytest.mark.parametrize(
    "after",
    [None, (10, 0, 0), (19, 0, 0), (19, 1, 0), (35, 0, 0)],
    ids=["no counts", "bleached", "one bleached", "rewritten to ECT(1)", "more than were sent"],
)
def test_another_path_that_carries_no_marks_fails_on_its_own(after: tuple[int, int, int] | None) -> None:
    ecn, _ = moved((10, 0, 0))
    ecn.on_ack(ack(after), send(ecn, 10), is_newest=True)
    assert ecn.state is EcnState.FAILED


@pytest.mark.must("M78")
@pytest.mark.parametrize("counts", [None, (10, 0, 0), (10, 0, 4), (10, 4, 0), (14, 0, 0), (40, 0, 0)])
def test_packets_of_the_old_path_that_arrive_late_judge_nothing(counts: tuple[int, int, int] | None) -> None:
    ecn, late = moved((10, 0, 0))
    assert not ecn.on_ack(ack(counts), late, is_newest=True), "a mark of the old path is no congestion of the new one"
    assert state_of(ecn) is EcnState.TESTING
    a, b, c = counts or (10, 0, 0)
    ecn.on_ack(ack((a + 10, b, c)), send(ecn, 10), is_newest=True)
    assert ecn.state is EcnState.CAPABLE


@pytest.mark.must("M78")
def test_packets_of_both_paths_in_one_acknowledgement_do_not_fail_the_new_one() -> None:
    ecn, late = moved((10, 0, 0))
    ecn.on_ack(ack((20, 0, 3)), late + send(ecn, 10), is_newest=True)
    assert state_of(ecn) is EcnState.CAPABLE
    ecn.on_ack(ack((20, 0, 3)), send(ecn, 1), is_newest=True)
    assert ecn.state is EcnState.FAILED, "the next one is of the new path alone"


@pytest.mark.must("M78")
def test_losses_of_the_old_path_do_not_count_against_the_new_one() -> None:
    ecn = EcnValidation(is_enabled=True)
    old = send(ecn, 10)
    ecn.on_path_change(next(_numbers), is_enabled=True)
    ecn.on_lost(old)
    assert state_of(ecn) is EcnState.TESTING
    ecn.on_lost(send(ecn, 10))
    assert ecn.state is EcnState.FAILED


def test_another_path_changes_nothing_where_marks_are_switched_off() -> None:
    ecn = EcnValidation(is_enabled=False)
    ecn.on_path_change(5, is_enabled=False)
    assert not any(packet.is_marked for packet in send(ecn, 3))


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


@pytest.mark.parametrize("congestion", ["newreno", "cubic", "lossfloor"])
def test_a_path_that_marks_everything_holds_the_rate_down_for_a_moment_only(congestion: str) -> None:
    link = LinkSettings(delay=10 * MILLISECOND, rate=1_250_000)
    pair = Pair(link=link, client_settings=TransportSettings(congestion=congestion))
    inject = pair.world.inject

    def mark(source: Address, target: Address, data: bytes, ecn: int = 0) -> None:
        inject(source, target, data, 0b11 if ecn else 0)

    pair.world.inject = mark  # type: ignore[method-assign]
    pair.connect()
    for _ in range(20):
        pair.client.send(bytes(100_000))
    # 1.6 s at the rate of the link; 8 s where the marks are believed.
    assert pair.run_until(lambda: len(pair.client.acknowledged()) == 20, 2.5)


MARKING = LinkSettings(delay=10 * MILLISECOND, rate=1_250_000, limit=300, ce_threshold=2 * MILLISECOND)


def keep_sending(pair: Pair, seconds: float) -> None:
    """Fills the link in both directions."""
    for _ in range(int(seconds * 100)):
        for side in pair.sides:
            while side.snapshot.send_queue_messages < 20:
                side.send(bytes(10_000))
        pair.run(0.01)


@pytest.mark.parametrize("target", [("10.9.9.9", 9000), ("10.0.0.1", 9999)], ids=["another host", "another port"])
@pytest.mark.must("M77", "M78")
def test_marks_go_on_after_a_move_in_the_middle_of_traffic(target: Address) -> None:
    pair = Pair(link=MARKING)
    pair.connect()
    keep_sending(pair, 0.5)
    for _ in range(2):
        for address in (target, CLIENT):
            before = [side.connection.stats.congestion_marks for side in pair.sides]
            pair.world.move_host(pair.client.host, address)
            keep_sending(pair, 0.5)
            assert pair.server.snapshot.address == address
            assert [side.connection.sending.ecn.state for side in pair.sides] == [EcnState.CAPABLE] * 2
            grown = [side.connection.stats.congestion_marks for side in pair.sides]
            assert all(now > then for now, then in zip(grown, before, strict=True)), "the new path marks, too"
    assert pair.server.snapshot.stats.path_changes == 4


@pytest.mark.must("M77")
def test_a_path_without_marks_fails_alone_and_the_next_one_is_tried_again() -> None:
    pair = Pair(link=MARKING)
    bleached = ("10.9.9.9", 9000)
    inject = pair.world.inject

    def bleach(source: Address, target: Address, data: bytes, ecn: int = 0) -> None:
        inject(source, target, data, 0 if bleached in (source, target) else ecn)

    pair.world.inject = bleach  # type: ignore[method-assign]
    pair.connect()
    states = []
    for address in (CLIENT, bleached, ("10.9.9.10", 9000)):
        if address != CLIENT:
            pair.world.move_host(pair.client.host, address)
        keep_sending(pair, 0.5)
        states.append([side.connection.sending.ecn.state for side in pair.sides])
    # The client did not notice that it moved; that the server asks where it is tells it to try again.
    assert states == [[EcnState.CAPABLE] * 2, [EcnState.FAILED] * 2, [EcnState.CAPABLE] * 2]
