"""The cipher suites of packets: which of them work here, and which one two ends use.

ChaCha20-Poly1305 works everywhere; AES-256-GCM where the processor has instructions for it, and is used when both ends
say so inside the authenticated handshake. Neither is weaker than the other, and nothing outside the handshake decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from hashlib import blake2b
from struct import Struct
from typing import ClassVar

from node.crypto.aead import KEY_BYTES, Cipher, DirectCipher, PacketCipher, absent, passes_self_test

try:
    from nacl._sodium import lib  # type: ignore[import-not-found]  # a compiled module, without types
except ImportError:  # pragma: no cover - this private module may move; the suite is then not offered
    lib = None

__all__ = ["CIPHERS", "AesCipher", "Suite", "agreed_suite", "has_aes", "next_key", "suite_key", "suites_mask"]

_KEY_UPDATE_NUMBER = 2**64 - 1
"""Never the number of a packet (Noise specification revision 34, §4.2, REKEY)."""

_PERSON_KEY = b"positron suite"


class Suite(IntEnum):
    """Cipher suites by their number on the wire; of those that both ends have, the largest is used."""

    CHACHA20_POLY1305 = 1
    AES_256_GCM = 2


class AesCipher(DirectCipher):
    """AES-256-GCM on libsodium's own functions; see `Cipher`. Only where `CIPHERS` has it."""

    __slots__ = ()

    _encrypt: ClassVar = staticmethod(getattr(lib, "crypto_aead_aes256gcm_encrypt", absent))
    _decrypt: ClassVar = staticmethod(getattr(lib, "crypto_aead_aes256gcm_decrypt", absent))
    _nonce: ClassVar = staticmethod(Struct(">4xQ").pack)
    """Four zero bytes, then the number as 64 bits big endian (Noise specification revision 34, §12.4)."""


def has_aes() -> bool:
    """Whether AES-256-GCM works here: the processor has it, and the answer is the known one."""
    is_available = getattr(lib, "crypto_aead_aes256gcm_is_available", lambda: 0)
    answer = bytes.fromhex("743e1667a99366f0c9c9c9b60bc00cd62ee6a2e49c252b4f")
    return bool(is_available()) and passes_self_test(AesCipher, answer)


CIPHERS: dict[Suite, type[Cipher]] = {Suite.CHACHA20_POLY1305: PacketCipher}
"""The suites that work here, in the order of their numbers."""

if has_aes():
    CIPHERS[Suite.AES_256_GCM] = AesCipher


def suites_mask(suites: Iterable[Suite]) -> int:
    """A set of suites as it travels: bit n stands for suite n."""
    return sum(1 << suite for suite in suites)


def agreed_suite(ours: int, theirs: int) -> Suite:
    """The suite that both ends use, from what each offers; what everybody has where there is nothing else."""
    return max((suite for suite in Suite if ours & theirs & 1 << suite), default=Suite.CHACHA20_POLY1305)


def suite_key(suite: Suite, key: bytes, transcript: bytes) -> bytes:
    """The packet key of a suite: the key of the Noise handshake for the first, another one bound to it for others.

    transcript: 32 bytes, the final hash of the handshake, in which both offers are.
    """
    if suite is Suite.CHACHA20_POLY1305:
        return key
    return blake2b(bytes((suite,)) + transcript, digest_size=KEY_BYTES, key=key, person=_PERSON_KEY).digest()


def next_key(cipher: Cipher) -> bytes:
    """The key that follows that of `cipher`; it does not lead back (Noise §4.2, REKEY)."""
    return cipher.seal(_KEY_UPDATE_NUMBER, bytes(KEY_BYTES), b"")[:KEY_BYTES]
