"""Both implementations of the packet cipher: RFC 8439, agreement with each other, refusal of everything else."""

from __future__ import annotations

from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.crypto.aead import (
    KNOWN_ANSWER,
    OVERHEAD_BYTES,
    DirectCipher,
    PacketCipher,
    WrappedCipher,
    absent,
    passes_self_test,
)
from node.errors import DecodeError, UsageError

CipherClass: TypeAlias = type[DirectCipher] | type[WrappedCipher]

BOTH = pytest.mark.parametrize("cipher_class", [DirectCipher, WrappedCipher])
NUMBERS = st.integers(0, 2**64 - 1)
KEY = bytes(range(32))

# RFC 8439 appendix A.5; its nonce begins with four zero bytes, as ours do.
RFC_KEY = bytes.fromhex("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0")
RFC_NUMBER = int.from_bytes(bytes.fromhex("0102030405060708"), "little")
RFC_HEADER = bytes.fromhex("f33388860000000000004e91")
RFC_SEALED = bytes.fromhex(
    "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d26b0bdb7b73c321b0100"
    "d4f03b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c8559797a06ef4f0ef61c186324e2b350638"
    "3606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c523eaf4534d7f83fa115"
    "5b0047718cbc546a0d072b04b3564eea1b422273f548271a0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a10"
    "49e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b02709beead9d67890cbb22392336fea1851f"
    "38"
)
RFC_PLAINTEXT = (
    b"Internet-Drafts are draft documents valid for a maximum of six months and may be updated, replaced, or obsoleted "
    b"by other documents at any time. It is inappropriate to use Internet-Drafts as reference material or to cite them "
    b"other than as /\xe2\x80\x9cwork in progress./\xe2\x80\x9d"
)


@BOTH
def test_rfc_8439_appendix_a_5_is_reproduced(cipher_class: CipherClass) -> None:
    cipher = cipher_class(RFC_KEY)
    assert cipher.seal(RFC_NUMBER, RFC_PLAINTEXT, RFC_HEADER) == RFC_SEALED
    assert cipher.open(RFC_NUMBER, RFC_SEALED, RFC_HEADER) == RFC_PLAINTEXT


@BOTH
def test_the_self_test_passes(cipher_class: CipherClass) -> None:
    assert passes_self_test(cipher_class, KNOWN_ANSWER)


def test_the_direct_path_is_in_use_here() -> None:
    assert PacketCipher is DirectCipher


class WrongAnswer(WrappedCipher):
    def seal(self, number: int, plaintext: bytes, header: bytes) -> bytes:
        return super().seal(number, plaintext, header)[::-1]


class OpensAnything(WrappedCipher):
    def open(self, number: int, ciphertext: bytes, header: bytes) -> bytes:
        return b"positron"


@pytest.mark.parametrize("broken", [WrongAnswer, OpensAnything])
@pytest.mark.must("M29")
def test_the_self_test_refuses_a_broken_implementation(broken: type[WrappedCipher]) -> None:
    assert not passes_self_test(broken, KNOWN_ANSWER)


def test_the_self_test_refuses_a_libsodium_without_the_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DirectCipher, "_encrypt", staticmethod(absent))
    assert not passes_self_test(DirectCipher, KNOWN_ANSWER)


@given(key=st.binary(min_size=32, max_size=32), number=NUMBERS, plaintext=st.binary(max_size=3000), header=st.binary())
@settings(deadline=None)
def test_both_implementations_seal_alike_and_open_each_other(
    key: bytes, number: int, plaintext: bytes, header: bytes
) -> None:
    direct, wrapped = DirectCipher(key), WrappedCipher(key)
    sealed = direct.seal(number, plaintext, header)
    assert len(sealed) == len(plaintext) + OVERHEAD_BYTES
    assert wrapped.seal(number, plaintext, header) == sealed
    assert direct.open(number, sealed, header) == wrapped.open(number, sealed, header) == plaintext


@BOTH
@pytest.mark.must("M7")
def test_every_changed_bit_of_ciphertext_and_header_is_refused(cipher_class: CipherClass) -> None:
    cipher = cipher_class(KEY)
    sealed, header = cipher.seal(7, b"plaintext", b"header"), b"header"
    for bit in range(8 * len(sealed)):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DecodeError, match="decrypt_failed"):
            cipher.open(7, bytes(changed), header)
    for bit in range(8 * len(header)):
        changed = bytearray(header)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DecodeError, match="decrypt_failed"):
            cipher.open(7, sealed, bytes(changed))
    assert cipher.open(7, sealed, header) == b"plaintext"


@BOTH
@pytest.mark.parametrize("bit", range(64))
def test_another_packet_number_is_refused(cipher_class: CipherClass, bit: int) -> None:
    cipher = cipher_class(KEY)
    sealed = cipher.seal(7, b"plaintext", b"")
    with pytest.raises(DecodeError, match="decrypt_failed"):
        cipher.open(7 ^ 1 << bit, sealed, b"")


@BOTH
def test_another_key_is_refused(cipher_class: CipherClass) -> None:
    with pytest.raises(DecodeError, match="decrypt_failed"):
        cipher_class(bytes(32)).open(7, cipher_class(KEY).seal(7, b"plaintext", b""), b"")


@BOTH
def test_every_length_shorter_than_a_tag_is_refused(cipher_class: CipherClass) -> None:
    for size in range(OVERHEAD_BYTES):
        with pytest.raises(DecodeError, match="decrypt_failed"):
            cipher_class(KEY).open(0, bytes(size), b"")


@given(number=NUMBERS, junk=st.binary(max_size=200), header=st.binary(max_size=40))
def test_any_bytes_are_refused_by_both_implementations(number: int, junk: bytes, header: bytes) -> None:
    for cipher_class in (DirectCipher, WrappedCipher):
        with pytest.raises(DecodeError, match="decrypt_failed"):
            cipher_class(KEY).open(number, junk, header)


@BOTH
def test_the_largest_datagram_fits_and_earlier_results_stay(cipher_class: CipherClass) -> None:
    cipher = cipher_class(KEY)
    small = cipher.seal(1, b"small", b"")
    large = cipher.seal(2, bytes(65507), b"")
    assert cipher.open(2, large, b"") == bytes(65507)
    assert cipher.open(1, small, b"") == b"small"
    assert cipher_class(KEY).open(2, large, b"") == bytes(65507)


@BOTH
def test_an_empty_plaintext_is_only_a_tag(cipher_class: CipherClass) -> None:
    sealed = cipher_class(KEY).seal(0, b"", b"header")
    assert len(sealed) == OVERHEAD_BYTES
    assert cipher_class(KEY).open(0, sealed, b"header") == b""


@BOTH
def test_a_refused_packet_shows_nothing_in_the_next_result(cipher_class: CipherClass) -> None:
    cipher = cipher_class(KEY)
    with pytest.raises(DecodeError):
        cipher.open(0, cipher.seal(0, b"secret", b"")[:-1] + b"\0", b"")
    assert cipher.open(1, cipher.seal(1, b"", b""), b"") == b""


@BOTH
@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_keys_of_another_length_are_usage_errors(cipher_class: CipherClass, size: int) -> None:
    with pytest.raises(UsageError, match="32 bytes"):
        cipher_class(bytes(size))
