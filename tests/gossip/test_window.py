"""Sequence windows: every number once, whatever the order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node.gossip.window import OriginTable, SequenceWindow
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
