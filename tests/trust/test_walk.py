"""The word of others: bounded by the edge that leads to them, for any graph behind it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.trust.walk import walk
from node.types import NodeId


def node(number: int) -> NodeId:
    return NodeId(number.to_bytes(32, "big"))


Graph = dict[NodeId, list[tuple[NodeId, float]]]
ATTACKER, HONEST = node(1), node(2)

scores = st.floats(min_value=-1, max_value=1)


@st.composite
def sybils(draw: st.DrawFn) -> tuple[list[NodeId], Graph]:
    """Nodes of one owner, who let them say whatever they like, also about each other and the attacker."""
    count = draw(st.integers(1, 12))
    names = [node(100 + number) for number in range(count)]
    everybody = [ATTACKER, *names]
    said: Graph = {}
    for issuer in everybody:
        chosen = draw(
            st.lists(st.tuples(st.sampled_from(everybody), scores), max_size=14, unique_by=lambda one: one[0])
        )
        said[issuer] = [(subject, score) for subject, score in chosen if subject != issuer]
    return names, said


@given(sybils(), st.floats(0, 1), st.floats(0, 1))
def test_all_that_lies_behind_one_edge_shares_what_that_edge_is_worth(
    attack: tuple[list[NodeId], Graph], edge: float, other: float
) -> None:
    names, said = attack
    opinion = walk([(ATTACKER, edge), (HONEST, other)], said, blocked={})
    assert sum(opinion.praise.get(name, 0.0) for name in names) <= edge + 1e-9
    assert sum(opinion.doubt.values()) <= edge + 1e-9


@given(st.integers(1, 50), st.floats(0.01, 1))
def test_many_sybils_gain_no_more_together_than_one(count: int, edge: float) -> None:
    def gained(names: list[NodeId]) -> float:
        opinion = walk([(ATTACKER, edge)], {ATTACKER: [(name, 1.0) for name in names]}, blocked={})
        return sum(opinion.praise.values())

    many = gained([node(100 + number) for number in range(count)])
    assert many == pytest.approx(gained([node(100)]))


@given(sybils())
def test_nodes_without_an_edge_to_this_one_say_nothing(attack: tuple[list[NodeId], Graph]) -> None:
    _, said = attack
    opinion = walk([(HONEST, 1.0)], said, blocked={})
    assert (opinion.praise, opinion.doubt) == ({}, {})


def test_the_word_of_a_blocked_node_counts_nothing_also_behind_others() -> None:
    said: Graph = {HONEST: [(ATTACKER, 1.0)], ATTACKER: [(node(3), 1.0)]}
    assert node(3) in walk([(HONEST, 1.0)], said, blocked={}).praise
    assert node(3) not in walk([(HONEST, 1.0)], said, blocked={ATTACKER: None}).praise


def test_the_walk_ends_after_three_steps() -> None:
    said: Graph = {node(n): [(node(n + 1), 1.0)] for n in range(1, 6)}
    assert list(walk([(node(1), 1.0)], said, blocked={}).praise) == [node(2), node(3)]


def test_who_is_doubted_carries_the_walk_no_further() -> None:
    said: Graph = {HONEST: [(node(3), -1.0)], node(3): [(node(4), 1.0)]}
    opinion = walk([(HONEST, 1.0)], said, blocked={})
    assert opinion.doubt == {node(3): 0.25}
    assert opinion.praise == {}
