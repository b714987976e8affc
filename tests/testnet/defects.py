"""Defects that a node could have, and the shipped scenario that each of them turns red; nothing in the product can
switch one on.

`python -m tests.testnet.defects [sim|proc]` plants one after the other and prints what became of its scenario, with
the page that says why. In processes they are planted by `ProcRunner(prepare=...)`, which calls the function of that
name in the process of every node before it takes part; in a simulation by whoever sets attributes here.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from node.gossip.admission import Admission
from node.gossip.store import SeenIds
from node.impairment.wire import Wire
from node.node.engine import Engine
from node.peers.dialer import Dialer
from node.testnet.commands.chaos import SCENARIOS, read_scenario
from node.testnet.report import write_report
from node.testnet.run.conductor import Conductor
from node.testnet.run.folder import RunFolder
from node.testnet.runners.base import Runner
from node.testnet.runners.proc import ProcRunner
from node.testnet.runners.sim import SimRunner
from node.testnet.scenario.resolve import resolve
from node.transport.recovery import Recovery

__all__ = ["DEFECTS", "Defect", "dedup_off", "never_dials_again", "never_heals", "planted", "retransmission_off"]


@dataclass(frozen=True, slots=True)
class Defect:
    """replaced: (owner, name, value), all that it takes. scenario: that it turns red. said: in the reason for it."""

    replaced: tuple[tuple[object, str, object], ...]
    scenario: str
    said: str

    def plant(self, put: Callable[[Any, str, object], None]) -> None:
        """put: `setattr`, or one that takes it back."""
        for owner, name, value in self.replaced:
            put(owner, name, value)


def _nothing(*_: Any, **__: Any) -> None:
    return None


def _is_wanted(self: Any, target: Any, true: Any = Dialer._is_wanted) -> bool:
    peer = self._table.get(target.node_id) if target.node_id is not None else self._table.at(target.key.address)
    return bool(true(self, target)) and not (peer is not None and peer.is_met)


DEFECTS: Mapping[str, Defect] = {
    # What is lost stays lost.
    "retransmission_off": Defect(
        ((Recovery, "_detect_lost", lambda *_: []), (Recovery, "next_timeout", _nothing)),
        "loss-20",
        "positron_link_retransmitted_packets_total",
    ),
    # Every copy of a message is a new message.
    "dedup_off": Defect(
        ((SeenIds, "__contains__", lambda _, __: False), (Admission, "_is_known", lambda *_: False)),
        "duplicate",
        "no_duplicate_delivery: ",
    ),
    # A partition that nobody ends: demands have no limit, and healing does nothing.
    "never_heals": Defect(
        ((Wire, "heal", lambda *_: []), (Wire, "_expire", _nothing), (SimRunner, "_end_links", _nothing)),
        "partition-halves",
        "split recover: not within 10 s: ",
    ),
    # The cut is over, and whoever was on the other side is a stranger for good.
    "never_dials_again": Defect(
        ((Dialer, "_is_wanted", _is_wanted),),
        "partition-halves",
        "split recover: not within 10 s: ",
    ),
}


def retransmission_off(_engine: Engine) -> None:
    DEFECTS["retransmission_off"].plant(setattr)


def dedup_off(_engine: Engine) -> None:
    DEFECTS["dedup_off"].plant(setattr)


def never_heals(_engine: Engine) -> None:
    DEFECTS["never_heals"].plant(setattr)


def never_dials_again(_engine: Engine) -> None:
    DEFECTS["never_dials_again"].plant(setattr)


def planted(name: str, runner: Runner, out: Path) -> tuple[Conductor, Path]:
    """What became of the scenario of that defect with this runner, and its page. Planting it is the caller's affair."""
    scenario, source = read_scenario(SCENARIOS / f"{DEFECTS[name].scenario}.yaml")
    folder = RunFolder(out, f"{scenario.name}-{name.replace('_', '-')}", scenario.seed, began=0.0)
    conductor = Conductor(scenario, resolve(scenario), runner)
    conductor.run()
    folder.write(conductor, source)
    return conductor, write_report(folder.path).path


def _main(runner: str) -> int:
    out = Path(tempfile.mkdtemp(prefix="defects-"))
    green = 0
    for name, defect in DEFECTS.items():
        with pytest.MonkeyPatch.context() as patch:
            if runner == "sim":
                defect.plant(patch.setattr)
            made = SimRunner() if runner == "sim" else ProcRunner(prepare=f"tests.testnet.defects:{name}")
            conductor, page = planted(name, made, out)
        outcome = conductor.outcome
        green += not outcome.verdict.status
        sys.stdout.write(f"{name}: {defect.scenario} {outcome.verdict.value}: {outcome.reason[:120]}\n  {page}\n")
        sys.stdout.flush()
    return 1 if green else 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1] if len(sys.argv) > 1 else "sim"))
