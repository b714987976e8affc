"""Signed messages: what verifies, what does not, and what a copy is."""

from __future__ import annotations

import contextlib
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.errors import DecodeError, UsageError
from node.identity.keys import Identity
from node.messages.envelope import (
    Sealer,
    check_network,
    check_signature,
    is_authentic,
    message_id,
    parse_envelope,
    signing_domain,
)
from node.messages.types import MessageType
from node.types import MILLISECOND, SECOND
from node.wire.limits import PAYLOAD_BYTES_MAX
from tests.reference.envelope import Refused, envelope_of

ALICE, BOB, CAROL = (Identity(letter * 32) for letter in (b"a", b"b", b"c"))
WALL = 1_700_000_000 * SECOND
DOMAIN = signing_domain("net")


def sealer(network_id: str = "net") -> Sealer:
    return Sealer(ALICE, network_id=network_id, epoch=5)


SEALED = sealer().seal(MessageType.GOSSIP_MESSAGE, b"payload", WALL)


def test_a_sealed_message_parses_to_itself_and_verifies() -> None:
    sealed = sealer().seal(MessageType.GOSSIP_MESSAGE, b"payload", WALL)
    parsed = parse_envelope(sealed.body, sealed.signature)
    assert parsed == sealed
    assert is_authentic(parsed, DOMAIN)
    assert parsed.age(WALL + 3 * MILLISECOND) == 3 * MILLISECOND


def test_one_stream_has_one_sequence_for_all_of_its_kinds() -> None:
    own = sealer()
    assert [own.seal(kind, b"", WALL).sequence for kind in (MessageType.GOSSIP_MESSAGE, 100, 6)] == [1, 2, 3]


def test_two_equal_payloads_have_two_ids() -> None:
    own = sealer()
    assert own.seal(6, b"x", WALL).message_id != own.seal(6, b"x", WALL).message_id


@given(st.integers(min_value=0), st.integers(min_value=0, max_value=7))
def test_one_flipped_bit_anywhere_never_verifies(position: int, bit: int) -> None:
    sealed = sealer().seal(6, b"payload", WALL)
    data = bytearray(sealed.body + sealed.signature)
    data[position % len(data)] ^= 1 << bit
    body, signature = bytes(data[: len(sealed.body)]), bytes(data[len(sealed.body) :])
    assert message_id(body, signature) != sealed.message_id
    with contextlib.suppress(DecodeError):
        assert not is_authentic(parse_envelope(body, signature), DOMAIN)


def test_a_message_of_another_network_does_not_verify() -> None:
    foreign = sealer("other").seal(6, b"payload", WALL)
    assert not is_authentic(foreign, DOMAIN)
    with pytest.raises(DecodeError) as caught:
        check_network(foreign, DOMAIN)
    assert caught.value.reason == "wrong_network"


def test_a_message_that_claims_this_network_must_be_signed_for_it() -> None:
    foreign = sealer("other").seal(6, b"payload", WALL)
    claimed = foreign.body.replace(foreign.network, SEALED.network)
    renamed = parse_envelope(claimed, foreign.signature)
    check_network(renamed, DOMAIN)
    assert not is_authentic(renamed, DOMAIN)


def test_a_message_under_another_name_does_not_verify() -> None:
    sealed = sealer().seal(6, b"payload", WALL)
    body = sealed.body.replace(ALICE.public_key, Identity(b"b" * 32).public_key)
    assert not is_authentic(parse_envelope(body, sealed.signature), DOMAIN)


WRONG_SIGNATURES = {
    "no signature": (bytes(64), BOB.public_key, "unsigned"),
    "altered": (b"x" * 64, BOB.public_key, "bad_signature"),
    "signed by the peer that sent it": (BOB.sign(DOMAIN + SEALED.body), BOB.public_key, "wrong_key"),
    "signed by somebody else": (CAROL.sign(DOMAIN + SEALED.body), BOB.public_key, "bad_signature"),
    "signed without the domain": (ALICE.sign(SEALED.body), BOB.public_key, "bad_signature"),
}


@pytest.mark.parametrize("name", WRONG_SIGNATURES)
def test_each_wrong_signature_has_its_reason(name: str) -> None:
    signature, forwarder, reason = WRONG_SIGNATURES[name]
    with pytest.raises(DecodeError) as caught:
        check_signature(parse_envelope(SEALED.body, signature), DOMAIN, forwarder)
    assert caught.value.reason == reason


def test_an_empty_signature_is_none() -> None:
    with pytest.raises(DecodeError) as caught:
        parse_envelope(SEALED.body, b"")
    assert caught.value.reason == "unsigned"


@pytest.mark.parametrize(
    "topic", ["t" * 33, "é" * 17, "two\nlines", "\x1b[2J", "\x9b2J", "a\u202eb", "\u200b", "\ufeff"]
)
def test_a_topic_that_is_no_short_text_is_refused_on_both_sides(topic: str) -> None:
    own = sealer()
    with pytest.raises(UsageError, match="topic"):
        own.seal(6, b"", WALL, topic=topic)
    assert own.seal(6, b"", WALL).sequence == 1
    with pytest.raises(DecodeError) as caught:
        parse_envelope(msgpack.packb([*GOOD[:6], topic, *GOOD[7:]]), b"s" * 64)
    assert caught.value.reason == "bad_topic"


@pytest.mark.parametrize(
    "topic", ["prices/eur", "t" * 32, "é" * 16, "😀" * 8, "Zürich 価格 مرحبا", "\u0378", "\U0001fae9"]
)
def test_a_topic_travels_with_the_message_also_one_of_a_later_unicode(topic: str) -> None:
    sealed = sealer().seal(6, b"", WALL, topic=topic)
    assert parse_envelope(sealed.body, sealed.signature).topic == topic


def test_an_oversized_payload_is_refused_and_takes_no_sequence_number() -> None:
    own = sealer()
    with pytest.raises(UsageError, match="payload"):
        own.seal(6, bytes(PAYLOAD_BYTES_MAX + 1), WALL)
    assert own.seal(6, bytes(PAYLOAD_BYTES_MAX), WALL).sequence == 1


GOOD: list[Any] = [1, 6, b"o" * 32, 5, 1, 0, "", b"", b"networks"]


@pytest.mark.parametrize(
    ("index", "value"),
    [
        (0, 2),
        (1, 0),
        (1, "6"),
        (1, True),
        (2, b"short"),
        (2, "o" * 32),
        (3, -1),
        (4, 0),
        (4, 1 << 63),
        (5, 1.5),
        (0, True),
        (6, b"topic"),
        (6, None),
        (7, "text"),
        (7, None),
        (8, b"short"),
        (8, "networks"),
    ],
)
def test_a_body_with_one_wrong_field_is_malformed(index: int, value: Any) -> None:
    fields = [*GOOD]
    fields[index] = value
    with pytest.raises(DecodeError) as caught:
        parse_envelope(msgpack.packb(fields), b"s" * 64)
    assert caught.value.reason == ("bad_topic" if index == 6 else "malformed")


def test_fields_of_a_later_version_are_ignored() -> None:
    assert parse_envelope(msgpack.packb([*GOOD, "more"]), b"s" * 64).sequence == 1


def test_a_signature_of_another_length_is_malformed() -> None:
    with pytest.raises(DecodeError, match="malformed"):
        parse_envelope(msgpack.packb(GOOD), bytes(63))


@given(st.binary(max_size=200), st.binary(min_size=64, max_size=64))
def test_any_bytes_give_an_envelope_or_a_decode_error(body: bytes, signature: bytes) -> None:
    with contextlib.suppress(DecodeError):
        parse_envelope(body, signature)


# --- what the document says -----------------------------------------------------------------------------------------

FIELDS = [1, 6, ALICE.public_key, 5, 1, 1_700_000_000_000, "", b"payload", SEALED.network]
ODD = (
    st.none()
    | st.booleans()
    | st.sampled_from([0, -1, 1.0, 2, 5.0, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, float("nan"), float("inf")])
    | st.binary(max_size=40)
    | st.text(max_size=40)
    | st.sampled_from([bytes(32), bytes(8), b"", "x" * 32, "x" * 33, "\x00", "\u200b", "\u2603" * 11])
    | st.lists(st.integers(min_value=0, max_value=3), max_size=4)
    | st.dictionaries(st.text(max_size=3) | st.integers(min_value=0, max_value=9), st.booleans(), max_size=3)
)
NESTED = st.recursive(ODD, lambda inner: st.lists(inner, max_size=3), max_leaves=20)
LONG = [b"", b"\xdd\xff\xff\xff\xff", b"\xc1", b"\xcf" + bytes(8), b"\xcb" + bytes(8), b"\xd9\x00", b"\xc7\x00\x00"]
"""What takes the place of some bytes: nothing, a list without end, no type, and long forms of short values."""


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """An envelope with some fields that are odd, or more or fewer of them, and then some bytes that are."""
    fields: list[Any] = list(FIELDS)
    for position in draw(st.lists(st.integers(min_value=0, max_value=8), max_size=2)):
        fields[position] = draw(ODD)
    fields = fields[: draw(st.sampled_from([9, 9, 9, 8]))] + draw(st.lists(NESTED, max_size=2))
    body: bytes = msgpack.packb(fields, use_bin_type=True, use_single_float=draw(st.booleans()))
    for _ in range(draw(st.integers(min_value=0, max_value=2))):
        start = draw(st.integers(min_value=0, max_value=len(body)))
        length = draw(st.integers(min_value=0, max_value=3))
        body = body[:start] + draw(st.sampled_from(LONG) | st.binary(max_size=3)) + body[start + length :]
    return body


@settings(max_examples=1000)
@given(mutated(), st.sampled_from([64, 64, 64, 64, 0, 63, 65]))
def test_what_is_accepted_is_what_the_document_describes(body: bytes, length: int) -> None:
    signature = b"s" * length
    try:
        expected = envelope_of(body, signature)
    except Refused:
        with pytest.raises(DecodeError):
            parse_envelope(body, signature)
        return
    found = parse_envelope(body, signature)
    numbers = [found.kind, found.origin, found.epoch, found.sequence, found.timestamp]
    assert [*numbers, found.topic, found.payload, found.network] == expected
