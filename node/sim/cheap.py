"""Cheap stand-ins for the cryptography, for simulations of a thousand nodes; chosen explicitly, never by a product.

With them the same machines run the same protocol, byte for byte as long: a handshake is three messages, a packet grows
by a tag, a wrong key, a changed bit and a wrong signature are refused. What they do not do is keep a secret or resist
anybody who wants to forge. The tag is a checksum keyed by what both ends know, the signature a hash keyed by the public
key, the key agreement a hash of both private keys. `cheap_crypto` replaces the few functions of PyNaCl that the core
calls, in this process and for as long as its block lasts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import blake2b
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from zlib import crc32

from node.crypto import aead, noise
from node.crypto.suites import CIPHERS, Suite
from node.errors import DecodeError
from node.identity import keys

__all__ = ["cheap_crypto"]

_PADDING = bytes(aead.OVERHEAD_BYTES - 4)


@contextmanager
def cheap_crypto() -> Iterator[None]:
    """Everything that is made and run within the block uses the stand-ins; nothing from outside may be used in it."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(keys, "bindings", _SIGNING))
        stack.enter_context(patch.object(noise, "bindings", _AGREEMENT))
        for name, method in (("__init__", _prepare), ("seal", _seal), ("open", _open)):
            stack.enter_context(patch.object(aead.PacketCipher, name, method))
        stack.enter_context(patch.dict(CIPHERS, {Suite.CHACHA20_POLY1305: aead.PacketCipher}, clear=True))
        yield


def _keypair(seed: bytes) -> tuple[bytes, bytes]:
    public = blake2b(seed, digest_size=keys.NODE_ID_BYTES).digest()
    return public, public


def _sign(data: bytes, secret: bytes) -> bytes:
    return blake2b(data, key=secret, digest_size=keys.SIGNATURE_BYTES).digest() + data


def _verify(signed: bytes, public: bytes) -> bytes:
    data = signed[keys.SIGNATURE_BYTES :]
    if _sign(data, public) != signed:
        raise _BAD_SIGNATURE
    return data


def _agree(private: bytes, public: bytes) -> bytes:
    return blake2b(min(private, public) + max(private, public), digest_size=noise.DH_BYTES).digest()


def _prepare(cipher: Any, key: bytes) -> None:
    cipher._key = crc32(key)


def _tag(cipher: Any, number: int, plaintext: bytes, header: bytes) -> bytes:
    checksum = crc32(plaintext, crc32(header, cipher._key ^ number & 0xFFFFFFFF))
    return checksum.to_bytes(4, "big") + _PADDING


def _seal(cipher: Any, number: int, plaintext: bytes, header: bytes) -> bytes:
    return plaintext + _tag(cipher, number, plaintext, header)


def _open(cipher: Any, number: int, ciphertext: bytes, header: bytes) -> bytes:
    plaintext = ciphertext[: -aead.OVERHEAD_BYTES]
    if len(ciphertext) < aead.OVERHEAD_BYTES or ciphertext[-aead.OVERHEAD_BYTES :] != _tag(
        cipher, number, plaintext, header
    ):
        raise DecodeError("decrypt_failed")
    return plaintext


_BAD_SIGNATURE: Exception = getattr(keys, "BadSignatureError")()  # noqa: B009  # PyNaCl's, which is not ours to import

_SIGNING = SimpleNamespace(crypto_sign_seed_keypair=_keypair, crypto_sign=_sign, crypto_sign_open=_verify)

_AGREEMENT = SimpleNamespace(crypto_scalarmult_base=bytes, crypto_scalarmult=_agree)
