"""A peer that acknowledges packets before they have reached it, or though they are lost, gives itself away."""

from __future__ import annotations

import pytest

from node.errors import Code
from node.impairment.link import LinkSettings
from node.transport.packet import Transmit
from node.types import MILLISECOND
from node.wire.frames import AckFrame, append_ack
from node.wire.header import data_header
from tests.pair import Pair
from tests.transport.hostile import inject, next_number

PERIOD = 256


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers are left out sooner than in earnest, or the tests would take minutes."""
    monkeypatch.setattr("node.transport.sending.SKIP_PERIOD_MIN", PERIOD)


def make_pair(seed: int = 1, loss: float = 0.0) -> Pair:
    pair = Pair(seed=seed, link=LinkSettings(delay=10 * MILLISECOND, loss=loss))
    pair.connect()
    pair.run(1)
    return pair


def left_out_by(pair: Pair) -> set[int]:
    """The packet numbers that the client does not use for a thousand packets and more."""
    numbers = []
    poll = pair.client.endpoint.poll_transmit

    def watch(now: int) -> Transmit | None:
        transmit = poll(now)
        for data in [] if transmit is None else transmit.payloads():
            header = data_header(data)
            assert header is not None
            numbers.append(header[1])
        return transmit

    pair.client.endpoint.poll_transmit = watch  # type: ignore[method-assign]  # to look at what passes
    first = next_number(pair)
    for _ in range(3):
        pair.client.send(bytes(600_000))
        pair.run(3)
    assert len(numbers) > 1_000
    return set(range(first, max(numbers))) - set(numbers)


@pytest.mark.must("M82")
def test_numbers_are_left_out_rarely_and_not_where_a_peer_could_foresee() -> None:
    found = [left_out_by(make_pair(seed)) for seed in range(4)]
    assert all(1 <= len(numbers) <= 6 for numbers in found)
    assert len({min(numbers) for numbers in found}) > 1
    assert all(PERIOD // 2 <= min(numbers) <= 2 * PERIOD for numbers in found)


@pytest.mark.must("M82")
def test_who_acknowledges_one_is_cut() -> None:
    pair = make_pair()
    pair.server.send(bytes(900_000))
    assert pair.run_until(lambda: pair.server.connection.sending.recovery.left_out > 0, 5)
    # The client says that it has everything that is under way.
    largest = pair.server.connection.sending.recovery._largest_sent
    assert pair.server.closed() is None
    buffer = bytearray()
    append_ack(buffer, AckFrame(((0, largest),), 0))
    inject(pair, bytes(buffer), next_number(pair))
    pair.run(0.5)
    closed = pair.server.closed()
    assert closed is not None
    assert closed.code is Code.ACK_OF_UNSENT


@pytest.mark.parametrize("loss", [0.0, 0.2])
def test_honest_peers_are_never_cut(loss: float) -> None:
    pair = make_pair(2, loss)
    for side in pair.sides:
        for _ in range(4):
            side.send(bytes(500_000))
    assert pair.run_until(lambda: all(len(side.received()) == 4 for side in pair.sides), 60)
    assert all(side.connection.sending.recovery.left_out > 0 for side in pair.sides)
    assert all(side.closed() is None for side in pair.sides)
