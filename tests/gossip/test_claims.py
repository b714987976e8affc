"""What a node says it has, compared with what another has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import DecodeError
from node.gossip.claims import Page, claims_of, pages_of, rows_of
from node.gossip.store import Retained, Store
from node.gossip.window import OriginTable
from node.messages.packing import Value, pack, unpack
from node.types import SECOND, NodeId
from node.wire.limits import SEQUENCE_WINDOW

ALL = Page(b"", b"")


def key(number: int) -> NodeId:
    return NodeId(number.to_bytes(4, "big") + bytes(28))


def table_of(*seen: tuple[int, int, int]) -> OriginTable:
    table = OriginTable()
    for author, epoch, sequence in seen:
        table.mark(key(author), epoch, sequence)
    return table


def store_of(*kept: tuple[int, int, int], arrived_at: int = 0) -> Store:
    store = Store(60 * SECOND, 1 << 30)
    for author, epoch, sequence in kept:
        store.add(pack([author, epoch, sequence]), Retained(b"", b"", key(author), epoch, sequence, 1, arrived_at))
    return store


def lacking(table: OriginTable, store: Store, *, since: int = 0) -> list[Value]:
    claims = claims_of(ALL, rows_of(table, ALL))
    return [unpack(message_id) for message_id in claims.lacking(store, since=since, before=0, count=1000)]


Numbers = set[tuple[int, int, int]]

numbers = st.sets(st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 60)), max_size=80)


@given(numbers, numbers)
def test_exactly_what_the_other_has_not_seen_is_lacking(
    seen: set[tuple[int, int, int]], kept: set[tuple[int, int, int]]
) -> None:
    assert sorted(map(str, lacking(table_of(*sorted(seen)), store_of(*sorted(kept))))) == sorted(
        str(list(each)) for each in kept - seen
    )


@given(numbers, numbers)
def test_a_node_exceeds_another_if_it_has_seen_anything_more(
    theirs: set[tuple[int, int, int]], own: set[tuple[int, int, int]]
) -> None:
    claims = claims_of(ALL, rows_of(table_of(*sorted(theirs)), ALL))
    assert claims.exceed(table_of(*sorted(own))) == bool(theirs - own)


def test_many_gaps_travel_as_a_bit_map() -> None:
    seen = [(1, 1, sequence) for sequence in range(1, 100, 2)]
    kept = [(1, 1, sequence) for sequence in range(1, 100)]
    (row,) = rows_of(table_of(*seen), ALL)
    assert isinstance(row, list)
    assert isinstance(row[3], bytes)
    assert len(lacking(table_of(*seen), store_of(*kept))) == 49


def test_what_no_window_reaches_counts_as_there() -> None:
    far = SEQUENCE_WINDOW + 10
    assert lacking(table_of((1, 1, far)), store_of((1, 1, 5))) == []


def test_messages_from_before_the_peers_time_and_the_youngest_are_left_out() -> None:
    table, store = OriginTable(), store_of((1, 1, 1), arrived_at=-1)
    assert lacking(table, store, since=0) == []
    assert lacking(table, store, since=-1) == [[1, 1, 1]]
    assert claims_of(ALL, []).lacking(store, since=-1, before=-2, count=10) == []


def test_no_more_ids_than_asked_for_are_found() -> None:
    store = store_of(*((1, 1, sequence) for sequence in range(1, 50)))
    assert len(claims_of(ALL, []).lacking(store, since=0, before=0, count=10)) == 10


def test_pages_cover_every_author_once() -> None:
    table = table_of(*((author, 1, 1) for author in range(1, 26)))
    pages = pages_of(table, 10, 16)
    assert [len(rows_of(table, page)) for page in pages] == [10, 10, 5]
    assert all(sum(key(author) in page for page in pages) == 1 for author in range(100))
    assert len(pages_of(table, 1, 4)) == 4
    assert pages_of(OriginTable(), 10, 16) == [ALL]


@pytest.mark.parametrize(
    "row",
    [
        1,
        [b"prefix", 1, 1, []],
        [b"8 bytes.", -1, 1, []],
        [b"8 bytes.", 1, 1 << 64, []],
        [b"8 bytes.", 1, 1, [1]],
        [b"8 bytes.", 1, 5, [3, 2]],
        [b"8 bytes.", 1, 5, [3, 6]],
        [b"8 bytes.", 1, 5, ["3", 4]],
        [b"8 bytes.", 1, 1 << 40, [1, 2]],
        [b"8 bytes.", 1, 9, [1, 1] * 9],
        [b"8 bytes.", 1, 1, bytes(SEQUENCE_WINDOW // 8 + 1)],
    ],
)
def test_a_row_that_cannot_be_is_refused(row: Value) -> None:
    with pytest.raises(DecodeError):
        claims_of(ALL, [row])
