"""The cipher suites: published answers, agreement, and keys that follow keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.crypto.aead import Cipher
from node.crypto.suites import (
    CIPHERS,
    AesCipher,
    Suite,
    agreed_suite,
    has_aes,
    next_key,
    suite_key,
    suites_mask,
)
from node.errors import DecodeError

EVERY = pytest.mark.parametrize("cipher_class", CIPHERS.values(), ids=lambda cipher: cipher.__name__)
NEEDS_AES = pytest.mark.skipif(Suite.AES_256_GCM not in CIPHERS, reason="this processor has no AES instructions")


@NEEDS_AES
def test_the_published_answers_of_aes_256_gcm_are_reproduced() -> None:
    # McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 13 and 14.
    cipher = AesCipher(bytes(32))
    assert cipher.seal(0, b"", b"").hex() == "530f8afbc74536b9a963b4f1c4cb738b"
    sealed = "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"
    assert cipher.seal(0, bytes(16), b"").hex() == sealed
    assert cipher.open(0, bytes.fromhex(sealed), b"") == bytes(16)


@NEEDS_AES
@pytest.mark.must("M29")
def test_aes_is_only_used_after_its_self_test() -> None:
    assert has_aes()


@EVERY
@given(number=st.integers(0, 2**64 - 1), plaintext=st.binary(max_size=3_000), header=st.binary(max_size=40))
def test_round_trip(cipher_class: type[Cipher], number: int, plaintext: bytes, header: bytes) -> None:
    cipher = cipher_class(bytes(range(32)))
    sealed = cipher.seal(number, plaintext, header)
    assert len(sealed) == len(plaintext) + 16
    assert cipher.open(number, sealed, header) == plaintext


@EVERY
def test_every_changed_bit_and_every_other_number_is_refused(cipher_class: type[Cipher]) -> None:
    cipher = cipher_class(bytes(range(32)))
    sealed = cipher.seal(5, b"frames", b"header")
    for bit in range(8 * len(sealed)):
        damaged = bytearray(sealed)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DecodeError, match="decrypt_failed"):
            cipher.open(5, bytes(damaged), b"header")
    for number, header in ((6, b"header"), (5, b"Header"), (5, b"")):
        with pytest.raises(DecodeError, match="decrypt_failed"):
            cipher.open(number, sealed, header)


@EVERY
@pytest.mark.parametrize("size", range(16))
def test_what_is_shorter_than_a_tag_is_refused(cipher_class: type[Cipher], size: int) -> None:
    with pytest.raises(DecodeError, match="decrypt_failed"):
        cipher_class(bytes(32)).open(0, bytes(size), b"")


@EVERY
def test_keys_follow_each_other_without_end(cipher_class: type[Cipher]) -> None:
    keys = [bytes(32)]
    for _ in range(10):
        keys.append(next_key(cipher_class(keys[-1])))
    assert len(set(keys)) == 11
    assert {len(key) for key in keys} == {32}


@given(st.sets(st.sampled_from(Suite)), st.sets(st.sampled_from(Suite)))
def test_the_agreed_suite_is_the_same_at_both_ends(ours: set[Suite], theirs: set[Suite]) -> None:
    assert agreed_suite(suites_mask(ours), suites_mask(theirs)) is agreed_suite(suites_mask(theirs), suites_mask(ours))
    if ours & theirs:
        assert agreed_suite(suites_mask(ours), suites_mask(theirs)) is max(ours & theirs)


def test_the_first_suite_has_the_key_of_the_noise_handshake() -> None:
    assert suite_key(Suite.CHACHA20_POLY1305, b"k" * 32, b"t" * 32) == b"k" * 32
    keys = {
        suite_key(Suite.AES_256_GCM, key, text) for key in (b"k" * 32, b"l" * 32) for text in (b"t" * 32, b"u" * 32)
    }
    assert len(keys) == 4
