"""Every event of a node becomes a record of plain data."""

from __future__ import annotations

import json
from random import Random

import pytest

from node.core.events import DataReceived, DialFailed, NodeEvent, PeerDown, PeerUp, Problem, SendFinished
from node.errors import Code, SendTimeout
from node.identity.keys import Identity
from node.sim.history import History
from node.sim.nodes import SimNode
from node.sim.reporting import Reporter
from node.sim.world import World
from node.types import SECOND, NodeId

PEER, STRANGER = NodeId(b"p" * 32), NodeId(b"s" * 32)
UP = PeerUp(node_id=PEER, name="x", address=("10.0.0.1", 1), aliases=())
DATA = DataReceived(message_id="ab", origin=PEER, payload={}, packed=b"\x80", hops=2, age=0, is_broadcast=True)
DIRECT = DataReceived(message_id="cd", origin=STRANGER, payload={}, packed=b"\x80", hops=1, age=0, is_broadcast=False)
FAILED = DialFailed(address=("10.0.0.1", 1), code=Code.OK, reason="r", hint="", is_final=True)


@pytest.mark.parametrize(
    ("event", "kind", "facts"),
    [
        (UP, "peer_up", {"peer": 7}),
        (
            PeerDown(node_id=STRANGER, name="x", address=("10.0.0.1", 1), reason="left"),
            "peer_down",
            {"peer": STRANGER[:4].hex(), "reason": "left"},
        ),
        (DATA, "delivered", {"message": "ab", "origin": 7, "hops": 2, "latency": 3 * SECOND, "age": 0}),
        (DIRECT, "received", {"message": "cd", "origin": STRANGER[:4].hex()}),
        (SendFinished(token=4, error=SendTimeout("late")), "sent", {"token": 4, "error": "SendTimeout"}),
        (Problem(kind="identity_conflict", text="two"), "problem", {"kind": "identity_conflict", "text": "two"}),
        (
            FAILED,
            "dial_failed",
            {"address": "10.0.0.1:1", "code": 0, "reason": "r", "hint": "", "is_final": True},
        ),
    ],
)
def test_event_becomes_a_record(event: NodeEvent, kind: str, facts: dict[str, object]) -> None:
    world, history = World(Random(1)), History()
    world.run(4)
    reporter = Reporter(world, history, {PEER: 7}, {"ab": 1 * SECOND})
    reporter.report(SimNode(2, Identity(bytes(32)), Random(1)), event)
    (record,) = history
    assert (record.at, record.node, record.kind, record.facts) == (4 * SECOND, 2, kind, facts)
    json.dumps(record.as_json())
