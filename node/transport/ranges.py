"""A set of integers kept as ranges: received packet numbers, finished message ids, received bytes of a message."""

from __future__ import annotations

from bisect import bisect_right

__all__ = ["RangeSet"]


class RangeSet:
    """Disjoint, non-adjacent, inclusive ranges in ascending order. Adding at the upper end costs O(1).

    largest: the largest value; -1 when empty.
    """

    __slots__ = ("_firsts", "_lasts", "largest")

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self.largest = -1

    def __len__(self) -> int:
        """How many ranges there are."""
        return len(self._firsts)

    def __contains__(self, value: int) -> bool:
        index = bisect_right(self._firsts, value) - 1
        return index >= 0 and value <= self._lasts[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RangeSet) and self.ascending() == other.ascending()

    __hash__ = None  # type: ignore[assignment]  # mutable, so it must not be a key

    def __repr__(self) -> str:
        return f"RangeSet({self.ascending()})"

    @property
    def smallest(self) -> int:
        """The smallest value; -1 when empty."""
        return self._firsts[0] if self._firsts else -1

    def ascending(self) -> list[tuple[int, int]]:
        """All ranges as (first, last), lowest first."""
        return list(zip(self._firsts, self._lasts, strict=True))

    def descending(self, floor: int, count_max: int) -> tuple[tuple[int, int], ...]:
        """Up to count_max ranges that reach floor or above, highest first."""
        ranges: list[tuple[int, int]] = []
        for index in range(len(self._firsts) - 1, -1, -1):
            if self._lasts[index] < floor or len(ranges) == count_max:
                break
            ranges.append((self._firsts[index], self._lasts[index]))
        return tuple(ranges)

    def add(self, first: int, last: int) -> int:
        """Adds first..last and returns how many of those values are new."""
        largest = self.largest
        if first <= largest:
            return self._merge(first, last)
        if first == largest + 1 and largest >= 0:
            self._lasts[-1] = last
        else:
            self._firsts.append(first)
            self._lasts.append(last)
        self.largest = last
        return last - first + 1

    def missing(self, first: int, last: int) -> list[tuple[int, int]]:
        """The parts of first..last that are not in the set, as (first, last), lowest first."""
        index = max(0, bisect_right(self._firsts, first) - 1)
        gaps: list[tuple[int, int]] = []
        while index < len(self._firsts) and self._firsts[index] <= last:
            if first < self._firsts[index]:
                gaps.append((first, self._firsts[index] - 1))
            first = max(first, self._lasts[index] + 1)
            index += 1
        if first <= last:
            gaps.append((first, last))
        return gaps

    def covers(self, first: int, last: int) -> bool:
        """Whether all of first..last is in the set."""
        index = bisect_right(self._firsts, first) - 1
        return index >= 0 and last <= self._lasts[index]

    def below(self, value: int) -> int:
        """The largest value in the set that is smaller; -1 where there is none."""
        index = bisect_right(self._firsts, value - 1) - 1
        return min(self._lasts[index], value - 1) if index >= 0 else -1

    def nth_largest(self, n: int) -> int:
        """The n-th largest value, n from 1; -1 where there are fewer."""
        for index in range(len(self._firsts) - 1, -1, -1):
            size = self._lasts[index] - self._firsts[index] + 1
            if size >= n:
                return self._lasts[index] - n + 1
            n -= size
        return -1

    def count_above(self, value: int, count_max: int) -> int:
        """How many values are larger; counted up to count_max."""
        count = 0
        for index in range(len(self._firsts) - 1, -1, -1):
            if self._lasts[index] <= value or count >= count_max:
                break
            count += self._lasts[index] - max(self._firsts[index], value + 1) + 1
        return min(count, count_max)

    def drop_oldest(self) -> None:
        """Forgets the lowest range."""
        del self._firsts[0], self._lasts[0]
        if not self._lasts:
            self.largest = -1

    def _merge(self, first: int, last: int) -> int:
        firsts, lasts = self._firsts, self._lasts
        start = bisect_right(firsts, first)
        if start and lasts[start - 1] >= first - 1:
            start -= 1
        end = start
        new = last - first + 1
        low, high = first, last
        while end < len(firsts) and firsts[end] <= last + 1:
            new -= max(0, min(last, lasts[end]) - max(first, firsts[end]) + 1)
            low, high = min(low, firsts[end]), max(high, lasts[end])
            end += 1
        firsts[start:end] = [low]
        lasts[start:end] = [high]
        self.largest = lasts[-1]
        return new
