"""What `testnet watch` knows of a testnet after each look: the last ten seconds, and no more."""

from __future__ import annotations

import pytest

from node.testnet.commands.watched import Look, Record, Watched

HOSTS = {"a": "127.1.0.1", "b": "127.1.0.2"}


def link(to: str, second: float, *, lost: int = 0, slow: int = 0, **changes: object) -> Record:
    """A link that sends ten packets a second. slow: round trips over 75 ms so far; the others are below 10 ms."""
    trips = int(10 * second)
    report: Record = {
        "name": to,
        "transport": "udp",
        "state": "established",
        "established_at": 1.0,
        "packets_sent": trips,
        "retransmissions": lost,
        "packets_lost": lost,
        "rtt_latest": 0.01,
        "rtt_buckets": [[0.0075, 0.01, trips - slow], [0.075, 0.1, slow]],
        "rto": 0.05,
    }
    return report | changes


def answer(second: float, *links: Record, delivered: int = 0) -> Record:
    runtime = {"loop_lag_seconds": 0.001 * second, "loop_lag_samples": int(2 * second)}
    return {"active_peers": 1, "gossip_stats": {"delivered": delivered}, "runtime": runtime, "links": list(links)}


def look(second: float, a: Record | None, b: Record | None = None, *, steps: tuple[str, ...] = ()) -> Look:
    settings = {"hosts": None, "settings": {"loss": 0.2}}
    chaos: Record = {"hosts": {}, "default": {}, "faults": [settings | {"step": step} for step in steps]}
    return Look(
        at=100.0 + second,
        states={"a": "running", "b": "running" if b is not None else "down"},
        stats={"a": a, "b": b},
        chaos={"a": chaos, "b": None},
        faults={},
    )


def of_a(watched: Watched) -> tuple[Record, Record]:
    """What is shown of node `a`, and of its link to `b`."""
    return watched.nodes()[0], watched.links()[0]


def test_a_fault_of_half_a_minute_shows_while_it_lasts_and_is_gone_ten_seconds_later() -> None:
    watched = Watched(HOSTS)
    shares = []
    for second in range(71):
        during = min(max(second - 20, 0), 30)  # two of ten packets are lost from second 20 to second 50
        towards = link("b", second, lost=2 * during, slow=10 * during)
        watched.take(look(second, answer(second, towards)))
        node, towards = of_a(watched)
        assert node["rtt_p99"] == towards["rtt_p99"]
        is_slow = (node["rtt_p99"] or 0.0) > 0.075
        shares.append((towards["retransmitted"], towards["loss_seen"], node["retransmitted"], is_slow))
    assert shares[20] == (0.0, 0.0, 0.0, False)
    assert shares[30] == shares[50] == (0.2, 0.2, 0.2, True)
    assert shares[60] == shares[70] == (0.0, 0.0, 0.0, False)


def test_what_is_asked_of_a_link_stands_beside_what_is_seen() -> None:
    watched = Watched(HOSTS)
    watched.take(look(1, answer(1, link("b", 1)), steps=("lossy",)))
    node, towards = of_a(watched)
    assert node["faults"] == towards["faults"] == ["lossy"]
    assert towards["loss_asked"] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("towards", "named"),
    [
        ({"a": "bcd", "b": "a", "c": "a", "d": "a"}, "a"),
        ({"a": "bcd"}, "a"),
        ({"b": "a", "c": "a", "d": "a"}, "a"),
        ({"a": "bcd", "b": "acd", "c": "ab", "d": "ab"}, "ab"),
        ({"a": "cd", "b": "cd", "c": "ab", "d": "ab"}, "abcd"),
        ({"a": "c", "c": "a"}, "ac"),
    ],
    ids=["both ways", "out", "in", "two nodes", "halves", "one link"],
)
def test_a_fault_on_links_is_named_at_the_node_that_it_is_about(towards: dict[str, str], named: str) -> None:
    watched = Watched({name: f"127.1.0.{ord(name)}" for name in "abcd"})

    def chaos(name: str) -> Record:
        hosts = [f"127.1.0.{ord(other)}" for other in towards.get(name, "")]
        return {"hosts": {}, "default": {}, "faults": [{"step": "x", "hosts": hosts}] if hosts else []}

    watched.take(Look(at=1.0, states={}, stats={}, chaos={name: chaos(name) for name in "abcd"}, faults={}))
    assert "".join(one["name"] for one in watched.nodes() if one["faults"] == ["x"]) == named


def test_rates_are_of_the_last_ten_seconds() -> None:
    watched = Watched(HOSTS)
    for second in range(31):
        watched.take(look(second, answer(second, delivered=4 * min(second, 20))))
        if second == 20:
            assert watched.nodes()[0]["gossip_rate"] == 4.0
    assert watched.nodes()[0]["gossip_rate"] == 0.0
    assert watched.nodes()[0]["lag"] == pytest.approx(0.0005)


def test_looks_far_apart_are_compared_with_the_one_before() -> None:
    watched = Watched(HOSTS)
    for second, lost in ((0, 0), (60, 0), (120, 120)):
        watched.take(look(second, answer(second, link("b", second, lost=lost))))
    assert of_a(watched)[1]["retransmitted"] == 0.2


def test_a_connection_or_process_that_begins_anew_is_not_compared_with_the_old_one() -> None:
    watched = Watched(HOSTS)
    watched.take(look(50, answer(50, link("b", 50, lost=50), delivered=70)))
    watched.take(look(51, answer(1, link("b", 1), delivered=1)))
    node, towards = of_a(watched)
    assert (node["gossip_rate"], towards["retransmitted"]) == (None, None)
    watched.take(look(52, answer(2, link("b", 2, lost=1), delivered=3)))
    node, towards = of_a(watched)
    assert (node["gossip_rate"], towards["retransmitted"]) == (2.0, 0.1)


def test_nothing_is_said_of_a_node_that_does_not_answer_nor_of_a_link_that_is_gone() -> None:
    watched = Watched(HOSTS)
    watched.take(look(1, answer(1, link("b", 1)), answer(1, link("a", 1))))
    assert [(one["from"], one["to"]) for one in watched.links()] == [("a", "b"), ("b", "a")]
    watched.take(look(2, answer(2), None))
    assert watched.links() == []
    silent = watched.nodes()[1]
    assert silent["state"] == "down"
    assert {silent[key] for key in ("peers", "rtt_p50", "rto", "retransmitted", "gossip_rate", "lag")} == {None}


def test_of_two_links_with_one_peer_the_established_one_is_shown() -> None:
    watched = Watched(HOSTS)
    closing = link("b", 900, state="closing", rto=9.0)
    stranger, stream = link("", 1), link("b", 1, transport="tcp", rto=8.0)
    watched.take(look(1, answer(1, link("b", 1), closing, stranger, stream)))
    (towards,) = watched.links()
    assert towards["rto"] == 0.05


def test_looks_are_kept_no_longer_than_they_are_needed() -> None:
    watched = Watched(HOSTS)
    for tenth in range(1000):
        watched.take(look(tenth / 10, answer(tenth / 10, link("b", tenth / 10))))
    kept = watched._nodes["a"]
    assert len(kept.looks) == len(kept.links["b"].looks) == 101
