"""Bounded memory of messages."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from node.gossip.store import Retained, SeenIds, Store
from node.types import SECOND, NodeId
from node.wire.limits import RETAINED_MESSAGES_MAX, RETAINED_OVERHEAD_BYTES, SEEN_MESSAGES_MAX

RETENTION = 60 * SECOND
BYTES = 1 << 20
ALICE, BOB = NodeId(b"a" * 32), NodeId(b"b" * 32)


def identifier(number: int) -> bytes:
    return number.to_bytes(16, "big")


def message(number: int, *, origin: NodeId = ALICE, at: int = 0, size: int = 10) -> Retained:
    return Retained(bytes(size), b"", origin, 1, number, 1, at)


def make_store(bytes_max: int = 1 << 30) -> Store:
    return Store(RETENTION, bytes_max)


def ids(store: Store) -> list[bytes]:
    return [message_id for origin in store.origins() for message_id in store.of(origin).values()]


def test_the_oldest_id_is_forgotten_first() -> None:
    seen = SeenIds()
    for number in range(SEEN_MESSAGES_MAX + 1):
        seen.add(identifier(number))
    assert len(seen) == SEEN_MESSAGES_MAX
    assert identifier(0) not in seen
    assert identifier(1) in seen


def test_the_store_is_bounded_in_messages() -> None:
    store = make_store()
    for number in range(RETAINED_MESSAGES_MAX + 1):
        store.add(identifier(number), message(number))
    assert len(store) == len(ids(store)) == RETAINED_MESSAGES_MAX
    assert store.get(identifier(0)) is None


def test_the_store_is_bounded_in_bytes_and_counts_its_own_bookkeeping() -> None:
    store = make_store(BYTES)
    for number in range(3):
        store.add(identifier(number), message(number, size=BYTES // 2 - RETAINED_OVERHEAD_BYTES))
    assert ids(store) == [identifier(1), identifier(2)]
    assert store.size == BYTES


def test_messages_are_kept_for_the_retention_and_no_longer() -> None:
    store = make_store()
    store.add(identifier(1), message(1, at=0))
    store.add(identifier(2), message(2, origin=BOB, at=SECOND))
    store.expire(RETENTION)
    assert store.origins() == [ALICE, BOB]
    store.expire(RETENTION + 1)
    assert ids(store) == [identifier(2)]
    assert store.origins() == [BOB]
    assert store.size == 10 + RETAINED_OVERHEAD_BYTES


def test_a_message_is_found_by_its_author_and_number() -> None:
    store = make_store()
    store.add(identifier(7), message(3))
    assert store.of(ALICE) == {(1, 3): identifier(7)}
    assert store.of(BOB) == {}


@given(st.lists(st.tuples(st.integers(1, 2), st.integers(1, 9)), unique=True, max_size=12), st.integers(1, 12))
def test_the_highest_number_of_an_author_is_that_of_the_kept_messages(
    arrived: list[tuple[int, int]], room: int
) -> None:
    store = make_store(room * (10 + RETAINED_OVERHEAD_BYTES))
    for place, (epoch, sequence) in enumerate(arrived):
        store.add(identifier(place), Retained(bytes(10), b"", ALICE, epoch, sequence, 1, 0))
    kept = store.of(ALICE)
    assert store.newest(ALICE) == {
        epoch: max(sequence for of, sequence in kept if of == epoch) for epoch in {of for of, _ in kept}
    }


def test_letting_go_of_a_message_does_not_look_at_all_others_of_its_author() -> None:
    class Counted(dict[tuple[int, int], bytes]):
        looks = 0

        def __iter__(self) -> Iterator[tuple[int, int]]:
            Counted.looks += 1
            return super().__iter__()

    store = make_store()
    for epoch in range(1, 50):
        store.add(identifier(epoch), Retained(bytes(10), b"", ALICE, epoch, 1, 1, epoch))
        store._by_origin[ALICE] = Counted(store._by_origin[ALICE])
    store.expire(RETENTION + 40)
    assert (len(store), Counted.looks) == (10, 0)


def test_numbers_that_are_far_apart_since_a_crowd_had_their_author_forgotten_cost_no_search() -> None:
    store = make_store()
    for number, at in ((1 << 62, 0), (1, SECOND), (7, SECOND)):
        store.add(identifier(number), message(number, at=at))
    store.expire(RETENTION + 1)
    assert store.newest(ALICE) == {1: 7}
    assert list(store.of(ALICE)) == [(1, 1), (1, 7)]
