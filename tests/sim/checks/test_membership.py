"""Deaths that are not seen, deaths that are none, views that differ, and blame on the wrong node."""

from __future__ import annotations

import pytest

from node.sim.checks.base import Check
from node.sim.checks.membership import CrashesAreKnown, HonestStayUnpunished, NoFalseDeaths, ViewsAgree
from tests.sim.checks.judging import Judge


def friends(kind: type[Check], nodes: int = 3) -> Judge:
    judge = Judge(kind)
    judge.start(*range(nodes))
    for node in range(nodes):
        for peer in range(nodes):
            if peer != node:
                judge.say(1, node, "peer_up", peer=peer)
    return judge


def down(judge: Judge, at: float, node: int, peer: int, reason: str = "idle_timeout") -> None:
    judge.say(at, node, "peer_down", peer=peer, reason=reason)


def test_crash_that_somebody_has_not_noticed_in_time_is_found() -> None:
    judge = friends(CrashesAreKnown)
    judge.say(20, 2, "crashed")
    down(judge, 22, 0, 2)
    assert judge.finish(30) == ["1: node-2"]


@pytest.mark.parametrize(
    ("hostile", "noticed_at", "found"), [(1, 25.5, []), (0, 25.5, ["0: node-2"]), (1, 26.5, ["0: node-2"])]
)
def test_the_only_honest_node_among_hostile_ones_has_more_time(
    hostile: int, noticed_at: float, found: list[str]
) -> None:
    judge = friends(CrashesAreKnown)
    judge.start(*range(3, 3 + hostile), is_honest=False)
    judge.say(20, 2, "crashed")
    judge.say(20, 1, "crashed")
    down(judge, 21, 0, 1)
    down(judge, noticed_at, 0, 2)
    assert judge.finish(30) == found


def test_crash_that_all_noticed_in_time_is_measured() -> None:
    judge = friends(CrashesAreKnown)
    judge.say(20, 2, "crashed")
    down(judge, 22, 0, 2)
    down(judge, 23, 1, 2)
    assert judge.finish(30) == []
    assert isinstance(judge.check, CrashesAreKnown)
    assert judge.check.known_after == [3_000_000_000]


def test_node_that_leaves_is_gone_sooner() -> None:
    judge = friends(CrashesAreKnown)
    judge.say(20, 2, "stopped")
    down(judge, 20.1, 0, 2, "left")
    assert judge.finish(30) == ["1: node-2"]


def test_what_members_tell_counts_more_than_connections() -> None:
    judge = friends(CrashesAreKnown)
    judge.say(2, 0, "member_changed", peer=2, state="alive")
    judge.say(2, 1, "member_changed", peer=2, state="alive")
    judge.say(20, 2, "crashed")
    for node in (0, 1):
        down(judge, 21, node, 2)
        judge.say(21, node, "member_changed", peer=2, state="dead" if node else "suspect")
    assert judge.finish(30) == ["0: node-2"]


def test_death_of_a_node_that_lives_is_found() -> None:
    judge = friends(NoFalseDeaths)
    down(judge, 30, 0, 2)
    assert judge.finish(31) == ["0: node-2"]


def test_death_shortly_after_a_cut_a_long_pause_or_a_start_is_excused() -> None:
    judge = friends(NoFalseDeaths)
    down(judge, 5, 0, 2)
    judge.cut(20, 25)
    down(judge, 30, 0, 2)
    judge.say(50, 2, "paused", seconds=5.0)
    down(judge, 56, 0, 2)
    judge.say(70, 2, "crashed")
    down(judge, 72, 0, 2)
    assert judge.finish(80) == []


def test_death_after_a_short_pause_is_not_excused() -> None:
    judge = friends(NoFalseDeaths)
    judge.say(50, 2, "paused", seconds=1.0)
    down(judge, 51.5, 0, 2)
    assert judge.finish(80) == ["0: node-2"]


def test_views_that_still_differ_after_a_cut_are_found_once() -> None:
    judge = friends(ViewsAgree)
    judge.cut(20, 25)
    down(judge, 22, 0, 2)
    judge.pass_time(29)
    assert judge.found == []
    assert judge.finish(60) == ["0: node-2"]


def test_views_of_the_paused_are_not_judged() -> None:
    judge = friends(ViewsAgree)
    down(judge, 22, 0, 2)
    judge.say(25, 2, "paused", seconds=50.0)
    assert judge.finish(30) == []


def test_suspicion_that_nobody_refutes_is_found_and_a_fresh_one_is_not() -> None:
    judge = friends(ViewsAgree)
    judge.say(20, 0, "member_changed", peer=2, state="suspect")
    judge.say(28, 1, "member_changed", peer=2, state="suspect")
    for node, peer in ((0, 1), (1, 0), (2, 0), (2, 1)):
        judge.say(28, node, "member_changed", peer=peer, state="alive")
    assert judge.finish(30) == ["0: node-2"]


def test_honest_peer_that_is_punished_is_found_and_a_hostile_one_is_not() -> None:
    judge = Judge(HonestStayUnpunished)
    judge.start(0, 1)
    judge.start(2, is_honest=False)
    down(judge, 5, 0, 2, "protocol_violation")
    down(judge, 5, 0, 1, "protocol_violation")
    assert judge.finish(30) == ["0: node-1"]
