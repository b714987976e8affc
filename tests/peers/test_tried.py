"""The table of remembered nodes: few groups hold few places, and who answers keeps its own."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from node.peers.tried import TEST_TIME, Tried
from node.types import Instant, NodeId
from node.wire.limits import TRIED_BUCKETS, TRIED_PER_BUCKET, TRIED_REACH


def key(number: int) -> NodeId:
    return NodeId(number.to_bytes(32, "big"))


class Desk:
    """A table, and when its nodes were heard."""

    def __init__(self, secret: bytes = b"secret") -> None:
        self.heard: dict[NodeId, Instant] = {}
        self.table = Tried(secret, self.heard.get)

    def fill_one_host(self) -> None:
        for number in range(TRIED_PER_BUCKET):
            self.heard[key(number)] = number + 1
            assert self.table.admit(key(number), "10.0.0.1", 0) is None


def test_an_attacker_with_two_groups_holds_two_shares_and_honest_nodes_the_rest() -> None:
    desk = Desk()
    for number in range(20_000):
        desk.table.admit(key(number), f"6.{number % 2}.{number >> 8 & 255}.{number & 255}", 0)
        desk.table.settle(number * TEST_TIME)
    assert len(desk.table) <= 2 * TRIED_REACH * TRIED_PER_BUCKET
    honest = range(100_000, 100_200)
    for number in honest:
        desk.table.admit(key(number), f"{number % 97 + 11}.{number % 89}.0.1", 0)
    assert sum(key(number) in desk.table for number in honest) >= 0.75 * len(honest)


def test_one_host_holds_one_bucket_whatever_keys_it_makes() -> None:
    desk = Desk()
    for number in range(1000):
        desk.table.admit(key(number), "10.0.0.1", 0)
    assert len(desk.table) == TRIED_PER_BUCKET


def test_the_one_not_heard_the_longest_is_tested_and_stays_if_it_answers() -> None:
    desk = Desk()
    desk.fill_one_host()
    assert desk.table.admit(key(999), "10.0.0.1", 1000) == key(0)
    desk.heard[key(0)] = 1001
    desk.table.settle(1000 + TEST_TIME)
    assert key(0) in desk.table
    assert key(999) not in desk.table


def test_who_does_not_answer_in_time_gives_its_place_to_the_newcomer() -> None:
    desk = Desk()
    desk.fill_one_host()
    desk.table.admit(key(999), "10.0.0.1", 1000)
    desk.table.settle(1000 + TEST_TIME - 1)
    assert key(0) in desk.table
    desk.table.settle(1000 + TEST_TIME)
    assert key(0) not in desk.table
    assert key(999) in desk.table


def test_one_test_per_bucket_is_under_way() -> None:
    desk = Desk()
    desk.fill_one_host()
    assert desk.table.admit(key(998), "10.0.0.1", 1000) is not None
    assert desk.table.admit(key(999), "10.0.0.1", 1000) is None


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3), st.sampled_from("ars")), max_size=400))
def test_no_group_exceeds_its_share_whatever_comes_and_goes(steps: list[tuple[int, int, str]]) -> None:
    desk = Desk()
    now = 0
    for number, group, step in steps:
        now += TEST_TIME // 3
        if step == "s":
            desk.table.settle(now)
        elif step == "r":
            desk.table.remove(key(number))
        else:
            desk.table.admit(key(number), f"10.{group}.0.{number % 4}", now)
            assert key(number) in desk.table or len(desk.table) >= TRIED_PER_BUCKET
    assert len(desk.table) <= 4 * TRIED_REACH * TRIED_PER_BUCKET <= TRIED_BUCKETS * TRIED_PER_BUCKET
