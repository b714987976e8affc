"""Groups of addresses, keyed places, and turns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.peers.groups import group_of, in_turns, keyed


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("10.1.2.3", "10.1.200.4", True),
        ("10.1.2.3", "10.2.2.3", False),
        ("2001:db8:1::1", "2001:db8:ffff::1", True),
        ("2001:db8::1", "2001:db9::1", False),
        ("::ffff:10.1.2.3", "10.1.9.9", True),
    ],
)
def test_a_group_is_what_one_party_easily_has(one: str, other: str, is_same: bool) -> None:
    assert (group_of(one) == group_of(other)) is is_same


@given(st.text(max_size=60))
def test_any_text_has_a_group(host: str) -> None:
    assert isinstance(group_of(host), bytes)


def test_a_keyed_number_depends_on_the_secret_and_on_where_parts_end() -> None:
    assert keyed(b"a", b"xy") != keyed(b"b", b"xy")
    assert keyed(b"a", b"x", b"y") != keyed(b"a", b"xy")
    assert keyed(b"a", b"x") == keyed(b"a", b"x")


def test_groups_take_turns_in_the_order_in_which_they_came() -> None:
    entries = [(b"a", 1), (b"a", 2), (b"a", 3), (b"b", 4), (b"c", 5), (b"b", 6)]
    assert in_turns(entries) == [1, 4, 5, 2, 6, 3]
