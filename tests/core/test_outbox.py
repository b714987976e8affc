"""Direct messages: signed, bounded, one outcome each, delivered once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.outbox import Outbox, Pending
from node.core.stats import CoreStats
from node.errors import ConnectionFailed, DecodeError, QueueFull, SendTimeout, UsageError
from node.identity.keys import Identity
from node.messages.envelope import Sealer, signing_domain
from node.messages.frame import parse_frame
from node.messages.packing import pack
from node.types import SECOND, NodeId
from node.wire.limits import PAYLOAD_BYTES_MAX, PENDING_SENDS_MAX

ALICE, BOB = Identity(b"a" * 32), Identity(b"b" * 32)
WALL = 1_700_000_000 * SECOND


def outbox(identity: Identity) -> Outbox:
    return Outbox(Sealer(identity, network_id="net", epoch=1), signing_domain("net"), CoreStats())


def accept(box: Outbox, payload: Any = None, *, deadline: int = 5 * SECOND) -> Pending:
    return box.accept(BOB.public_key, payload, reliable=True, deadline=deadline, wall=WALL)


def test_what_one_node_accepts_the_other_delivers_once() -> None:
    pending = accept(outbox(ALICE), {"n": 1})
    bob = outbox(BOB)
    received = bob.receive(ALICE.public_key, parse_frame(pending.data).fields, WALL + SECOND)
    assert received is not None
    assert (received.payload, received.origin, received.age, received.is_broadcast) == (
        {"n": 1},
        ALICE.public_key,
        SECOND,
        False,
    )
    assert bob.receive(ALICE.public_key, parse_frame(pending.data).fields, WALL) is None


def test_two_equal_messages_are_two() -> None:
    alice, bob = outbox(ALICE), outbox(BOB)
    frames = [parse_frame(accept(alice, "same").data).fields for _ in range(2)]
    assert all(bob.receive(ALICE.public_key, fields, WALL) is not None for fields in frames)


@pytest.mark.parametrize(
    ("kind", "signer", "network_id", "payload", "reason"),
    [
        (6, ALICE, "net", pack({}), "unexpected"),
        (11, BOB, "net", pack({}), "wrong_origin"),
        (11, ALICE, "other", pack({}), "wrong_network"),
        (11, ALICE, "net", b"\xc1", "malformed"),
    ],
)
def test_a_wrong_message_is_refused_with_a_reason(
    kind: int, signer: Identity, network_id: str, payload: bytes, reason: str
) -> None:
    envelope = Sealer(signer, network_id=network_id, epoch=1).seal(kind, payload, WALL)
    with pytest.raises(DecodeError) as caught:
        outbox(BOB).receive(ALICE.public_key, [envelope.body, envelope.signature], WALL)
    assert caught.value.reason == reason


def test_a_message_waits_then_fails_for_want_of_a_connection() -> None:
    box = outbox(ALICE)
    pending = accept(box)
    assert box.next_timeout() == 5 * SECOND
    assert box.overdue(5 * SECOND - 1) == []
    (finished,) = box.overdue(5 * SECOND)
    assert finished.token == pending.token
    assert isinstance(finished.error, ConnectionFailed)
    assert (len(box), box.next_timeout()) == (0, None)


def test_a_message_under_way_runs_out_of_time() -> None:
    box = outbox(ALICE)
    accept(box).is_under_way = True
    (finished,) = box.overdue(5 * SECOND)
    assert isinstance(finished.error, SendTimeout)


def test_only_the_first_outcome_counts() -> None:
    box = outbox(ALICE)
    token = accept(box).token
    assert box.finish(token, None) is not None
    assert box.finish(token, SendTimeout("late")) is None
    assert box.overdue(10 * SECOND) == []


def test_a_withdrawn_message_leaves_nothing_behind() -> None:
    box = outbox(ALICE)
    box.withdraw(accept(box))
    assert (len(box), box.next_timeout(), box.waiting()) == (0, None, [])


def test_pending_messages_are_bounded_in_number_and_bytes() -> None:
    box = outbox(ALICE)
    for _ in range(15):
        accept(box, bytes(PAYLOAD_BYTES_MAX - 100))
    with pytest.raises(QueueFull):
        accept(box, bytes(PAYLOAD_BYTES_MAX - 100))
    box = outbox(ALICE)
    for _ in range(PENDING_SENDS_MAX):
        accept(box)
    with pytest.raises(QueueFull):
        accept(box)


@pytest.mark.parametrize("payload", [object(), float("nan"), bytes(PAYLOAD_BYTES_MAX + 1)])
def test_what_cannot_travel_is_the_callers_mistake(payload: Any) -> None:
    box = outbox(ALICE)
    with pytest.raises(UsageError):
        accept(box, payload)
    assert len(box) == 0


@given(st.lists(st.binary(max_size=80) | st.integers() | st.none(), max_size=4))
def test_any_fields_give_a_message_or_a_decode_error(fields: list[Any]) -> None:
    with pytest.raises(DecodeError):
        outbox(BOB).receive(NodeId(bytes(32)), fields, WALL)
