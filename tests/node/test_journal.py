from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import UsageError
from node.node.journal import Journal


def filled(number: int, **bounds: int) -> Journal[str]:
    journal: Journal[str] = Journal("a1", **({"entries_max": 100} | bounds))
    for index in range(1, number + 1):
        journal.append(f"entry {index}", 10)
    return journal


def test_a_reader_that_comes_back_gets_what_is_new() -> None:
    journal = filled(3)
    first = journal.read(None, 2)
    assert first.entries == [(1, "entry 1"), (2, "entry 2")]

    second = journal.read(first.cursor, 10)
    assert second.entries == [(3, "entry 3")]
    assert journal.read(second.cursor, 10).entries == []
    journal.append("entry 4")
    assert journal.read(second.cursor, 10).entries == [(4, "entry 4")]


def test_a_reader_that_was_too_slow_is_told_how_many_it_missed() -> None:
    journal = filled(3, entries_max=3)
    cursor = journal.read(None, 1).cursor
    for _ in range(4):
        journal.append("more")

    page = journal.read(cursor, 10)

    assert (page.missed, [number for number, _ in page.entries]) == (3, [5, 6, 7])
    assert journal.read(None, 10).missed == 0


def test_bytes_are_bounded_as_well_as_entries() -> None:
    assert [number for number, _ in filled(9, bytes_max=35).read(None, 10).entries] == [7, 8, 9]


def test_one_entry_over_the_bound_leaves_nothing() -> None:
    journal: Journal[str] = Journal("a1", entries_max=9, bytes_max=5)
    journal.append("large", 6)
    assert journal.read(None, 9).entries == []
    assert journal.read(None, 9).cursor == "a1-1"


def test_the_newest_come_with_a_cursor_to_go_on_from() -> None:
    journal = filled(5)
    assert [number for number, _ in journal.tail(2).entries] == [4, 5]
    assert [number for number, _ in journal.tail(50).entries] == [1, 2, 3, 4, 5]
    end = journal.tail(0)
    assert (end.entries, end.cursor, end.missed) == ([], "a1-5", 0)


@pytest.mark.parametrize("cursor", ["ffff-2", "a1-99"])
def test_a_cursor_of_another_life_begins_anew_and_says_so(cursor: str) -> None:
    page = filled(2).read(cursor, 10)
    assert (page.is_reset, page.missed, len(page.entries)) == (True, 0, 2)


@pytest.mark.parametrize("cursor", ["", "a1", "a1-", "-1", "A1-1", "a1--1", "a1-1x", "x" * 99, "a1-\u0661"])
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(UsageError, match="cursor"):
        filled(2).read(cursor, 10)


@given(st.lists(st.integers(0, 40), max_size=60), st.integers(1, 7), st.integers(1, 90), st.integers(1, 5))
def test_a_reader_sees_every_entry_once_or_is_told_of_it(
    steps: list[int], entries_max: int, bytes_max: int, limit: int
) -> None:
    journal: Journal[int] = Journal("a1", entries_max=entries_max, bytes_max=bytes_max)
    cursor = journal.tail(0).cursor
    seen = missed = last = 0
    for step in steps:
        journal.append(step, step)
        if step % 3 == 0:
            page = journal.read(cursor, limit)
            assert all(number > last for number, _ in page.entries)
            last = page.entries[-1][0] if page.entries else last
            seen, missed, cursor = seen + len(page.entries), missed + page.missed, page.cursor
    while (page := journal.read(cursor, limit)).entries or page.missed:
        seen, missed, cursor = seen + len(page.entries), missed + page.missed, page.cursor
    assert seen + missed == len(steps)


@pytest.mark.asyncio
async def test_waiting_ends_with_news_with_a_call_and_with_time() -> None:
    journal = filled(1)
    cursor = journal.tail(0).cursor

    async with asyncio.timeout(10):
        await journal.changed("a1-0", 60)
        await journal.changed("ffff-0", 60)
        await journal.changed(cursor, 0.001)

        waiting = asyncio.gather(journal.changed(cursor, 60), journal.changed(cursor, 60))
        await asyncio.sleep(0)
        journal.append("news")
        await waiting

        last = asyncio.ensure_future(journal.changed(journal.tail(0).cursor, 60))
        await asyncio.sleep(0)
        journal.wake()
        await last
    assert journal._waiting == []
