"""Evidence of a node's own: what counts, how it fades, and when it is a ban."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import DecodeError
from node.messages.packing import Value, pack, unpack
from node.messages.types import REJECTION_REASONS
from node.trust.evidence import PENALTIES, WEIGHT_MAX, Evidence, kind_of
from node.types import SECOND, NodeId
from node.wire.limits import BAN_TIME, CREDIT_INTERVAL, EVIDENCE_RECORDS_MAX, TRUST_HALF_LIFE

WALL = 1_700_000_000 * SECOND


def peer(number: int) -> NodeId:
    return NodeId(number.to_bytes(32, "big"))


def test_a_stranger_is_neither_good_nor_bad() -> None:
    assert Evidence().score(peer(1), 0) == 0.0
    assert not Evidence().is_banned(peer(1), 0)


def test_a_penalty_loses_half_of_its_weight_in_a_half_life() -> None:
    evidence = Evidence()
    evidence.penalise(peer(1), "impersonation", 0)
    assert evidence.score(peer(1), TRUST_HALF_LIFE) == pytest.approx(-PENALTIES["impersonation"] / 2)
    assert evidence.score(peer(1), 20 * TRUST_HALF_LIFE) == pytest.approx(0, abs=1e-6)


def test_a_flood_of_first_deliveries_buys_no_more_than_one_per_interval() -> None:
    evidence = Evidence()
    counted = [evidence.credit(peer(1), number * CREDIT_INTERVAL // 100) for number in range(1000)]
    assert sum(counted) == 10
    record = evidence.get(peer(1))
    assert record is not None
    assert record.first_deliveries == 1000


def test_credit_never_passes_one_and_fades() -> None:
    evidence = Evidence()
    for second in range(3000):
        evidence.credit(peer(1), second * SECOND)
    best = evidence.score(peer(1), 3000 * SECOND)
    assert 0.8 < best <= 1.0
    assert evidence.score(peer(1), 3000 * SECOND + TRUST_HALF_LIFE) == pytest.approx(best / 2, rel=0.01)


def test_eight_bad_signatures_in_a_row_are_a_ban_and_seven_are_not() -> None:
    evidence = Evidence()
    assert [evidence.penalise(peer(1), "bad_signature", 0) for _ in range(9)] == [False] * 7 + [True, False]


def test_a_ban_ends_after_its_time_and_leaves_next_to_nothing() -> None:
    evidence = Evidence()
    assert evidence.penalise(peer(1), "equivocation", 0)
    assert evidence.is_banned(peer(1), BAN_TIME - 1)
    assert not evidence.is_banned(peer(1), BAN_TIME)
    assert evidence.score(peer(1), BAN_TIME) > -0.02


def test_penalties_that_honest_losses_cause_too_make_doubtful_and_never_ban() -> None:
    evidence = Evidence()
    assert not any(evidence.penalise(peer(1), "broken_promise", 0) for _ in range(1000))
    assert evidence.score(peer(1), 0) == pytest.approx(-0.5)
    evidence.penalise(peer(1), "impersonation", 0)
    assert not evidence.penalise(peer(1), "broken_promise", 0)
    assert evidence.score(peer(1), 0) == pytest.approx(-0.75)


def test_broken_promises_fade_like_everything_else() -> None:
    evidence = Evidence()
    for _ in range(10):
        evidence.penalise(peer(1), "broken_promise", 0)
    assert evidence.score(peer(1), TRUST_HALF_LIFE) == pytest.approx(-0.1)


def test_every_reason_to_refuse_is_a_kind_of_evidence() -> None:
    assert {kind_of(reason) for reason in REJECTION_REASONS} <= set(PENALTIES)
    assert kind_of("wrong_key") == "impersonation"


@given(st.lists(st.tuples(st.sampled_from([None, *PENALTIES]), st.integers(0, 100)), max_size=60))
def test_a_score_stays_between_minus_one_and_one(happenings: list[tuple[str | None, int]]) -> None:
    evidence, now = Evidence(), 0
    for kind, seconds in happenings:
        now += seconds * SECOND
        if kind is None:
            evidence.credit(peer(1), now)
        else:
            evidence.penalise(peer(1), kind, now)
        record = evidence.get(peer(1))
        assert record is not None
        assert -1.0 <= evidence.score(peer(1), now) <= 1.0
        assert record.bad <= WEIGHT_MAX


def test_a_proof_bans_whatever_the_credit() -> None:
    evidence = Evidence()
    for second in range(3000):
        evidence.credit(peer(1), second * SECOND)
    assert evidence.penalise(peer(1), "equivocation", 3000 * SECOND)
    assert evidence.is_banned(peer(1), 3000 * SECOND)


def test_the_table_is_bounded_and_keeps_who_is_banned() -> None:
    evidence = Evidence()
    evidence.penalise(peer(0), "equivocation", 0)
    for number in range(1, EVIDENCE_RECORDS_MAX + 10):
        evidence.penalise(peer(number), "broken_promise", 0)
    assert EVIDENCE_RECORDS_MAX // 2 < len(evidence) <= EVIDENCE_RECORDS_MAX
    assert evidence.is_banned(peer(0), 0)


@pytest.mark.parametrize("kind", ["equivocation", "bad_signature"])
def test_no_crowd_of_invented_keys_makes_forget_who_is_linked_or_served_well(kind: str) -> None:
    friend, culprit, acquaintance = peer(1), peer(2), peer(3)
    evidence = Evidence({friend: None, culprit: None})
    evidence.credit(friend, 0)
    evidence.penalise(culprit, "unexpected", 0)
    for second in range(60):
        evidence.credit(acquaintance, second * SECOND)
    now = 60 * SECOND
    for number in range(100, 100 + 2 * EVIDENCE_RECORDS_MAX):
        evidence.penalise(peer(number), kind, now)
    assert len(evidence) <= EVIDENCE_RECORDS_MAX
    assert evidence.score(friend, now) > 0
    assert evidence.score(culprit, now) < 0
    assert evidence.score(acquaintance, now) > 0.4


def test_what_has_faded_is_forgotten() -> None:
    evidence = Evidence()
    evidence.penalise(peer(1), "broken_promise", 0)
    evidence.expire(20 * TRUST_HALF_LIFE)
    assert len(evidence) == 0


def test_evidence_outlives_the_process_by_wall_time() -> None:
    evidence, reborn = Evidence(), Evidence()
    evidence.credit(peer(1), 0)
    evidence.penalise(peer(2), "equivocation", 0)
    for row in evidence.snapshot(WALL):
        # The new process began 600 s later, and its monotonic clock began again at 0.
        reborn.restore(unpack(pack(row)), 0, WALL + 600 * SECOND)
    assert reborn.score(peer(1), 0) == pytest.approx(evidence.score(peer(1), 600 * SECOND))
    assert reborn.is_banned(peer(2), BAN_TIME - 601 * SECOND)
    assert not reborn.is_banned(peer(2), BAN_TIME - 600 * SECOND)


def test_a_ban_that_was_stored_under_a_wrong_clock_lasts_no_longer_than_a_whole_one() -> None:
    evidence, reborn = Evidence(), Evidence()
    evidence.penalise(peer(1), "equivocation", 0)
    (row,) = evidence.snapshot(WALL + 10**18)
    reborn.restore(row, 0, WALL)
    assert not reborn.is_banned(peer(1), BAN_TIME)


@pytest.mark.parametrize(
    "row",
    [
        None,
        [],
        [b"short", 0.0, 0.0, 0, 0, {}, None],
        [b"i" * 32, 2.0, 0.0, 0, 0, {}, None],
        [b"i" * 32, 0.0, -1.0, 0, 0, {}, None],
        [b"i" * 32, 0.0, 0.0, "now", 0, {}, None],
    ],
)
def test_a_row_of_another_shape_is_refused(row: Value) -> None:
    evidence = Evidence()
    with pytest.raises(DecodeError):
        evidence.restore(row, 0, 0)
    assert len(evidence) == 0
