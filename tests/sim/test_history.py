"""The history keeps records in order, hands them to listeners and reads as JSON."""

from __future__ import annotations

from node.sim.history import NETWORK, History, Record
from node.types import SECOND


def test_records_are_kept_in_order_and_found_by_kind_and_node() -> None:
    history = History()
    history.add(1, 0, "published", {"message": "a"})
    history.add(2, 1, "delivered", {"message": "a"})
    history.add(3, 2, "delivered", {"message": "a"})
    assert [record.at for record in history] == [1, 2, 3]
    assert [record.node for record in history.of("delivered")] == [1, 2]
    assert history.of("delivered", 2) == [Record(3, 2, "delivered", {"message": "a"})]


def test_listeners_hear_what_is_not_kept() -> None:
    history, heard = History(is_kept=False), list[Record]()
    history.listen(heard.append)
    history.add(1, 0, "published", {})
    assert (len(history), history.count, len(heard)) == (0, 1, 1)


def test_json_names_nodes_and_speaks_seconds() -> None:
    assert Record(3 * SECOND // 2, 4, "peer_up", {"peer": 1}).as_json() == {
        "at": 1.5,
        "node": "node-4",
        "event": "peer_up",
        "peer": 1,
    }
    assert Record(0, NETWORK, "healed", {}).as_json()["node"] == "network"
