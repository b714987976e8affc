"""Scores that nobody earned, and those that are no more than praise may give."""

from __future__ import annotations

from typing import Any

import pytest

from node.sim.checks.suite import Suite
from node.sim.network import Network, NetworkSettings
from node.trust.trust import TrustEntry
from node.types import NodeId

STRANGER = NodeId(b"s" * 32)


def entry(node_id: NodeId, **changes: Any) -> TrustEntry:
    blank: dict[str, Any] = {
        "score": 0.0, "own": 0.0, "praise": 0.0, "doubt": 0.0, "band": "neutral", "first_deliveries": 0,
        "penalties": {}, "banned_until": None,
    }  # fmt: skip
    return TrustEntry(node_id=node_id, **{**blank, **changes})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"score": -0.1}, ["node-1"]),
        ({"score": -0.1, "penalties": {"flood": 1}}, []),
        ({"score": 0.55}, ["node-1"]),
        ({"score": 0.55, "first_deliveries": 90}, []),
        ({"score": 0.5, "praise": 0.5}, []),
    ],
)
def test_scores_without_deeds_are_found(
    changes: dict[str, Any], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert judged(monkeypatch, lambda network: [entry(network.nodes[1].node_id, **changes)]) == expected


@pytest.mark.parametrize(("praise", "expected"), [(0.3, []), (0.31, ["praise"])])
def test_strangers_that_have_more_than_the_hostile_node_behind_them_are_found(
    praise: float, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def entries(network: Network) -> list[TrustEntry]:
        attacker = entry(network.nodes[2].node_id, own=0.2, praise=0.1, first_deliveries=9)
        return [attacker, entry(STRANGER, praise=praise, score=praise)]

    assert judged(monkeypatch, entries) == expected


def judged(monkeypatch: pytest.MonkeyPatch, entries: Any) -> list[str]:
    """What is found when the first of three nodes, the last of which is hostile, thinks that of them."""
    network = Network(NetworkSettings(nodes=3))
    suite = Suite(network)
    network.start_all()
    network.run(3)
    network.history.add(network.world.now, 2, "turned", {"role": "slanderer"})
    overview = network.nodes[0].machine.trust.overview(0)
    monkeypatch.setattr(
        network.nodes[0].machine.trust,
        "overview",
        lambda _: type(overview)(stats=overview.stats, bands=overview.bands, entries=tuple(entries(network))),
    )
    suite.finish()
    return [one.subject for one in suite.violations if one.invariant == "trust-is-earned"]
