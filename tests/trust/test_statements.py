"""Signed statements: what they are, and a table that nobody can fill for others."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import DecodeError
from node.identity.keys import Identity
from node.messages.envelope import Envelope, Sealer
from node.messages.packing import Value, pack
from node.messages.types import MessageType
from node.trust.statements import Statement, StatementTable, parse_statement, statement_payload
from node.types import MILLISECOND, SECOND, Duration, NodeId
from node.wire.limits import (
    CLOCK_AHEAD_MAX,
    STATEMENT_BYTES_MAX,
    STATEMENT_INTERVAL,
    STATEMENT_LIFE,
    STATEMENTS_MAX,
    STATEMENTS_PER_ISSUER_MAX,
)

WALL = 1_700_000_000 * SECOND
ALICE = Identity(b"a" * 32)
SUBJECT = NodeId(b"s" * 32)


def seal(payload: bytes, *, kind: int = MessageType.TRUST_UPDATE, wall: Duration = WALL) -> Envelope:
    return Sealer(ALICE, network_id="net", epoch=1).seal(kind, payload, wall)


def statement(issuer: int, subject: int, sequence: int = 1, at: Duration = WALL) -> Statement:
    """A statement as if its signature had been found good."""
    origin, about = NodeId(issuer.to_bytes(32, "big")), NodeId(subject.to_bytes(32, "big"))
    envelope = Envelope(
        message_id=b"",
        kind=MessageType.TRUST_UPDATE,
        origin=origin,
        epoch=1,
        sequence=sequence,
        timestamp=at // MILLISECOND,
        topic="",
        payload=b"",
        network=b"",
        body=b"",
        signature=b"",
    )
    return Statement(about, 0.5, at + STATEMENT_LIFE, envelope)


@pytest.mark.parametrize("score", [-1.0, -0.5, 0.0, 0.25, 1.0])
def test_a_statement_says_what_was_signed(score: float) -> None:
    envelope = seal(statement_payload(SUBJECT, score, WALL + SECOND))
    found = parse_statement(envelope, WALL)
    assert (found.subject, found.expires_at) == (SUBJECT, WALL + SECOND)
    assert found.score == pytest.approx(score, abs=1 / 127)
    assert found.key == (ALICE.public_key, SUBJECT)


WRONG: dict[str, tuple[Envelope, str]] = {
    "over": (seal(statement_payload(SUBJECT, 1, WALL - SECOND)), "stale"),
    "made too long ago": (
        seal(statement_payload(SUBJECT, 1, WALL + SECOND), wall=WALL - STATEMENT_LIFE - SECOND),
        "stale",
    ),
    "from the future": (
        seal(statement_payload(SUBJECT, 1, WALL + 200 * SECOND), wall=WALL + CLOCK_AHEAD_MAX + SECOND),
        "future",
    ),
    "about itself": (seal(statement_payload(ALICE.public_key, 1, WALL + SECOND)), "malformed"),
    "of another kind": (seal(statement_payload(SUBJECT, 1, WALL + SECOND), kind=6), "unexpected"),
    "a score of a billion": (seal(pack([SUBJECT, 10**9, WALL // MILLISECOND + 1])), "malformed"),
    "a score that is no number": (seal(pack([SUBJECT, 0.5, WALL // MILLISECOND + 1])), "malformed"),
    "a subject that is no key": (seal(pack([b"short", 1, WALL // MILLISECOND + 1])), "malformed"),
    "larger than any statement is": (
        seal(pack([SUBJECT, 1, WALL // MILLISECOND + 1, bytes(STATEMENT_BYTES_MAX)])),
        "too_large",
    ),
    "nothing": (seal(b""), "malformed"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_statement_has_its_reason(name: str) -> None:
    envelope, reason = WRONG[name]
    with pytest.raises(DecodeError) as caught:
        parse_statement(envelope, WALL)
    assert caught.value.reason == reason


@given(st.binary(max_size=80))
def test_any_payload_is_a_statement_or_a_decode_error(payload: bytes) -> None:
    with contextlib.suppress(DecodeError):
        parse_statement(seal(payload), WALL)


def test_a_statement_lives_no_longer_than_allowed_whatever_it_says() -> None:
    value: list[Value] = [SUBJECT, 1, (1 << 63) - 1]
    assert parse_statement(seal(pack(value)), WALL).expires_at == WALL + STATEMENT_LIFE


def test_the_later_statement_about_a_subject_takes_the_place_of_the_earlier() -> None:
    table = StatementTable()
    table.add(statement(1, 2, sequence=1), NodeId(b"x" * 32))
    table.add(statement(1, 2, sequence=2), NodeId(b"y" * 32))
    assert len(table) == 1
    assert [said.order for said in table.said_by(NodeId((1).to_bytes(32, "big")))] == [(1, 2)]


def test_an_issuer_repeats_itself_once_per_interval_by_its_own_clock() -> None:
    first = statement(1, 2)
    assert StatementTable.is_too_soon(first, statement(1, 2, 2, WALL + STATEMENT_INTERVAL - SECOND))
    assert not StatementTable.is_too_soon(first, statement(1, 2, 2, WALL + STATEMENT_INTERVAL))


def test_one_issuer_cannot_fill_the_table() -> None:
    table, source = StatementTable(), NodeId(b"x" * 32)
    for subject in range(2, STATEMENTS_PER_ISSUER_MAX + 12):
        table.add(statement(1, subject), source)
    assert len(table) == STATEMENTS_PER_ISSUER_MAX


def test_who_brings_the_statements_of_many_issuers_pushes_out_only_its_own() -> None:
    table, honest, flooder = StatementTable(), NodeId(b"h" * 32), NodeId(b"f" * 32)
    for subject in range(50):
        table.add(statement(1, 100 + subject), honest)
    for issuer in range(1000, 1000 + 2 * STATEMENTS_MAX):
        table.add(statement(issuer, 5), flooder)
    assert len(table) == STATEMENTS_MAX
    assert len(table.said_by(NodeId((1).to_bytes(32, "big")))) == 50


def test_pages_cover_the_table_once() -> None:
    table, source = StatementTable(), NodeId(b"x" * 32)
    for issuer in range(1, 24):
        for subject in range(100, 110):
            table.add(statement(issuer, subject), source)
    seen, after = [], b""
    while page := table.page(after, 64):
        seen += [said.key for said in page]
        after = b"".join(page[-1].key)
    assert len(seen) == 230
    assert seen == sorted(set(seen))


def test_pages_show_the_table_as_it_is_after_changes() -> None:
    table, source = StatementTable(), NodeId(b"x" * 32)
    for issuer in (3, 1, 2, 3):
        for subject in (12, 10, 11):
            table.add(statement(issuer, subject), source)
    table.remove(statement(2, 11).key)
    table.remove(statement(2, 11).key)
    assert [(said.key[0][-1], said.key[1][-1]) for said in table.page(statement(1, 11).key[0][:32], 4)] == [
        (1, 10),
        (1, 11),
        (1, 12),
        (2, 10),
    ]
    assert [said.key[0][-1] for said in table.page(b"".join(statement(2, 11).key), 9)] == [2, 3, 3, 3]


def test_what_is_over_is_forgotten_in_every_index() -> None:
    table, source = StatementTable(), NodeId(b"x" * 32)
    table.add(statement(1, 2), source)
    table.add(statement(1, 3, at=WALL + 100 * SECOND), source)
    table.expire(WALL + STATEMENT_LIFE)
    assert [said.subject for said in table.said_by(NodeId((1).to_bytes(32, "big")))] == [
        NodeId((3).to_bytes(32, "big"))
    ]
    table.expire(WALL + 2 * STATEMENT_LIFE)
    assert (len(table), list(table.issuers())) == (0, [])
