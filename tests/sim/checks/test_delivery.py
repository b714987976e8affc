"""What counts as delivered exactly once, to whom it is owed, and what is forged."""

from __future__ import annotations

from node.gossip.settings import GossipSettings
from node.sim.checks.delivery import RETENTION, DeliveredInTime, DeliveredOnce, EverybodyDelivers, NothingForged
from node.sim.history import NETWORK
from node.types import SECOND
from tests.sim.checks.judging import Judge


def test_retention_is_what_nodes_have() -> None:
    assert GossipSettings(network_id="", epoch=1, wall_offset=0).retention == RETENTION


def deliver(judge: Judge, at: float, node: int, message: str = "m", origin: object = 0) -> None:
    judge.say(at, node, "delivered", message=message, origin=origin)


def test_second_delivery_is_found_in_one_life_and_in_two() -> None:
    judge = Judge(DeliveredOnce)
    judge.start(0, 1)
    judge.say(3, 0, "published", message="m")
    deliver(judge, 3.1, 1)
    judge.say(4, 1, "crashed")
    judge.start(1, at=5)
    deliver(judge, 6, 1)
    assert judge.finish(5) == ["1: message m"]


def test_own_message_that_comes_back_is_found() -> None:
    judge = Judge(DeliveredOnce)
    judge.start(0, 1)
    judge.say(3, 0, "published", message="m")
    deliver(judge, 3.1, 0)
    assert judge.finish(5) == ["0: message m"]


def test_message_that_one_node_misses_is_found() -> None:
    judge = Judge(EverybodyDelivers)
    judge.start(0, 1, 2)
    judge.say(3, 0, "published", message="m")
    deliver(judge, 3.1, 1)
    assert judge.finish(30) == ["2: message m"]


def test_message_is_judged_when_its_retention_is_over_even_if_the_run_goes_on() -> None:
    judge = Judge(EverybodyDelivers)
    judge.start(0, 1)
    judge.say(3, 0, "published", message="m")
    judge.pass_time(650)
    assert len(judge.found) == 1
    assert judge.finish(651) == ["1: message m"]


def test_nothing_is_owed_to_the_dead_the_late_and_the_hostile() -> None:
    judge = Judge(EverybodyDelivers)
    judge.start(0, 1)
    judge.start(2, is_honest=False)
    judge.say(3, 0, "published", message="m")
    judge.start(3, at=2)
    judge.say(4, 1, "crashed")
    judge.start(1, at=5)
    assert judge.finish(30) == []


def test_message_of_an_author_that_died_at_once_is_owed_only_if_somebody_has_it() -> None:
    for somebody_has_it in (False, True):
        judge = Judge(EverybodyDelivers)
        judge.start(0, 1, 2)
        judge.say(3, 0, "published", message="m")
        judge.say(3.01, 0, "crashed")
        if somebody_has_it:
            deliver(judge, 3.02, 1)
        assert judge.finish(30) == (["2: message m"] if somebody_has_it else [])


def test_message_from_before_a_short_cut_is_owed_and_one_lost_in_a_long_cut_is_not() -> None:
    for until, owed in ((20.0, ["1: message m"]), (700.0, [])):
        judge = Judge(EverybodyDelivers)
        judge.start(0, 1)
        judge.say(2, NETWORK, "cut")
        judge.say(3, 0, "published", message="m")
        judge.say(until, NETWORK, "healed")
        assert judge.finish(until + 40) == owed


def test_what_nobody_published_is_forged() -> None:
    judge = Judge(NothingForged)
    judge.start(0, 1, 2)
    judge.say(3, 0, "published", message="m")
    deliver(judge, 2, 1, origin=0)
    assert judge.found == []
    deliver(judge, 2, 1, "x", origin=0)
    deliver(judge, 2, 1, "y", origin="abcdef01")
    deliver(judge, 3, 2, "m", origin=1)
    assert judge.finish(5) == ["1: message x", "1: message y", "2: message m"]


def test_what_is_much_older_than_may_be_is_a_replay() -> None:
    judge = Judge(NothingForged)
    judge.start(1)
    judge.start(0, is_honest=False)
    judge.say(2, 1, "delivered", message="m", origin=0, age=3_600 * SECOND)
    assert judge.finish(5) == ["1: message m"]


def test_late_delivery_is_found_where_nothing_excuses_it() -> None:
    judge = Judge(DeliveredInTime)
    judge.start(0, 1, 2)
    judge.start(3, at=15)
    judge.say(20, 0, "published", message="m")
    deliver(judge, 20.1, 1)
    deliver(judge, 25, 2)
    judge.cut(26, 30)
    judge.say(31, 0, "published", message="n")
    assert judge.finish(50) == ["2: message m"]


def test_hostile_author_may_say_what_it_likes_but_not_two_things_at_once() -> None:
    judge = Judge(NothingForged)
    judge.start(1)
    judge.start(0, is_honest=False)
    judge.say(1, 0, "equivocated", first="a", second="b")
    deliver(judge, 2, 1, "a", origin=0)
    deliver(judge, 2, 1, "c", origin=0)
    assert judge.found == []
    deliver(judge, 3, 1, "b", origin=0)
    assert judge.finish(5) == ["1: message b"]
