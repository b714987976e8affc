"""When a testnet is whole."""

from __future__ import annotations

import pytest

from node.testnet.wholeness import LINKS_FEW, is_linked, living_members
from node.wire.limits import LINKS_ALL_MAX


def test_a_node_that_does_not_say_whom_it_knows_knows_nobody() -> None:
    assert living_members({"members": {"alive": 3}}) == 3
    answers: list[dict[str, object]] = [{}, {"members": None}, {"members": {}}, {"members": {"alive": True}}]
    for answer in answers:
        assert living_members(answer) is None


@pytest.mark.parametrize(
    ("members", "links", "nodes", "holds"),
    [
        (0, 0, 1, True),
        (4, 4, 5, True),
        (4, 3, 5, False),
        (3, 4, 5, False),
        (LINKS_ALL_MAX, LINKS_ALL_MAX - 1, LINKS_ALL_MAX + 1, False),
        (LINKS_ALL_MAX + 1, LINKS_FEW, LINKS_ALL_MAX + 2, True),
        (99, LINKS_FEW - 1, 100, False),
        (None, 4, 5, False),
        (4, None, 5, False),
    ],
)
def test_all_others_are_members_and_links_are_as_many_as_the_size_asks(
    members: int | None, links: int | None, nodes: int, holds: bool
) -> None:
    assert is_linked(members, links, nodes) is holds
