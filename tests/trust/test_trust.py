"""The trust service by itself: what it makes of evidence and statements, and what nobody can make it do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.messages.envelope import Sealer
from node.messages.equivocation import Equivocation
from node.messages.packing import Value, pack, unpack
from node.trust import statements
from node.trust.actions import Ban
from node.trust.evidence import PENALTIES
from node.trust.trust import DOUBTFUL, KNOWN, PRAISE_MAX, TRUSTED, band_of
from node.types import SECOND
from node.wire.limits import (
    BAN_TIME,
    PROOFS_MAX,
)
from tests.trust.speakers import (
    LONG,
    OWN,
    STRANGER,
    WALL,
    Speaker,
    actions,
    befriend,
    identity,
    make_trust,
    tell,
)

# --- own evidence -------------------------------------------------------------------------------------------------


def test_a_stranger_ranks_in_the_middle() -> None:
    assert make_trust().rank(STRANGER) == 0.0


def test_good_service_leads_past_the_threshold_and_nothing_else_does() -> None:
    trust, friend = make_trust(), identity(1).public_key
    befriend(trust, friend)
    assert trust.rank(friend) > TRUSTED


def test_bringing_one_owns_messages_is_no_merit() -> None:
    trust, author = make_trust(), identity(1).public_key
    trust.delivered(author, author, 0)
    assert trust.rank(author) == 0.0
    assert trust.stats.credits == 0


def test_a_peer_that_passes_on_forgeries_is_banned_once_and_forgiven_later() -> None:
    trust, peer = make_trust(), identity(1).public_key
    for _ in range(20):
        trust.blame(peer, "bad_signature", 0)
    assert actions(trust) == [Ban(peer=peer, reason="bad_signature")]
    assert trust.is_banned(peer, BAN_TIME - 1)
    assert not trust.is_banned(peer, BAN_TIME)
    assert (trust.stats.bans, trust.stats.penalties["bad_signature"]) == (1, 20)


def test_a_node_never_judges_itself() -> None:
    trust = make_trust()
    trust.blame(OWN.public_key, "bad_signature", 0)
    trust.delivered(OWN.public_key, STRANGER, 0)
    assert trust.rank(OWN.public_key) == 0.0


def equivocation(number: int) -> Equivocation:
    first = Sealer(identity(number), network_id="net", epoch=1).seal(6, b"one", WALL)
    second = Sealer(identity(number), network_id="net", epoch=1).seal(6, b"two", WALL)
    return Equivocation(first, second)


def test_a_proof_against_an_author_bans_it_and_counts_once() -> None:
    trust, proof = make_trust(), equivocation(1)
    for _ in range(3):
        trust.accuse(proof, 0)
    assert actions(trust) == [Ban(peer=proof.origin, reason="equivocation")]
    assert trust.stats.penalties["equivocation"] == 1


def test_neither_credit_nor_an_earlier_ban_makes_a_proof_free() -> None:
    trust, proof = make_trust(), equivocation(1)
    befriend(trust, proof.origin, 600)
    trust.accuse(proof, 0)
    assert trust.is_banned(proof.origin, 0)
    trust.accuse(proof, BAN_TIME)
    assert trust.is_banned(proof.origin, BAN_TIME)
    assert trust.stats.bans == 2


def test_proofs_are_kept_within_a_bound() -> None:
    trust = make_trust()
    for number in range(PROOFS_MAX + 5):
        trust.accuse(equivocation(number), 0)
    assert len(trust.snapshot()["proofs"]) == PROOFS_MAX


# --- the word of others -------------------------------------------------------------------------------------------


def test_a_trusted_peer_lifts_a_stranger_and_not_past_the_limit() -> None:
    trust = make_trust()
    speakers = [Speaker(number) for number in range(1, 9)]
    for speaker in speakers:
        befriend(trust, speaker.node_id)
        assert tell(trust, speaker.node_id, speaker.says(STRANGER, 1.0)) is None
    assert 0 < trust.rank(STRANGER) <= PRAISE_MAX < TRUSTED


def test_twenty_fresh_identities_lift_nobody() -> None:
    trust = make_trust()
    for number in range(1, 21):
        speaker = Speaker(number)
        trust.peer_up(speaker.node_id)
        tell(trust, speaker.node_id, speaker.says(STRANGER, 1.0))
    assert trust.stats.statements_accepted == 20
    assert trust.rank(STRANGER) == 0.0


def test_praise_and_own_evidence_together_reach_no_further_than_either_may() -> None:
    trust = make_trust()
    newcomer = identity(50).public_key
    befriend(trust, newcomer, 40)
    own = trust.rank(newcomer)
    assert 0.2 < own < PRAISE_MAX
    for number in range(1, 9):
        speaker = Speaker(number)
        befriend(trust, speaker.node_id)
        tell(trust, speaker.node_id, speaker.says(newcomer, 1.0))
    trust.handle_timeout(LONG)
    trust.delivered(newcomer, newcomer, 2 * SECOND)
    assert own < max(trust.rank(newcomer), own + 0.01) <= TRUSTED


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 6), st.integers(10, 14), st.floats(-1, 1)), max_size=40),
    st.integers(0, 6),
)
def test_nobody_is_lowered_by_what_others_say(said: list[tuple[int, int, float]], friends: int) -> None:
    trust, quiet = make_trust(), make_trust()
    for number in range(1, friends + 1):
        befriend(trust, identity(number).public_key, 60)
        befriend(quiet, identity(number).public_key, 60)
    speakers = {number: Speaker(number) for number in range(1, 7)}
    for issuer, subject, score in said:
        tell(trust, speakers[issuer].node_id, speakers[issuer].says(identity(subject).public_key, score))
    quiet.handle_timeout(0)
    trust.handle_timeout(0)
    for subject in (*range(10, 15), *range(1, friends + 1)):
        node_id = identity(subject).public_key
        assert quiet.rank(node_id) <= trust.rank(node_id) <= max(PRAISE_MAX, quiet.rank(node_id))


def test_doubt_makes_own_evidence_weigh_double_at_most() -> None:
    trust, culprit = make_trust(), identity(50).public_key
    for _ in range(3):
        trust.blame(culprit, "bad_signature", 0)
    alone = trust.rank(culprit)
    for number in range(1, 9):
        speaker = Speaker(number)
        befriend(trust, speaker.node_id)
        tell(trust, speaker.node_id, speaker.says(culprit, -1.0))
    trust.blame(identity(60).public_key, "malformed", 2 * SECOND)
    assert 2 * alone <= trust.rank(culprit) < alone
    assert not trust.is_banned(culprit, 0)


def test_the_word_of_a_peer_that_turned_bad_counts_nothing() -> None:
    trust, speaker = make_trust(), Speaker(1)
    befriend(trust, speaker.node_id, 60)
    tell(trust, speaker.node_id, speaker.says(STRANGER, 1.0))
    assert trust.rank(STRANGER) > 0
    for _ in range(8):
        trust.blame(speaker.node_id, "bad_signature", 2 * SECOND)
    assert trust.rank(STRANGER) == 0.0


# --- what is shown and kept ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("score", "band"),
    [
        (1.0, "trusted"),
        (TRUSTED, "trusted"),
        (PRAISE_MAX, "known"),
        (KNOWN, "known"),
        (0.0, "neutral"),
        (-0.1, "neutral"),
        (DOUBTFUL, "doubtful"),
        (-1.0, "doubtful"),
    ],
)
def test_a_score_has_a_word(score: float, band: str) -> None:
    assert band_of(score) == band


def test_the_overview_names_everybody_with_a_band() -> None:
    trust, friend, culprit = make_trust(), identity(1).public_key, identity(2).public_key
    befriend(trust, friend)
    trust.peer_up(STRANGER)
    for _ in range(8):
        trust.blame(culprit, "bad_signature", 0)
    overview = trust.overview(0)
    assert {entry.node_id: entry.band for entry in overview.entries} == {
        friend: "trusted",
        STRANGER: "neutral",
        culprit: "banned",
    }
    assert overview.bands == {"banned": 1, "doubtful": 0, "neutral": 1, "known": 0, "trusted": 1}
    assert overview.stats.bans_active == 1


def test_everything_outlives_the_process_and_is_proved_again() -> None:
    trust, friend, speaker = make_trust(), identity(1).public_key, Speaker(3)
    befriend(trust, friend)
    trust.accuse(equivocation(2), 0)
    tell(trust, speaker.node_id, speaker.says(STRANGER, 1.0))
    kept: Any = trust.snapshot()
    rows: Any = unpack(pack(kept))
    reborn = make_trust(wall_offset=WALL + 60 * SECOND)
    assert reborn.restore(rows, 0) == 0
    assert reborn.is_banned(equivocation(2).origin, 0)
    assert reborn.rank(friend) == pytest.approx(trust.rank(friend), abs=0.1)
    tell(reborn, speaker.node_id, speaker.says(identity(9).public_key, 1.0))
    assert reborn.snapshot()["statements"][0] == trust.snapshot()["statements"][0]
    reborn.accuse(equivocation(2), 0)
    assert reborn.stats.penalties["equivocation"] == 0


def test_a_peer_that_fills_the_table_pushes_out_its_own_statements_also_after_a_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(statements, "STATEMENTS_MAX", 8)
    trust, flood = make_trust(), Speaker(9)
    for number in range(1, 7):
        speaker = Speaker(number)
        tell(trust, speaker.node_id, speaker.says(STRANGER, 1.0))
    reborn = make_trust()
    assert reborn.restore(trust.snapshot(), 0) == 0
    for number in range(20, 40):
        tell(reborn, flood.node_id, flood.says(identity(number).public_key, 1.0))
    issuers = [issuer for issuer, _ in (item.key for item, _ in reborn._statements.rows())]
    assert issuers == [Speaker(number).node_id for number in range(1, 7)] + 2 * [flood.node_id]


def test_rows_that_prove_nothing_are_left_out_and_counted() -> None:
    envelope = Speaker(1).says(STRANGER, 1.0)
    rows: dict[str, list[Value]] = {
        "evidence": [None, [1, 2]],
        "statements": [[envelope.body, b"s" * 64, STRANGER], "text"],
        "proofs": [b"", 7],
    }
    trust = make_trust()
    assert trust.restore(rows, 0) == 6
    assert trust.overview(0).entries == ()


def test_every_kind_of_evidence_is_a_counter() -> None:
    assert set(make_trust().stats.penalties) == set(PENALTIES)
