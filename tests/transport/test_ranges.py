"""A set kept as ranges behaves as a set."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from node.transport.ranges import RangeSet

# Cut off in the middle, a machine would look to Hypothesis like a strategy that cannot be relied on.
pytestmark = pytest.mark.timeout(300)

spans = st.tuples(st.integers(0, 60), st.integers(0, 10)).map(lambda span: (span[0], span[0] + span[1]))


class RangeSetMachine(RuleBasedStateMachine):
    """Does everything to a RangeSet and to a plain set, and compares."""

    def __init__(self) -> None:
        super().__init__()
        self.ranges = RangeSet()
        self.model: set[int] = set()

    @rule(span=spans)
    def add(self, span: tuple[int, int]) -> None:
        values = set(range(span[0], span[1] + 1))
        assert self.ranges.add(*span) == len(values - self.model)
        self.model |= values

    @rule(span=spans)
    def covers(self, span: tuple[int, int]) -> None:
        assert self.ranges.covers(*span) == (set(range(span[0], span[1] + 1)) <= self.model)

    @precondition(lambda self: self.model)
    @rule()
    def drop_oldest(self) -> None:
        first, last = self.ranges.ascending()[0]
        self.ranges.drop_oldest()
        self.model -= set(range(first, last + 1))

    @rule(floor=st.integers(0, 75), count_max=st.integers(0, 5))
    def descending(self, floor: int, count_max: int) -> None:
        expected = [span for span in reversed(self.ranges.ascending()) if span[1] >= floor]
        assert list(self.ranges.descending(floor, count_max)) == expected[:count_max]

    @invariant()
    def equals_the_model(self) -> None:
        spans_now = self.ranges.ascending()
        assert {value for first, last in spans_now for value in range(first, last + 1)} == self.model
        assert all(first <= last for first, last in spans_now)
        assert all(before[1] + 1 < after[0] for before, after in pairwise(spans_now)), "ranges touch or overlap"
        assert [value for value in range(75) if value in self.ranges] == sorted(self.model)
        assert len(self.ranges) == len(spans_now)
        assert self.ranges.largest == max(self.model, default=-1)
        assert self.ranges.smallest == min(self.model, default=-1)
        descending = sorted(self.model, reverse=True)
        for value in (0, 17, 40, 80):
            assert self.ranges.below(value) == max((one for one in self.model if one < value), default=-1)
            assert self.ranges.count_above(value, 9) == min(9, len([one for one in self.model if one > value]))
            n = value + 1
            assert self.ranges.nth_largest(n) == (descending[n - 1] if n <= len(descending) else -1)


TestRangeSet = RangeSetMachine.TestCase


@given(st.lists(spans))
def test_order_of_adding_does_not_matter(several: list[tuple[int, int]]) -> None:
    forward, backward = RangeSet(), RangeSet()
    for span in several:
        forward.add(*span)
    for span in reversed(several):
        backward.add(*span)
    assert forward == backward
