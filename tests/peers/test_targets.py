"""Whom to dial when: delays, giving up, and bounds."""

from __future__ import annotations

from random import Random

from node.messages.types import Carrier
from node.peers.targets import Target, TargetKey, Targets
from node.types import SECOND, NodeId
from node.wire.limits import (
    DIAL_RETRY_INITIAL,
    DIAL_RETRY_MAX,
    DIALS_MAX,
    DIALS_OF_STRANGER_MAX,
    PEERS_KNOWN_MAX,
)

MET, STRANGER = NodeId(b"m" * 32), NodeId(b"s" * 32)


def make(seed: int = 1) -> Targets:
    return Targets(Random(seed), is_met=lambda node_id: node_id == MET)


def key(number: int = 0, expected: NodeId | None = None) -> TargetKey:
    return TargetKey(Carrier.UDP, (f"10.0.{number // 256}.{number % 256}", 8888), expected)


def wanted(target: Target) -> bool:
    return True


def add(targets: Targets, which: TargetKey, at: int = 0) -> Target:
    target = targets.add(which, at)
    assert target is not None
    return target


def test_the_delay_doubles_from_one_to_eight_seconds_and_is_shortened_at_random() -> None:
    targets = make()
    target = add(targets, key(expected=MET))
    limits = [DIAL_RETRY_INITIAL, 2 * SECOND, 4 * SECOND, DIAL_RETRY_MAX, DIAL_RETRY_MAX]
    for limit in limits:
        assert targets.failed(target, 0)
        assert limit // 2 <= target.next_at <= limit
    assert len({target.next_at for _ in range(5) if targets.failed(target, 0)}) == 5


def test_a_node_that_was_met_is_dialled_for_ever() -> None:
    targets = make()
    target = add(targets, key(expected=MET))
    assert all(targets.failed(target, 0) for _ in range(1000))


def test_a_bootstrap_address_is_dialled_for_ever() -> None:
    targets = make()
    target = add(targets, key())
    target.is_bootstrap = True
    assert all(targets.failed(target, 0) for _ in range(1000))


def test_hearsay_is_given_up_after_a_few_failures() -> None:
    targets = make()
    target = add(targets, key(expected=STRANGER))
    outcomes = [targets.failed(target, 0) for _ in range(DIALS_OF_STRANGER_MAX)]
    assert outcomes == [True] * (DIALS_OF_STRANGER_MAX - 1) + [False]
    assert targets.get(target.key) is None


def test_an_address_asked_for_by_hand_is_tried_once() -> None:
    targets = make()
    target = add(targets, key())
    target.is_manual = True
    assert not targets.failed(target, 0)
    assert len(targets) == 0


def test_an_address_that_leads_back_here_is_kept_and_never_dialled() -> None:
    targets = make()
    target = add(targets, key())
    target.is_bootstrap = target.is_self = True
    assert not targets.failed(target, 0)
    assert targets.due(100 * SECOND, wanted) == []


def test_the_least_unsuccessful_are_dialled_first_and_only_so_many_at_once() -> None:
    targets = make()
    for number in range(DIALS_MAX + 4):
        add(targets, key(number, MET)).failures = number % 3
    due = targets.due(0, wanted)
    assert len(due) == DIALS_MAX
    assert [target.failures for target in due] == sorted(target.failures for target in due)


def test_what_is_asked_for_by_hand_needs_no_room() -> None:
    targets = make()
    for number in range(DIALS_MAX):
        targets.began(add(targets, key(number, MET)), number)
    assert targets.next_timeout(wanted) is None
    by_hand = add(targets, key(1000))
    by_hand.is_manual = True
    assert targets.due(0, wanted) == [by_hand]


def test_a_dial_under_way_is_not_begun_again() -> None:
    targets = make()
    target = add(targets, key(expected=MET))
    targets.began(target, 5)
    assert targets.dialled_by(Carrier.UDP, 5) is target
    assert targets.dialled_by(Carrier.TCP, 5) is None
    assert targets.due(100 * SECOND, wanted) == []
    targets.ended(target)
    assert targets.due(100 * SECOND, wanted) == [target]


def test_an_address_dialled_for_anybody_is_not_dialled_for_somebody_too() -> None:
    targets = make()
    anybody = add(targets, key())
    anybody.is_bootstrap = True
    add(targets, key(expected=MET))
    assert targets.due(0, wanted) == [anybody]


def test_the_next_dial_is_the_earliest_that_is_wanted() -> None:
    targets = make()
    add(targets, key(1, MET), at=5)
    add(targets, key(2, MET), at=3)
    assert targets.next_timeout(wanted) == 3
    assert targets.next_timeout(lambda target: target.next_at != 3) == 5
    assert targets.next_timeout(lambda target: False) is None


def test_hearsay_makes_room_for_others_when_the_table_is_full() -> None:
    targets = make()
    first = add(targets, key(0, STRANGER))
    for number in range(1, PEERS_KNOWN_MAX):
        add(targets, key(number, MET))
    assert targets.add(key(5000, MET), 0) is not None
    assert targets.get(first.key) is None
    assert targets.add(key(5001, MET), 0) is None
    assert len(targets) == PEERS_KNOWN_MAX


def test_dials_of_strangers_leave_room_for_those_of_whom_more_is_known() -> None:
    targets = make()
    doubts = {MET: 0, STRANGER: 1}
    targets.doubts = lambda node_id: doubts.get(node_id, 2)
    for number in range(DIALS_MAX):
        add(targets, key(number, NodeId(number.to_bytes(32, "big"))))
    for turn in range(DIALS_MAX):
        add(targets, key(1000 + turn, STRANGER))
        add(targets, key(2000 + turn, MET))
    due = targets.due(0, wanted)
    assert [target.key.expected for target in due] == [MET] * DIALS_MAX
    for target in targets.all():
        if target.key.expected in (MET, STRANGER):
            targets.remove(target)
    due = targets.due(0, wanted)
    assert len(due) == DIALS_MAX // 2
    for handle, target in enumerate(due):
        targets.began(target, handle)
    assert targets.due(0, wanted) == []
    assert targets.next_timeout(wanted) is None
    add(targets, key(1000, STRANGER))
    assert targets.next_timeout(wanted) == 0
    assert [target.key.expected for target in targets.due(0, wanted)] == [STRANGER]
