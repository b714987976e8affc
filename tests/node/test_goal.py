"""How far a broadcast shall have come before its caller goes on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from node.core.events import BroadcastProgress
from node.errors import NotRunning, ReceiptTimeout, SendTimeout, UsageError
from node.node.goal import Goal, Pursuit, checked_timeout, parse_goal
from tests.node.network import network


def progress(acked: int = 0, covered: int = 0, members: int = 5) -> BroadcastProgress:
    return BroadcastProgress(message_id="", acked=acked, covered=covered, members=members)


@pytest.mark.parametrize(
    ("wait", "goal"),
    [(None, None), ("queued", None), ("acked:1", Goal(1)), ("acked:32", Goal(32)), ("covered", Goal(0))],
)
def test_the_words_of_a_goal(wait: str | None, goal: Goal | None) -> None:
    assert parse_goal(wait) == goal


@pytest.mark.parametrize(
    "wait", ["", "acked", "acked:", "acked:0", "acked:-1", "acked:1.5", "acked:9999999", "all", "acked:1\n"]
)
def test_other_words_are_the_callers_mistake(wait: str) -> None:
    with pytest.raises(UsageError, match="allowed are"):
        parse_goal(wait)


def test_a_goal_is_reached_by_enough_and_not_by_less() -> None:
    assert not Goal(3).is_reached(progress(acked=2, covered=5))
    assert Goal(3).is_reached(progress(acked=3))
    assert not Goal(0).is_reached(progress(acked=5, covered=4))
    assert Goal(0).is_reached(progress(covered=5))
    assert Goal(0).is_reached(progress(members=0))


@pytest.mark.asyncio
async def test_a_goal_that_is_not_reached_in_time_tells_how_far_it_came() -> None:
    pursuit = Pursuit(Goal(3))
    pursuit.follow(progress(acked=2, covered=4))
    with pytest.raises(ReceiptTimeout) as caught:
        await pursuit.wait("ab" * 16, 0.01)
    assert isinstance(caught.value, SendTimeout)
    assert (caught.value.acked, caught.value.covered, caught.value.members) == (2, 4, 5)
    assert caught.value.message_id == "ab" * 16


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), 1e7, True, "5", None])
def test_a_time_that_nobody_can_wait_for_is_the_callers_mistake(seconds: Any) -> None:
    with pytest.raises(UsageError, match="allowed is a number of seconds"):
        checked_timeout(seconds)


@pytest.mark.asyncio
async def test_who_waits_hears_of_the_end_of_the_node() -> None:
    pursuit = Pursuit(Goal(3))
    pursuit.abandon()
    with pytest.raises(NotRunning):
        await pursuit.wait("ab" * 16, 10)


@pytest.mark.asyncio
@pytest.mark.loopback
async def test_a_broadcast_may_be_waited_for_until_peers_acknowledged_it_or_everybody_has_it() -> None:
    async with network(4) as nodes:
        for wait in ("acked:3", "covered"):
            assert len(await nodes[0].broadcast({"n": 1}, wait=wait)) == 32
        with pytest.raises(ReceiptTimeout, match="3 acknowledged, 3 of 3 members"):
            await nodes[0].broadcast({"n": 2}, wait="acked:4", timeout=1)
        published = [event for event in nodes[0].chronicle.history.tail(100)["events"] if event["kind"] == "published"]
        assert len(published) == 3  # also the one that was waited for in vain
        without = await nodes[0].broadcast({"n": 3}, wait="covered", exclude=[nodes[1].identity.node_id])
        assert len(without) == 32


@pytest.mark.asyncio
@pytest.mark.loopback
async def test_a_node_that_stops_keeps_nobody_waiting() -> None:
    async with network(2) as (node, _):
        waiting = asyncio.create_task(node.broadcast({"n": 1}, wait="acked:9", timeout=600))
        await asyncio.sleep(0)
        await node.stop()
        with pytest.raises(NotRunning):
            await waiting
