"""Questions that are out: which of this node's own, and which it asks for others.

Knows nothing of why somebody is asked. Bounded: the oldest question is forgotten first.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.types import NodeId
from node.wire.limits import PROBES_MAX

__all__ = ["Probe", "Probes"]


@dataclass(frozen=True, slots=True)
class Probe:
    """One question. target: who is asked. relay: through whom, None directly. asker: for whom, with its number."""

    target: NodeId
    relay: NodeId | None = None
    asker: NodeId | None = None
    asker_number: int = 0


class Probes:
    """The open questions of one node by number."""

    def __init__(self) -> None:
        self._open: dict[int, Probe] = {}
        self._next_number = 1

    def __len__(self) -> int:
        return len(self._open)

    def ask(self, probe: Probe) -> int:
        """The number of a new question."""
        number = self._next_number
        self._next_number += 1
        self._open[number] = probe
        if len(self._open) > PROBES_MAX:
            del self._open[next(iter(self._open))]
        return number

    def answered(self, number: int, by: NodeId, *, is_final: bool) -> Probe | None:
        """The question with that number, if that peer is the one who was to answer; a final answer closes it."""
        probe = self._open.get(number)
        if probe is None or by != (probe.relay or probe.target):
            return None
        if is_final:
            del self._open[number]
        return probe

    def forget(self, target: NodeId) -> None:
        """Forgets this node's own questions about that one."""
        mine = [number for number, probe in self._open.items() if probe.target == target and probe.asker is None]
        for number in mine:
            del self._open[number]
