"""Seals and opens packets with ChaCha20-Poly1305 (RFC 8439), one cipher per key and direction.

Knows nothing of packet formats: number, header and plaintext come from the connection, which alone guards that no
number is sealed twice under one key. `DirectCipher` calls libsodium itself, because PyNaCl's wrapper allocates four
buffers per packet; a known answer checked at import decides whether `PacketCipher` is that or the wrapper.
"""

from __future__ import annotations

from struct import Struct
from typing import ClassVar, Final, Protocol

from nacl import bindings
from nacl.exceptions import CryptoError

from node.errors import DecodeError, UsageError

try:
    from nacl._sodium import ffi, lib  # type: ignore[import-not-found]  # a compiled module, without types
except ImportError:  # pragma: no cover - this private module may move; the public wrapper stays
    ffi = lib = None

__all__ = [
    "KEY_BYTES",
    "KNOWN_ANSWER",
    "OVERHEAD_BYTES",
    "Cipher",
    "DirectCipher",
    "PacketCipher",
    "WrappedCipher",
    "absent",
    "passes_self_test",
]

KEY_BYTES = 32
OVERHEAD_BYTES = 16
"""The Poly1305 tag behind the ciphertext."""

_nonce: Final = Struct("<4xQ").pack
"""Four zero bytes, then the number as 64 bits little endian (Noise specification revision 34, §11.4 and §12.3)."""

_BUFFER_BYTES_INITIAL = 384
"""Holds the packets of an idle connection, of which a node may have a thousand; grows as larger ones come."""


_NULL: Final = ffi.NULL if ffi else None


def absent(*_: object) -> int:
    """In the place of a function that this libsodium does not have."""
    raise TypeError("this libsodium has no such cipher")


class Cipher(Protocol):
    """What both implementations of the packet cipher offer.

    key: 32 bytes. All arguments are `bytes`, not views.
    """

    def __init__(self, key: bytes) -> None: ...

    def seal(self, number: int, plaintext: bytes, header: bytes) -> bytes:
        """Ciphertext and tag, 16 bytes longer than `plaintext`; `header` is authenticated, not contained.

        number: 0 to 2^64 - 1, never used twice with one key.
        """
        ...

    def open(self, number: int, ciphertext: bytes, header: bytes) -> bytes:
        """The plaintext sealed under this key, number and header; DecodeError("decrypt_failed") for anything else."""
        ...


class WrappedCipher:
    """The packet cipher through PyNaCl's public wrapper; see `Cipher`."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        _check_key(key)
        self._key = key

    def seal(self, number: int, plaintext: bytes, header: bytes) -> bytes:
        return bindings.crypto_aead_chacha20poly1305_ietf_encrypt(plaintext, header, _nonce(number), self._key)

    def open(self, number: int, ciphertext: bytes, header: bytes) -> bytes:
        if len(ciphertext) < OVERHEAD_BYTES:
            raise DecodeError("decrypt_failed")
        try:
            return bindings.crypto_aead_chacha20poly1305_ietf_decrypt(ciphertext, header, _nonce(number), self._key)
        except CryptoError as error:
            raise DecodeError("decrypt_failed") from error


class DirectCipher:
    """The packet cipher on libsodium's own functions, with one output buffer per cipher; see `Cipher`.

    The buffer belongs to the cipher and not to the module, since libsodium runs without the interpreter's lock.
    """

    __slots__ = ("_capacity", "_key", "_output", "_view")

    _encrypt: ClassVar = staticmethod(getattr(lib, "crypto_aead_chacha20poly1305_ietf_encrypt", absent))
    _decrypt: ClassVar = staticmethod(getattr(lib, "crypto_aead_chacha20poly1305_ietf_decrypt", absent))
    _nonce: ClassVar = staticmethod(_nonce)

    def __init__(self, key: bytes) -> None:
        _check_key(key)
        self._key = key
        self._reserve(_BUFFER_BYTES_INITIAL)

    def seal(self, number: int, plaintext: bytes, header: bytes) -> bytes:
        length = len(plaintext)
        size = length + OVERHEAD_BYTES
        if size > self._capacity:
            self._reserve(size)
        self._encrypt(
            self._output, _NULL, plaintext, length, header, len(header), _NULL, self._nonce(number), self._key
        )
        return self._view[:size]

    def open(self, number: int, ciphertext: bytes, header: bytes) -> bytes:
        length = len(ciphertext)
        if length > self._capacity:
            self._reserve(length)
        # libsodium checks the tag before it writes, and refuses what is shorter than a tag.
        if self._decrypt(
            self._output, _NULL, _NULL, ciphertext, length, header, len(header), self._nonce(number), self._key
        ):
            raise DecodeError("decrypt_failed")
        return self._view[: length - OVERHEAD_BYTES]

    def _reserve(self, size: int) -> None:
        self._capacity = size
        self._output = ffi.new("unsigned char[]", size)
        self._view: bytes = ffi.buffer(self._output)  # declared as what its slices are


def passes_self_test(cipher: type[Cipher], sealed: bytes) -> bool:
    """Whether that cipher gives the known answer, opens it again and refuses it with its last bit changed."""
    key, number, plaintext, header = bytes(range(KEY_BYTES)), 0x0102030405060708, b"positron", b"header"
    try:
        candidate = cipher(key)
        if candidate.seal(number, plaintext, header) != sealed or candidate.open(number, sealed, header) != plaintext:
            return False
        candidate.open(number, sealed[:-1] + bytes((sealed[-1] ^ 1,)), header)
    except TypeError:  # libsodium's function is absent or takes other arguments
        return False
    except DecodeError:
        return True
    return False


def _check_key(key: bytes) -> None:
    if len(key) != KEY_BYTES:
        raise UsageError(f"a packet key has {KEY_BYTES} bytes, not {len(key)}")


KNOWN_ANSWER: Final = bytes.fromhex("8026de8ddf4b8576b281024d1379a3f2ab489ea6b246449c")
"""What ChaCha20-Poly1305 makes of the self test."""

PacketCipher = DirectCipher
"""The fastest implementation that works here."""

if not ffi or not passes_self_test(DirectCipher, KNOWN_ANSWER):  # pragma: no cover - depends on the installed PyNaCl
    PacketCipher = WrappedCipher  # type: ignore[misc, assignment]  # the same interface, see `Cipher`
