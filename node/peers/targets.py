"""Addresses to dial, when to dial them next, and when to give up.

Bootstrap addresses and addresses of nodes once met are dialled for ever, with a delay that doubles per failure and is
shortened at random so that nodes that lost each other together do not come back together. Addresses known from hearsay
are given up after a few failures. Knows nothing of connections beyond an opaque handle per dial.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from node.messages.types import Carrier
from node.types import Address, Instant, NodeId, Random
from node.wire.limits import (
    DIAL_RETRY_INITIAL,
    DIAL_RETRY_MAX,
    DIALS_MAX,
    DIALS_OF_STRANGER_MAX,
    PEERS_KNOWN_MAX,
)

__all__ = ["Target", "TargetKey", "Targets"]


class TargetKey(NamedTuple):
    """Where to dial and whom to expect there; None expects anybody."""

    carrier: Carrier
    address: Address
    expected: NodeId | None


@dataclass(slots=True)
class Target:
    """One address to dial.

    is_bootstrap: never forgotten. is_manual: asked for by the application, dropped after one outcome.
    is_trial: dialled once, to see whether somebody is there again.
    connection: handle of the dial under way, else None. reached: who answered there last.
    failures: in a row. is_self: it led back to this node and is never dialled again.
    """

    key: TargetKey
    next_at: Instant
    is_bootstrap: bool = False
    is_manual: bool = False
    is_trial: bool = False
    connection: int | None = None
    reached: NodeId | None = None
    failures: int = 0
    is_self: bool = False

    @property
    def node_id(self) -> NodeId | None:
        """Who is there, as far as known."""
        return self.key.expected or self.reached


class Targets:
    """The table of targets. `is_met` tells whether a node was ever an active peer.

    doubts: how little is known of a node, 0 to 2: was met here, said itself that it is there, was told of by others.
    """

    def __init__(self, random: Random, *, is_met: Callable[[NodeId], bool]) -> None:
        self._random = random
        self._is_met = is_met
        self.doubts: Callable[[NodeId], int] = lambda node_id: 0
        self._targets: dict[TargetKey, Target] = {}
        self._dialling: dict[tuple[Carrier, int], Target] = {}

    def __len__(self) -> int:
        return len(self._targets)

    @property
    def under_way(self) -> int:
        """Dials whose outcome is not known."""
        return len(self._dialling)

    def get(self, key: TargetKey) -> Target | None:
        """The target with that key."""
        return self._targets.get(key)

    def all(self) -> list[Target]:
        """Every target, oldest first."""
        return list(self._targets.values())

    def add(self, key: TargetKey, at: Instant) -> Target | None:
        """The target with that key, made if it is new and there is room."""
        target = self._targets.get(key)
        if target is None and (len(self._targets) < PEERS_KNOWN_MAX or self._make_room()):
            target = self._targets[key] = Target(key, at)
        return target

    def of(self, node_id: NodeId) -> list[Target]:
        """The targets that name that node."""
        return [target for target in self._targets.values() if target.key.expected == node_id]

    def remove(self, target: Target) -> None:
        """Forgets a target."""
        self._targets.pop(target.key, None)

    def began(self, target: Target, connection: int) -> None:
        """A dial is under way."""
        target.connection = connection
        self._dialling[(target.key.carrier, connection)] = target

    def dialled_by(self, carrier: Carrier, connection: int) -> Target | None:
        """The target whose dial that connection is."""
        return self._dialling.get((carrier, connection))

    def ended(self, target: Target) -> None:
        """No dial is under way any more."""
        if target.connection is not None:
            del self._dialling[(target.key.carrier, target.connection)]
            target.connection = None

    def failed(self, target: Target, now: Instant) -> bool:
        """A dial failed: plans the next one; False if the target was given up instead."""
        target.failures += 1
        is_over = target.is_self or target.is_trial or self._is_given_up(target)
        target.is_manual = target.is_trial = False
        if is_over:
            if not target.is_bootstrap:
                self.remove(target)
            return False
        longest = min(DIAL_RETRY_INITIAL << min(target.failures - 1, 8), DIAL_RETRY_MAX)
        target.next_at = now + round(longest * self._random.uniform(0.5, 1.0))
        return True

    def due(self, now: Instant, is_wanted: Callable[[Target], bool]) -> list[Target]:
        """Whom to dial now, the best known and least unsuccessful first, as many as may be under way at once."""
        waiting = [target for target in self._targets.values() if target.next_at <= now and self._is_idle(target)]
        wanted = [target for target in waiting if is_wanted(target)]
        wanted.sort(key=lambda target: (not target.is_manual, self._doubts(target), target.failures))
        chosen: list[Target] = []
        for target in wanted:
            if target.is_manual or self._has_room(target, len(chosen)):
                chosen.append(target)
        return chosen

    def next_timeout(self, is_wanted: Callable[[Target], bool]) -> Instant | None:
        """When the next dial is due; None while as many as allowed are under way."""
        if len(self._dialling) >= DIALS_MAX:
            return None
        times = [
            target.next_at
            for target in self._targets.values()
            if self._is_idle(target) and self._has_room(target) and is_wanted(target)
        ]
        return min(times, default=None)

    def _doubts(self, target: Target) -> int:
        return 0 if target.key.expected is None else self.doubts(target.key.expected)

    def _has_room(self, target: Target, more: int = 0) -> bool:
        # A dial of nobody ends after many seconds: inventions may not hold up those of whom more is known.
        return len(self._dialling) + more < DIALS_MAX * (4 - self._doubts(target)) // 4

    def _is_idle(self, target: Target) -> bool:
        if target.connection is not None or target.is_self:
            return False
        # An address that is dialled for anybody needs no second dial for somebody in particular.
        carrier, address, expected = target.key
        return expected is None or (carrier, address, None) not in self._targets

    def _make_room(self) -> bool:
        for target in self._targets.values():
            expected = target.key.expected
            if target.connection is None and expected is not None and not self._is_met(expected):
                self.remove(target)
                return True
        return False

    def _is_given_up(self, target: Target) -> bool:
        if target.is_bootstrap:
            return False
        if target.is_manual and target.key.expected is None:
            return True
        expected = target.key.expected
        return target.failures >= DIALS_OF_STRANGER_MAX and not (expected is not None and self._is_met(expected))
