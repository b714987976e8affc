"""Trust is earned by service alone: the word of others, however many they are, moves next to nothing.

Judged by a look into the nodes at the end of a run: what each honest one thinks of each other node.
"""

from __future__ import annotations

from node.sim.checks.base import Check, Report, Situation
from node.sim.history import node_name
from node.sim.network import Network
from node.trust.trust import PRAISE_MAX, TrustEntry
from node.types import Instant, NodeId, short_id

__all__ = ["TrustIsEarned"]

_ROUNDING = 1e-9


class TrustIsEarned(Check):
    """No word of others makes a node worse that did nothing wrong, or trusted before it has served.

    All that hostile nodes praise has less of it, together, than they are worth themselves.
    """

    name = "trust-is-earned"

    def __init__(self, situation: Situation, report: Report, network: Network) -> None:
        super().__init__(situation, report)
        self._network = network

    def finish(self, now: Instant) -> None:
        for number in self.situation.honest_living():
            node = self._network.nodes[number]
            assert node.host is not None
            entries = node.machine.trust.overview(self._network.world.clock_of(node.host)).entries
            for entry in entries:
                self._judge(number, entry)
            self._judge_strangers(number, entries)

    def _judge(self, number: int, entry: TrustEntry) -> None:
        if not entry.penalties and entry.score < 0:
            self.fail(number, self._name(entry.node_id), f"has {entry.score:.2f} for nothing that it did")
        if not entry.first_deliveries and entry.score > PRAISE_MAX + _ROUNDING:
            self.fail(number, self._name(entry.node_id), f"has {entry.score:.2f} for nothing but praise")

    def _judge_strangers(self, number: int, entries: tuple[TrustEntry, ...]) -> None:
        numbers, hostile = self._network.number_of, self.situation.ever_hostile
        praised = sum(entry.praise for entry in entries if entry.node_id not in numbers)
        edges = sum(max(0.0, entry.own) + entry.praise for entry in entries if numbers.get(entry.node_id) in hostile)
        if praised > edges + _ROUNDING:
            text = f"nodes that do not exist have {praised:.3f} of praise, those behind them {edges:.3f}"
            self.fail(number, "praise", text)

    def _name(self, node_id: NodeId) -> str:
        other = self._network.number_of.get(node_id)
        return node_name(other) if other is not None else f"stranger {short_id(node_id)}"
