"""All checkers of one run: fed by the history, ticked once per second, finished at the end.

Knows which invariants there are; a scenario names those that its network cannot keep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from node.errors import UsageError
from node.sim.checks.base import Check, Report, Situation, Violation
from node.sim.checks.delivery import DeliveredInTime, DeliveredOnce, EverybodyDelivers, NothingForged
from node.sim.checks.membership import CrashesAreKnown, HonestStayUnpunished, NoFalseDeaths, ViewsAgree
from node.sim.checks.spread import SpreadByMesh
from node.sim.checks.state import (
    CountersTellTheTruth,
    HonestStayBlameless,
    MeshIsSound,
    NothingInClear,
    TablesAreBounded,
)
from node.sim.checks.trust import TrustIsEarned
from node.sim.history import Record
from node.sim.network import Network
from node.types import from_seconds

__all__ = ["INVARIANTS", "Suite"]

VIOLATIONS_MAX = 100
"""Kept of one run; the first ones tell the most."""

Make = Callable[[Situation, Report, Network], Check]


def _by_history(kind: type[Check]) -> Make:
    return lambda situation, report, _network: kind(situation, report)


INVARIANTS: Mapping[str, Make] = MappingProxyType(
    {
        **{
            kind.name: _by_history(kind)
            for kind in (
                DeliveredOnce,
                EverybodyDelivers,
                DeliveredInTime,
                NothingForged,
                CrashesAreKnown,
                NoFalseDeaths,
                ViewsAgree,
                HonestStayUnpunished,
            )
        },
        TablesAreBounded.name: TablesAreBounded,
        HonestStayBlameless.name: HonestStayBlameless,
        MeshIsSound.name: MeshIsSound,
        SpreadByMesh.name: SpreadByMesh,
        TrustIsEarned.name: TrustIsEarned,
        CountersTellTheTruth.name: CountersTellTheTruth,
        NothingInClear.name: NothingInClear,
    }
)
"""Every invariant by name. Those of membership, state and the wire say more in their modules."""


class Suite:
    """The checkers of one network.

    within: seconds in which nodes that nothing disturbs must have each message. without: invariants not judged.
    """

    def __init__(self, network: Network, *, within: float = 2.0, without: Iterable[str] = ()) -> None:
        left_out = tuple(without)
        for name in left_out:
            if name not in INVARIANTS:
                raise UsageError(f"no invariant is called {name}: there are {', '.join(INVARIANTS)}")
        self.violations: list[Violation] = []
        self.situation = Situation()
        self.checks = {
            name: make(self.situation, self._take, network) for name, make in INVARIANTS.items() if name not in left_out
        }
        in_time = self.checks.get(DeliveredInTime.name)
        if isinstance(in_time, DeliveredInTime):
            in_time.within = from_seconds(within)
        self._network = network
        network.history.listen(self._observe)

    def tick(self) -> None:
        """Lets the checkers look at what is due now."""
        self.situation.now = self._network.world.now
        for check in self.checks.values():
            check.tick(self._network.world.now)

    def finish(self) -> None:
        """Judges what must hold at the end."""
        self.tick()
        for check in self.checks.values():
            check.finish(self._network.world.now)

    def _observe(self, record: Record) -> None:
        self.situation.observe(record)
        for check in self.checks.values():
            check.observe(record)

    def _take(self, violation: Violation) -> None:
        if len(self.violations) < VIOLATIONS_MAX:
            self.violations.append(violation)
