"""Sequence windows: every number once, whatever the order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import DecodeError
from node.gossip.window import OriginTable, SequenceWindow
from node.messages.packing import Value, pack, unpack
from node.types import NodeId
from node.wire.limits import EPOCHS_PER_ORIGIN, ORIGINS_MAX, SEQUENCE_WINDOW

ALICE = NodeId(b"a" * 32)


@given(st.lists(st.integers(min_value=1, max_value=3 * SEQUENCE_WINDOW), max_size=200))
def test_a_number_is_new_exactly_once(numbers: list[int]) -> None:
    window = SequenceWindow(1)
    seen: dict[int, None] = {}
    for number in numbers:
        too_old = bool(seen) and number <= max(seen) - SEQUENCE_WINDOW
        assert window.is_new(number) == (number not in seen and not too_old)
        if window.is_new(number):
            window.mark(number)
            seen[number] = None
        assert not window.is_new(number)


def test_a_jump_beyond_the_window_forgets_the_bits_below() -> None:
    window = SequenceWindow(1)
    window.mark(1)
    window.mark(10 * SEQUENCE_WINDOW)
    assert window.is_new(10 * SEQUENCE_WINDOW - 1)
    assert not window.is_new(10 * SEQUENCE_WINDOW - SEQUENCE_WINDOW)


def test_messages_of_an_earlier_life_are_accepted_once_too() -> None:
    table = OriginTable()
    table.mark(ALICE, 2, 1)
    assert table.is_new(ALICE, 1, 8)
    table.mark(ALICE, 1, 8)
    assert not table.is_new(ALICE, 1, 8)
    assert not table.is_new(ALICE, 2, 1)
    assert table.is_new(ALICE, 2, 2)
    assert table.is_new(ALICE, 3, 1)


def test_lives_before_the_remembered_ones_are_over() -> None:
    table = OriginTable()
    for epoch in range(1, EPOCHS_PER_ORIGIN + 2):
        table.mark(ALICE, epoch, 1)
    assert not table.is_new(ALICE, 1, 2)
    assert table.is_new(ALICE, 2, 2)
    assert not table.is_new(ALICE, 2, 1)


def test_the_author_heard_longest_ago_is_forgotten_first() -> None:
    table = OriginTable()
    authors = [NodeId(number.to_bytes(32, "big")) for number in range(ORIGINS_MAX)]
    for author in authors:
        table.mark(author, 1, 1)
    table.mark(authors[0], 1, 2)
    table.mark(ALICE, 1, 1)
    assert len(table) == ORIGINS_MAX
    assert not table.is_new(authors[0], 1, 1)
    assert table.is_new(authors[1], 1, 1)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 6), st.integers(1, 2 * SEQUENCE_WINDOW)), max_size=60))
def test_a_table_that_was_stored_remembers_the_same(marks: list[tuple[int, int, int]]) -> None:
    table, restored = OriginTable(), OriginTable()
    for origin, epoch, sequence in marks:
        table.mark(NodeId(bytes([origin]) * 32), epoch, sequence)
    restored.restore(unpack(pack(table.snapshot())))
    assert restored.snapshot() == table.snapshot()
    for origin, epoch, sequence in marks:
        assert not restored.is_new(NodeId(bytes([origin]) * 32), epoch, sequence)


@pytest.mark.parametrize(
    "rows",
    [
        None,
        [1],
        [[b"short", []]],
        [[b"o" * 32, [[1, 2, "bits"]]]],
        [[b"o" * 32, [[-1, 2, b""]]]],
        [[b"o" * 32, [[1, 2, bytes(SEQUENCE_WINDOW)]]]],
    ],
)
def test_what_is_no_stored_table_is_refused_and_changes_nothing(rows: Value) -> None:
    table = OriginTable()
    table.mark(NodeId(b"o" * 32), 1, 1)
    with pytest.raises(DecodeError):
        table.restore(rows)
    assert not table.is_new(NodeId(b"o" * 32), 1, 1)
