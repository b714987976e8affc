"""Ed25519 identities: RFC 8032, refusal of every other signature, text form."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import UsageError
from node.identity.keys import Identity, parse_node_id, verify
from node.types import NodeId

SEEDS = st.binary(min_size=32, max_size=32)

# RFC 8032 §7.1, tests 1 to 3: seed, public key, message, signature.
RFC_VECTORS = (
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
)
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493


@pytest.mark.parametrize(("seed", "public_key", "message", "signature"), RFC_VECTORS)
def test_rfc_8032_is_reproduced(seed: str, public_key: str, message: str, signature: str) -> None:
    identity = Identity(bytes.fromhex(seed))
    assert identity.node_id == public_key
    assert identity.public_key == bytes.fromhex(public_key)
    assert identity.sign(bytes.fromhex(message)).hex() == signature
    assert verify(identity.public_key, bytes.fromhex(message), bytes.fromhex(signature))


@given(seed=SEEDS, data=st.binary())
def test_what_an_identity_signs_verifies_for_it_alone(seed: bytes, data: bytes) -> None:
    identity, other = Identity(seed), Identity(bytes(32 - len(b"other")) + b"other")
    signature = identity.sign(data)
    assert len(signature) == 64
    assert verify(identity.public_key, data, signature)
    assert verify(other.public_key, data, signature) == (other.public_key == identity.public_key)
    assert not verify(identity.public_key, data + b"\0", signature)


def test_every_changed_bit_of_a_signature_is_refused() -> None:
    identity = Identity(bytes(32))
    signature = identity.sign(b"data")
    for bit in range(8 * len(signature)):
        changed = bytearray(signature)
        changed[bit // 8] ^= 1 << bit % 8
        assert not verify(identity.public_key, b"data", bytes(changed))


def test_a_second_form_of_a_valid_signature_is_refused() -> None:
    # RFC 8032 §5.1.7: S must be below the group order, or everybody could make new signatures from seen ones.
    identity = Identity(bytes(32))
    signature = identity.sign(b"data")
    scalar = int.from_bytes(signature[32:], "little") + GROUP_ORDER
    assert not verify(identity.public_key, b"data", signature[:32] + scalar.to_bytes(32, "little"))


@pytest.mark.parametrize("point", ["00" * 32, "01" + "00" * 31, "ec" + "ff" * 30 + "7f", "00" * 31 + "80"])
def test_a_key_of_small_order_verifies_nothing(point: str) -> None:
    # With such a key the signature (point, 0) would hold for many messages at once.
    key = NodeId(bytes.fromhex(point))
    for nonce_point in (bytes.fromhex(point), b"\1" + bytes(31)):
        assert not verify(key, b"data", nonce_point + bytes(32))


@given(node_id=st.binary(max_size=40), data=st.binary(max_size=40), signature=st.binary(max_size=80))
def test_any_bytes_are_simply_not_a_signature(node_id: bytes, data: bytes, signature: bytes) -> None:
    assert not verify(NodeId(node_id), data, signature)


@pytest.mark.parametrize("size", [0, 63, 65, 128])
def test_signatures_of_another_length_are_refused(size: int) -> None:
    identity = Identity(bytes(32))
    assert not verify(identity.public_key, b"data", (identity.sign(b"data") * 2)[:size])


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_seeds_of_another_length_are_usage_errors(size: int) -> None:
    with pytest.raises(UsageError, match="32 bytes"):
        Identity(bytes(size))


def test_no_representation_shows_the_seed() -> None:
    seed = bytes(range(32))
    identity = Identity(seed)
    for text in (repr(identity), str(identity), f"{identity}"):
        assert identity.node_id in text
        assert seed.hex() not in text
        assert repr(seed) not in text


@given(seed=SEEDS)
def test_a_node_id_is_read_back_from_its_text_in_either_case(seed: bytes) -> None:
    identity = Identity(seed)
    assert parse_node_id(identity.node_id) == identity.public_key
    assert parse_node_id(identity.node_id.upper()) == identity.public_key


@pytest.mark.parametrize(
    "text", ["", "ab" * 31, "ab" * 33, "ab" * 31 + "a", "xy" * 32, "ab " * 21 + "a", "ab" * 32 + "\n", "٣" * 64]
)
def test_any_other_text_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="64 hexadecimal digits"):
        parse_node_id(text)


@given(text=st.text(max_size=70))
def test_any_text_is_a_node_id_or_a_usage_error(text: str) -> None:
    with suppress(UsageError):
        assert len(parse_node_id(text)) == 32
