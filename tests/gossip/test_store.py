"""Bounded memory of messages."""

from __future__ import annotations

from node.gossip.store import Retained, SeenIds, Store
from node.types import SECOND
from node.wire.limits import RETAINED_BYTES_MAX, RETAINED_MESSAGES_MAX, RETENTION, SEEN_MESSAGES_MAX


def identifier(number: int) -> bytes:
    return number.to_bytes(16, "big")


def message(at: int = 0, size: int = 10) -> Retained:
    return Retained(bytes(size), b"", 1, at)


def test_the_oldest_id_is_forgotten_first() -> None:
    seen = SeenIds()
    for number in range(SEEN_MESSAGES_MAX + 1):
        seen.add(identifier(number))
    assert len(seen) == SEEN_MESSAGES_MAX
    assert identifier(0) not in seen
    assert identifier(1) in seen


def test_the_store_is_bounded_in_messages() -> None:
    store = Store()
    for number in range(RETAINED_MESSAGES_MAX + 1):
        store.add(identifier(number), message())
    assert len(store) == RETAINED_MESSAGES_MAX
    assert store.get(identifier(0)) is None


def test_the_store_is_bounded_in_bytes() -> None:
    store = Store()
    for number in range(3):
        store.add(identifier(number), message(size=RETAINED_BYTES_MAX // 2))
    assert store.ids() == [identifier(1), identifier(2)]
    assert store.size == RETAINED_BYTES_MAX


def test_messages_are_kept_for_the_retention_and_no_longer() -> None:
    store = Store()
    store.add(identifier(1), message(at=0))
    store.add(identifier(2), message(at=SECOND))
    store.expire(RETENTION)
    assert store.ids() == [identifier(1), identifier(2)]
    store.expire(RETENTION + 1)
    assert store.ids() == [identifier(2)]
    assert store.size == 10
