"""Nodes that are asked over HTTP, and what their silence looks like."""

from __future__ import annotations

import pytest

from node.testnet.runners.live import LiveNode, LiveNodes, wait_until
from node.testnet.runners.proc import ProcRunner

pytestmark = pytest.mark.loopback


def test_a_message_is_published_by_one_and_delivered_by_all_others(whole: ProcRunner) -> None:
    message = whole.publish("node-2", 200)
    assert message is not None

    def told() -> list[tuple[str, str, str]]:
        events = [event for event in whole.history() if event.get("message") == message]
        return sorted((event["node"], event["event"], event.get("origin", "")) for event in events)

    assert wait_until(lambda: len(told()) == 4, 5.0)
    assert told() == [
        ("node-1", "delivered", "node-2"),
        ("node-2", "published", ""),
        ("node-3", "delivered", "node-2"),
        ("seed", "delivered", "node-2"),
    ]
    times = [event["at"] for event in whole.history()]
    assert times == sorted(times)
    assert all(0 <= at <= whole.now() for at in times)


def test_everybody_has_everybody_as_a_member(whole: ProcRunner) -> None:
    assert wait_until(lambda: all(len(others) == 3 for others in whole.members().values()), 10.0)
    members = {node: sorted(others) for node, others in whole.members().items()}
    assert members["seed"] == ["node-1", "node-2", "node-3"]
    assert sorted(members) == ["node-1", "node-2", "node-3", "seed"]


def test_nodes_are_scraped_and_asked_for_their_statistics(whole: ProcRunner) -> None:
    assert all('node="' in (text or "") for text in whole.scrape().values())
    assert {name: (one or {}).get("name") for name, one in whole.stats().items()} == {
        name: name for name in ("seed", "node-1", "node-2", "node-3")
    }
    assert whole.status("node-1", "/healthz") == 200
    assert whole.status("node-1", "/nonsense") == 404


def test_who_does_not_answer_is_none_and_no_error() -> None:
    nodes = LiveNodes([LiveNode("a", "127.0.0.1", 9, "127.0.0.1:9")], "", 0.0)
    assert nodes.scrape() == {"a": None}
    assert nodes.stats() == {"a": None}
    assert nodes.members() == {}
    assert nodes.status("a", "/healthz") == 0
    assert nodes.publish("a", {}) is None
    nodes.read_histories()
    assert nodes.history() == []
    nodes.close()
