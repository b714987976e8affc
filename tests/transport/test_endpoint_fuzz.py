"""Whatever bytes arrive, an endpoint raises nothing, counts what it drops, and goes on."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.impairment.link import LinkSettings
from node.transport.packet import Datagram
from node.transport.stats import EndpointStats
from node.types import MILLISECOND, Address
from node.wire.header import PacketType, pack_header
from node.wire.limits import INIT_BYTES, MAGIC, VERSION
from tests.pair import CLIENT, SERVER, Pair

STRANGER: Address = ("10.6.6.6", 666)
sources = st.sampled_from((CLIENT, SERVER, STRANGER))


def fresh() -> tuple[Pair, list[tuple[Address, bytes]]]:
    """A connected pair that has exchanged messages, and every datagram that was under way between the two."""
    pair = Pair(link=LinkSettings(delay=MILLISECOND))
    recorded: list[tuple[Address, bytes]] = []
    inject = pair.world.inject

    def record(source: Address, target: Address, data: bytes, ecn: int = 0) -> None:
        recorded.append((target, data))
        inject(source, target, data, ecn)

    pair.world.inject = record  # type: ignore[method-assign]
    pair.connect()
    for size in (0, 100, 5_000):
        pair.client.send(bytes(size))
        pair.server.send(bytes(size))
    pair.run(1)
    pair.world.inject = inject  # type: ignore[method-assign]
    return pair, recorded


@cache
def shared() -> tuple[Pair, list[tuple[Address, bytes]]]:
    """One such pair for all examples: what arrives must not matter, whatever arrived before."""
    return fresh()


def dropped(stats: EndpointStats) -> int:
    return sum(stats.packets_dropped.values())


def receive(pair: Pair, target: Address, source: Address, data: bytes) -> int:
    """Hands the bytes to the endpoint there and lets it act; how many datagrams it counted as dropped."""
    side = pair.client if target == CLIENT else pair.server
    before = dropped(side.endpoint.stats)
    side.endpoint.receive(Datagram(source, data), side.now)
    side.drain()
    return dropped(side.endpoint.stats) - before


@given(st.binary(max_size=1_500), sources)
@pytest.mark.must("M5")
def test_any_bytes_are_dropped_and_counted(data: bytes, source: Address) -> None:
    pair, _ = shared()
    assert receive(pair, SERVER, source, data) == 1


@given(
    kind=st.integers(0, 15),
    version=st.sampled_from((VERSION, VERSION, 0, 15)),
    destination=st.integers(0, (1 << 32) - 1),
    is_known=st.booleans(),
    number=st.integers(0, (1 << 64) - 1),
    rest=st.binary(max_size=200),
)
@settings(max_examples=300)
@pytest.mark.must("M6")
def test_any_bytes_behind_a_header_of_ours_change_no_connection(
    kind: int, version: int, destination: int, is_known: bool, number: int, rest: bytes
) -> None:
    pair, _ = shared()
    if is_known:
        destination = pair.server.connection.origin.local_id
    header = bytearray(pack_header(PacketType.DATA, destination, number))
    assert header[:2] == MAGIC.to_bytes(2, "big")
    header[2] = version << 4 | kind
    before = pair.server.snapshot
    assert receive(pair, SERVER, STRANGER, bytes(header) + rest) <= 1
    assert pair.server.snapshot.stats.packets_received == before.stats.packets_received
    assert pair.server.snapshot.state == "established"


@given(st.binary(max_size=INIT_BYTES - 16))
def test_any_bytes_in_an_init_of_the_right_size_begin_no_connection(rest: bytes) -> None:
    pair, _ = shared()
    data = (pack_header(PacketType.INIT, 0, 0) + rest).ljust(INIT_BYTES, b"\0")
    assert receive(pair, SERVER, STRANGER, data) == 1
    assert len(pair.server.endpoint.snapshots()) == 1


@given(
    st.data(),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=8),
    st.integers(0, 40),
)
@settings(max_examples=300)
def test_mutated_packets_raise_nothing(data: st.DataObject, changes: list[tuple[int, int]], cut: int) -> None:
    pair, recorded = shared()
    target, original = data.draw(st.sampled_from(recorded))
    mutated = bytearray(original)
    for position, value in changes:
        mutated[position % len(mutated)] = value
    mutated = mutated[: max(0, len(mutated) - cut)]
    receive(pair, target, data.draw(sources), bytes(mutated))
    assert pair.server.snapshot.state == pair.client.snapshot.state == "established"


@pytest.mark.must("M6")
def test_recorded_packets_that_come_again_from_anywhere_change_nothing() -> None:
    pair, recorded = fresh()
    before = [(side.snapshot.stats.messages_received, side.events[:]) for side in pair.sides]
    for _ in range(3):
        for target, data in recorded:
            receive(pair, target, STRANGER, data)
    pair.run(20)
    assert [(side.snapshot.stats.messages_received, side.events) for side in pair.sides] == before
    assert len(pair.server.endpoint.snapshots()) == 1


@given(st.lists(st.binary(max_size=100), max_size=20))
def test_after_any_junk_messages_still_pass(junk: list[bytes]) -> None:
    pair, _ = shared()
    for data in junk:
        receive(pair, SERVER, CLIENT, data)
        receive(pair, CLIENT, SERVER, data)
    count = len(pair.server.received())
    pair.client.send(b"after the junk")
    pair.run(0.1)
    assert pair.server.received()[count:] == [b"after the junk"]
