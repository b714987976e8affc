"""What came of dialling members: whom to pass over for a while, and what the word of those who were not met is worth.

A member that could not be reached is passed over, each time for twice as long. After DOUBTS strangers in a row that led
nowhere, who is known by the word of others may be anybody's invention: from then on one stranger is tried at a time,
with a pause that doubles with every further failure, and each one that is really there halves the doubt. So a crowd of
invented keys costs a node a few dials, and then next to none.

Knows nothing of rings and dials: the links ask whom to try and tell what came of it. Bounded: oldest failure first.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.types import SECOND, Duration, Instant, NodeId, Random
from node.wire.limits import DIAL_RETRY_INITIAL, DIAL_RETRY_MAX, TRIALS_MAX

__all__ = ["Trials"]

DOUBTS = 8
"""As many as a node has neighbours on its rings: those of a sound network are there, but for a crash or two."""

DOUBTS_MAX = 32
"""Doubts do not grow beyond this, so that a few strangers who are there end them."""

PASS_MAX: Duration = 256 * SECOND
"""Time for which a stranger is passed over, at most; who was met is looked for every DIAL_RETRY_MAX."""

PAUSE_MAX: Duration = 32 * SECOND
"""Time between two strangers while they are doubted, at most."""


@dataclass(slots=True)
class _Failure:
    count: int
    passed_until: Instant


class Trials:
    """The outcomes of one node's dials. doubts: strangers in a row that were not there, those that were taken off."""

    def __init__(self, random: Random) -> None:
        self.doubts = 0
        self._random = random
        self._failures: dict[NodeId, _Failure] = {}
        self._next_at: Instant = 0

    def __len__(self) -> int:
        return len(self._failures)

    @property
    def are_doubted(self) -> bool:
        """Whether strangers are more likely invented than there."""
        return self.doubts >= DOUBTS

    def is_passed_over(self, node_id: NodeId, now: Instant) -> bool:
        """Whether that node could not be reached just now."""
        failure = self._failures.get(node_id)
        return failure is not None and now < failure.passed_until

    def may_try(self, now: Instant) -> bool:
        """Whether one more stranger may be dialled."""
        return not self.are_doubted or now >= self._next_at

    def tries(self, now: Instant) -> None:
        """A stranger is going to be dialled."""
        if self.are_doubted:
            self._next_at = now + min(SECOND << (self.doubts - DOUBTS), PAUSE_MAX)

    def failed(self, node_id: NodeId, now: Instant, *, is_met: bool) -> int:
        """That node could not be reached; how many times in a row."""
        failure = self._failures.pop(node_id, None) or _Failure(0, now)
        failure.count += 1
        # From 2 s on, so that it lasts until links are looked after again.
        longest = min(DIAL_RETRY_INITIAL << min(failure.count + 1, 8), DIAL_RETRY_MAX if is_met else PASS_MAX)
        failure.passed_until = now + round(longest * self._random.uniform(0.5, 1.0))
        self._failures[node_id] = failure
        if len(self._failures) > TRIALS_MAX:
            del self._failures[next(iter(self._failures))]
        if not is_met:
            self.doubts = min(self.doubts + 1, DOUBTS_MAX)
            self.tries(now)
        return failure.count

    def reached(self, node_id: NodeId, *, is_new: bool) -> None:
        """That node is there. is_new: it was a stranger until now."""
        self._failures.pop(node_id, None)
        if is_new:
            self.doubts //= 2
