"""Two bodies for one number: noticed, proved, and never a thing of whoever passed them on."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import DecodeError
from node.identity.keys import Identity
from node.messages.envelope import Envelope, Sealer, signing_domain
from node.messages.equivocation import Equivocation, parse_equivocation
from node.messages.packing import pack
from node.types import SECOND
from node.wire.limits import EVIDENCE_BYTES_MAX

ALICE, BOB = Identity(b"a" * 32), Identity(b"b" * 32)
DOMAIN = signing_domain("net")


def seal(payload: bytes, *, author: Identity = ALICE, skip: int = 0, network_id: str = "net") -> Envelope:
    sealer = Sealer(author, network_id=network_id, epoch=5)
    for _ in range(skip):
        sealer.seal(6, b"", SECOND)
    return sealer.seal(6, payload, SECOND)


def evidence(first: Envelope, second: Envelope) -> bytes:
    return pack([first.body, first.signature, second.body, second.signature])


def test_evidence_survives_the_round_trip_and_names_the_author() -> None:
    found = Equivocation(seal(b"one"), seal(b"two"))
    packed = found.packed()
    assert packed is not None
    assert parse_equivocation(packed, DOMAIN) == found
    assert found.origin == ALICE.public_key


NO_EVIDENCE = {
    "the same message twice": evidence(seal(b"one"), seal(b"one")),
    "two numbers": evidence(seal(b"one"), seal(b"two", skip=1)),
    "two authors": evidence(seal(b"one"), seal(b"two", author=BOB)),
    "another network": evidence(seal(b"one"), seal(b"two", network_id="other")),
    "signatures that were exchanged": pack(
        [seal(b"one").body, seal(b"two").signature, seal(b"two").body, seal(b"one").signature]
    ),
    "no bytes": pack(["a", "b", "c", "d"]),
    "too little": pack([b"", b""]),
}


@pytest.mark.parametrize("name", NO_EVIDENCE)
def test_what_proves_nothing_is_refused(name: str) -> None:
    with pytest.raises(DecodeError):
        parse_equivocation(NO_EVIDENCE[name], DOMAIN)


@given(st.binary(max_size=200))
def test_any_bytes_are_evidence_or_a_decode_error(data: bytes) -> None:
    with contextlib.suppress(DecodeError):
        parse_equivocation(data, DOMAIN)


def test_evidence_that_is_too_large_is_not_kept() -> None:
    half = bytes(EVIDENCE_BYTES_MAX // 2)
    assert Equivocation(seal(half), seal(b"1" + half)).packed() is None
