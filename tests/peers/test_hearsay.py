"""The table of nodes known by the word of others: nobody's flood takes the room of others."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from node.peers.hearsay import Hearsay
from node.types import NodeId
from node.wire.limits import HEARSAY_BUCKETS, HEARSAY_PER_BUCKET, HEARSAY_REACH

SHARE = HEARSAY_REACH * HEARSAY_PER_BUCKET


def key(number: int) -> NodeId:
    return NodeId(number.to_bytes(32, "big"))


def flood(table: Hearsay, teller: bytes, start: int, count: int) -> None:
    for number in range(start, start + count):
        table.admit(key(number), teller)


def held(table: Hearsay, start: int, count: int) -> int:
    return sum(key(number) in table for number in range(start, start + count))


def test_one_group_of_tellers_holds_at_most_its_share() -> None:
    table = Hearsay(b"secret")
    flood(table, b"evil", 0, 20_000)
    assert len(table) == SHARE


def test_a_network_of_a_thousand_that_one_seed_tells_of_finds_room() -> None:
    table = Hearsay(b"secret")
    flood(table, b"seed", 0, 1000)
    assert len(table) == 1000


def test_who_tells_little_keeps_its_place_under_a_flood_that_came_before_or_comes_after() -> None:
    for is_first in (True, False):
        table = Hearsay(b"secret")
        if is_first:
            flood(table, b"honest", 0, 500)
        for number in range(6):
            flood(table, b"evil%d" % number, 10_000 * (number + 1), 5000)
        if not is_first:
            flood(table, b"honest", 0, 500)
        assert held(table, 0, 500) >= 0.8 * 500


def test_where_there_is_no_room_another_one_of_the_largest_teller_goes() -> None:
    table = Hearsay(b"secret")
    assert not table.admit(key(1), b"honest", has_room=False).is_admitted
    flood(table, b"evil", 100, 20_000)
    taken = [table.admit(key(number), b"honest", has_room=False) for number in range(50_000, 50_200)]
    assert any(one.is_admitted for one in taken)
    assert all(one.displaced is not None for one in taken if one.is_admitted)


@settings(max_examples=50)
@given(
    st.binary(max_size=16),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3), st.booleans(), st.booleans()), max_size=300),
)
def test_both_indices_agree_whatever_comes_and_goes(secret: bytes, steps: list[tuple[int, int, bool, bool]]) -> None:
    table = Hearsay(secret)
    known: set[NodeId] = set()
    for number, teller, is_removal, has_room in steps:
        if is_removal:
            table.remove(key(number))
            known.discard(key(number))
            continue
        admission = table.admit(key(number), bytes([teller]), has_room=has_room)
        if admission.displaced is not None:
            known.remove(admission.displaced)
        if admission.is_admitted:
            known.add(key(number))
    assert set(table.all()) == known
    assert len(table) <= HEARSAY_BUCKETS * HEARSAY_PER_BUCKET
