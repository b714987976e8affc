"""Defects that a node could have, planted by tests alone, and a short scenario in which each of them shows.

Nothing in the product can switch one on: each is a function of the product replaced for the time of one test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest

from node.core import machine as core_machine
from node.errors import DecodeError
from node.gossip import admission
from node.gossip.actions import Blame
from node.gossip.admission import Admission
from node.gossip.gossip import Gossip
from node.gossip.mesh import Mesh
from node.gossip.reconcile import Reconciler
from node.gossip.spread import Spreader
from node.gossip.store import Retained, SeenIds, Store
from node.impairment.link import LinkSettings
from node.peers.dialer import Dialer
from node.peers.membership import Membership
from node.sim import nodes, steps
from node.sim.hostile import FORGER, REPLAYER, SLANDERER
from node.sim.scenario import Scenario, Step
from node.transport.recovery import Recovery
from node.trust import walk
from node.trust.trust import Trust
from node.types import MILLISECOND
from node.wire.limits import LINKS_ALL_MAX

__all__ = ["DEFECTS", "Defect"]

Plant: TypeAlias = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Defect:
    """caught_by: invariants any of which may find it first, in this scenario."""

    name: str
    plant: Plant
    scenario: Scenario
    caught_by: tuple[str, ...]


def _nothing(*_: Any, **__: Any) -> None:
    return None


def _replaced(target: object, name: str, value: object) -> Plant:
    return lambda monkeypatch: monkeypatch.setattr(target, name, value)


def small(**changes: Any) -> Scenario:
    """Five nodes, a few messages; what is planted in it shows in seconds."""
    values = {"nodes": 5, "warm_up": 4, "seconds": 6, "settle": 12, "link": LinkSettings(delay=20 * MILLISECOND)}
    return Scenario(**{"name": "small", "title": "", **values, **changes})


def _no_dedup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SeenIds, "__contains__", lambda _, __: False)
    monkeypatch.setattr(Admission, "_is_known", lambda *_: False)


def _no_retransmission(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recovery, "_detect_lost", lambda *_: [])
    monkeypatch.setattr(Recovery, "next_timeout", _nothing)


def _forgets_watermarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Gossip, "restore", _nothing)


def _signs_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A relay that stamps the time anew before it passes a message on, as the signature does not allow."""

    def stamped(envelope: Any, hops: int, now: int, true: Any = Retained.of) -> Any:
        kept = true(envelope, hops, now)
        if hops:
            kept.body = kept.body.replace(
                envelope.timestamp.to_bytes(8, "big"), (envelope.timestamp + 1).to_bytes(8, "big")
            )
        return kept

    monkeypatch.setattr(Retained, "of", staticmethod(stamped))


def _retains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    true = Store.__init__
    monkeypatch.setattr(Store, "__init__", lambda self, _, size: true(self, 0, size))


def _blames_the_author(monkeypatch: pytest.MonkeyPatch) -> None:
    """Punishes whoever is named in a bad message, instead of whoever brought it."""
    true = Admission.check

    def check(self: Any, peer: Any, envelope: Any, now: Any) -> None:
        try:
            true(self, peer, envelope, now)
        except DecodeError:
            self.blamed = envelope.origin
            raise

    def reject(self: Any, peer: Any, reason: str) -> None:
        for _ in range(8):
            self._actions.append(Blame(peer=getattr(self._admission, "blamed", peer), reason=reason))

    monkeypatch.setattr(Admission, "check", check)
    monkeypatch.setattr(Gossip, "_reject", reject)


def _reads_the_clock_backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    true = core_machine._gossip_settings
    monkeypatch.setattr(
        core_machine, "_gossip_settings", lambda settings, offset, epoch: true(settings, -offset, epoch)
    )


def _never_dials_again(monkeypatch: pytest.MonkeyPatch) -> None:
    true = Dialer._is_wanted

    def is_wanted(self: Any, target: Any) -> bool:
        peer = self._table.get(target.node_id) if target.node_id is not None else self._table.at(target.key.address)
        return true(self, target) and not (peer is not None and peer.is_met)

    monkeypatch.setattr(Dialer, "_is_wanted", is_wanted)


def _accepts_any_age(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "check_freshness", _nothing)
    monkeypatch.setattr(Reconciler, "wants", lambda *_: True)


def _compares_no_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reconciler, "heard", _nothing)
    monkeypatch.setattr(Reconciler, "_ask", _nothing)


def _sees_no_death(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Membership, "silent", _nothing)
    monkeypatch.setattr(Membership, "unreachable", _nothing)


def _counts_deliveries_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    true = Gossip._deliver

    def deliver(self: Any, *arguments: Any) -> None:
        true(self, *arguments)
        self.stats.delivered += 1

    monkeypatch.setattr(Gossip, "_deliver", deliver)


def _sends_in_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    from node.crypto.aead import PacketCipher

    monkeypatch.setattr(PacketCipher, "seal", lambda _, __, plaintext, ___: plaintext + bytes(16))
    monkeypatch.setattr(PacketCipher, "open", lambda _, __, ciphertext, ___: ciphertext[:-16])


def _bounds_no_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who praises many gives each of them as much as one."""

    def spread(mass: float, said: Any, opinion: Any, following: dict[Any, float]) -> None:
        for subject, score in said:
            opinion.praise[subject] = opinion.praise.get(subject, 0.0) + mass * max(0.0, score)
            following[subject] = following.get(subject, 0.0) + mass * max(0.0, score)

    monkeypatch.setattr(walk, "_spread", spread)


def _believes_slander(monkeypatch: pytest.MonkeyPatch) -> None:
    true = Trust._score

    def score(self: Any, node_id: Any) -> float:
        return max(-1.0, true(self, node_id) - float(self._opinion.doubt.get(node_id, 0.0)))

    monkeypatch.setattr(Trust, "_score", score)


def _relays_drop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Spreader, "relay", _nothing)


_LOSSY = LinkSettings(delay=20 * MILLISECOND, loss=0.25)
_CRASH = Step(1, steps.crash(1), "one node dies")
_BACK = Step(1, steps.crash(1, back_after=2), "one node dies and comes back")
_SPARSE = small(nodes=LINKS_ALL_MAX + 3, seconds=4, settle=8, rate=4.0)
_SLANDER = small(
    nodes=7, roles=((SLANDERER, 2),), rate=5.0, seconds=20, link=LinkSettings(delay=20 * MILLISECOND, loss=0.1)
)
_CUT = Step(1, steps.partition(8, share=0.2), "one node is cut off")

DEFECTS = (
    Defect("deduplication off", _no_dedup, small(), ("delivered-once",)),
    Defect(
        "retransmission off",
        _no_retransmission,
        small(link=_LOSSY),
        ("views-agree", "delivered-in-time", "everybody-delivers"),
    ),
    Defect(
        "watermarks forgotten",
        _forgets_watermarks,
        small(roles=((REPLAYER, 1),), seconds=12, steps=(Step(5, steps.leave(2, back_after=2), "two restart"),)),
        ("delivered-once",),
    ),
    Defect(
        "signature unchecked",
        _replaced(admission, "check_signature", _nothing),
        small(roles=((FORGER, 1),)),
        ("nothing-forged", "delivered-once"),
    ),
    Defect(
        "relays sign again",
        _signs_again,
        small(nodes=8, seconds=8, rate=20.0, link=LinkSettings(delay=20 * MILLISECOND, loss=0.1)),
        ("honest-stay-blameless", "honest-stay-unpunished"),
    ),
    Defect(
        "nobody is dialled again",
        _never_dials_again,
        small(steps=(Step(1, steps.partition(25, share=0.2), "one node is cut off"),), seconds=30),
        ("views-agree", "everybody-delivers"),
    ),
    Defect("nothing is retained", _retains_nothing, small(steps=(_CUT,), seconds=12), ("everybody-delivers",)),
    Defect(
        "freshness unchecked",
        _accepts_any_age,
        small(roles=((FORGER, 1),)),
        ("nothing-forged",),
    ),
    Defect(
        "epoch not raised at a restart",
        _replaced(nodes, "epoch_after", lambda *_: 1_700_000_000_000),
        small(nodes=3, steps=(_BACK, Step(8, steps.crash(2, back_after=1), "and again")), seconds=20, rate=5.0),
        ("everybody-delivers", "delivered-in-time"),
    ),
    Defect(
        "no digest is ever compared",
        _compares_no_digest,
        small(steps=(_CUT,), seconds=12),
        ("everybody-delivers",),
    ),
    Defect(
        "the author is blamed", _blames_the_author, small(roles=((FORGER, 1),), seconds=40), ("honest-stay-unpunished",)
    ),
    Defect(
        "clock read backwards",
        _reads_the_clock_backwards,
        small(),
        ("everybody-delivers", "delivered-in-time", "nothing-forged"),
    ),
    Defect(
        "deaths unseen",
        _sees_no_death,
        small(steps=(_CRASH,)),
        ("crashes-are-known",),
    ),
    Defect("deliveries counted twice", _counts_deliveries_twice, small(), ("counters-tell-the-truth",)),
    Defect("packets in clear", _sends_in_clear, small(), ("nothing-in-clear",)),
    Defect("relays drop", _relays_drop, _SPARSE, ("spread-by-mesh",)),
    Defect("grafts ignored", _replaced(Gossip, "_receive_graft", _nothing), _SPARSE, ("mesh-is-sound",)),
    Defect("prunes ignored", _replaced(Mesh, "pruned", lambda *_: []), _SPARSE, ("mesh-is-sound",)),
    Defect(
        "suspicion never refuted",
        _replaced(Membership, "_refute", _nothing),
        small(nodes=LINKS_ALL_MAX + 3, seconds=4, steps=(Step(1, steps.pause(2, 2.3), "two stand still"),)),
        ("views-agree",),
    ),
    Defect("an edge gives each as much as all", _bounds_no_edge, _SLANDER, ("trust-is-earned",)),
    Defect("slander is believed", _believes_slander, _SLANDER, ("trust-is-earned",)),
)
