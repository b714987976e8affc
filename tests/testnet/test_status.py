from __future__ import annotations

from typing import Any

from node.testnet.status import NodeStatus, status_lines, status_of, status_record
from tests.testnet.conftest import node


def link(**values: Any) -> dict[str, Any]:
    return {"transport": "udp", "rtt": 0.04, "rto_computed": 0.06, "rto_effective": 0.06, **values}


def answer(*links: dict[str, Any], peers: int = 1) -> dict[str, Any]:
    members = {"alive": peers, "suspect": 0, "dead": 0, "left": 0}
    counts = {"active_peers": peers, "known_peers": peers, "members": members}
    return {**counts, "links": list(links), "gossip_stats": {"delivered": 7}}


def one(reply: dict[str, Any] | None) -> NodeStatus:
    (status,) = status_of([node("node-1")], {"node-1": reply})
    return status


def test_a_node_is_summed_up_over_its_udp_links() -> None:
    first = link(rtt=0.02, packets_sent=100, retransmissions=10, packets_lost=9)
    second = link(rtt=0.04, packets_sent=50, retransmissions=5, packets_lost=1)
    tcp = {"transport": "tcp", "rtt": 9.0, "packets_sent": 1000, "retransmissions": 100}
    status = one(answer(first, second, tcp, peers=2))
    assert (status.rtt, status.sent, status.retransmitted, status.lost) == (0.03, 150, 15, 10)
    assert (status.members, status.active_peers, status.delivered) == (2, 2, 7)


def test_what_was_not_measured_is_left_out_of_the_means() -> None:
    assert one(answer(link(rtt=None), link(rtt=0.04))).rtt == 0.04
    assert one(answer(link(rtt=None))).rtt is None


def test_a_node_without_an_answer_still_has_a_row() -> None:
    status = one(None)
    assert (status.state, status.active_peers, status.rtt) == ("healthy", None, None)
    assert status_lines([status])[1].split() == ["node-1", "healthy", *"---------"]


def test_a_container_that_ended_shows_its_exit_code() -> None:
    (status,) = status_of([node("node-1", state="exited", exit_code=3)], {})
    assert status.state == "exited (3)"


def test_an_answer_of_another_version_does_not_break_the_table() -> None:
    status = one({"links": [None, 5, {"transport": "udp"}], "gossip_stats": None})
    assert len(status_lines([status])) == 2


def test_the_table_has_ratios_and_units() -> None:
    status = one(answer(link(packets_sent=200, retransmissions=10, packets_lost=8)))
    words = status_lines([status, one(answer())])[1]
    assert "1 of 1" in words
    assert "40.0 ms" in words
    assert "10 (5.0 %)" in words


def test_a_status_for_programs_has_every_field() -> None:
    assert set(status_record(one(None))) == {
        "name",
        "state",
        "members",
        "active_peers",
        "known_peers",
        "rtt",
        "rto_computed",
        "rto_effective",
        "sent",
        "retransmitted",
        "lost",
        "delivered",
    }
