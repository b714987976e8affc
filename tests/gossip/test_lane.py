"""What waits for one peer, and what it may send."""

from __future__ import annotations

from node.gossip.lane import Lane, Rank
from node.types import SECOND
from node.wire.limits import (
    BODIES_PER_SECOND,
    BUDGET_BURST,
    BUDGET_SLACK,
    IDS_PER_SECOND,
    LANE_BYTES_MAX,
    OWED_IDS_MAX,
    PROBATION,
    PROBATION_SHARE,
)

YOUNG_BURST = round(BODIES_PER_SECOND * BUDGET_BURST * PROBATION_SHARE)


def identifier(number: int) -> bytes:
    return number.to_bytes(16, "big")


def spent() -> Lane:
    lane = Lane(0, is_outbound=True)
    for number in range(YOUNG_BURST):
        assert lane.offer(identifier(number), 10, Rank.RELAY, 0)
    return lane


def test_a_new_link_carries_a_quarter_of_the_allowance() -> None:
    lane = Lane(0, is_outbound=True)
    sent = sum(lane.offer(identifier(number), 10, Rank.RELAY, 0) for number in range(1000))
    assert sent == YOUNG_BURST


def test_an_old_link_carries_all_of_it() -> None:
    lane = Lane(0, is_outbound=True)
    lane.offer(identifier(0), 1, Rank.RELAY, PROBATION)
    sent = sum(lane.offer(identifier(number), 10, Rank.RELAY, PROBATION + 10 * SECOND) for number in range(1000))
    assert sent == BODIES_PER_SECOND * BUDGET_BURST


def test_own_messages_go_before_relayed_ones_and_repairs_last() -> None:
    lane = spent()
    for number, rank in ((1001, Rank.REPAIR), (1002, Rank.RELAY), (1003, Rank.OWN)):
        assert not lane.offer(identifier(number), 10, rank, 0)
    assert lane.due(0) == []
    assert lane.due(SECOND) == [identifier(1003), identifier(1002), identifier(1001)]
    assert (lane.size, lane.next_timeout(SECOND)) == (0, None)


def test_nothing_overtakes_what_waits() -> None:
    lane = spent()
    lane.offer(identifier(1001), 10, Rank.RELAY, 0)
    assert not lane.offer(identifier(1002), 10, Rank.RELAY, SECOND)
    assert lane.due(SECOND) == [identifier(1001), identifier(1002)]


def test_what_finds_no_room_is_owed_as_an_id() -> None:
    lane = spent()
    lane.offer(identifier(1001), LANE_BYTES_MAX, Rank.OWN, 0)
    lane.offer(identifier(1002), 10, Rank.OWN, 0)
    assert list(lane.owed) == [identifier(1002)]
    assert lane.size == LANE_BYTES_MAX


def test_what_the_peer_turns_out_to_have_is_taken_out() -> None:
    lane = spent()
    lane.offer(identifier(1001), 10, Rank.OWN, 0)
    lane.owe(identifier(1002))
    lane.settle(identifier(1001))
    lane.settle(identifier(1002))
    assert (lane.size, list(lane.owed), lane.due(SECOND)) == (0, [], [])


def test_owed_ids_are_bounded() -> None:
    lane = Lane(0, is_outbound=False)
    for number in range(OWED_IDS_MAX + 3):
        lane.owe(identifier(number))
    assert len(lane.owed) == OWED_IDS_MAX
    assert identifier(0) not in lane.owed


def test_a_sender_that_keeps_its_allowance_is_never_cut_short() -> None:
    sender, receiver = Lane(0, is_outbound=True), Lane(0, is_outbound=False)
    for step in range(3000):
        now = step * SECOND // 100
        # The network bunches what was sent over half a second.
        late = now - now % (SECOND // 2) + SECOND // 2
        if sender.offer(identifier(step), 1000, Rank.RELAY, now):
            assert receiver.admit(1000, late)
        sender.due(now)


def test_what_exceeds_the_allowance_is_refused_and_counted_in_a_row() -> None:
    lane = Lane(0, is_outbound=False)
    admitted = sum(lane.admit(10, 0) for _ in range(1000))
    assert admitted == round(YOUNG_BURST * BUDGET_SLACK)
    assert lane.excess == 1000 - admitted
    assert lane.admit(10, SECOND)
    assert lane.excess == 0


def test_ids_have_an_allowance_too() -> None:
    lane = Lane(0, is_outbound=False)
    assert sum(lane.admit_ids(16, 0) for _ in range(1000)) == IDS_PER_SECOND * BUDGET_BURST // 16
