"""Noise_XX_25519_ChaChaPoly_SHA256 (Noise protocol framework, revision 34): three messages, then two keys.

Knows nothing of identities, networks or packets: prologue and payloads come from `node.transport.handshake`, which
also gives the resulting keys to the packet cipher. Only this one pattern exists, so nothing can be negotiated down.

    -> e
    <- e, ee, s, es
    -> s, se
"""

from __future__ import annotations

import hmac
from copy import copy
from hashlib import sha256
from typing import Final

from nacl import bindings
from nacl.exceptions import CryptoError

from node.crypto.aead import OVERHEAD_BYTES, PacketCipher
from node.errors import DecodeError, HandshakeError, UsageError
from node.types import Entropy

__all__ = ["DH_BYTES", "HASH_BYTES", "MESSAGE_BYTES_MAX", "PROTOCOL_NAME", "HandshakeState", "StaticKey", "public_key"]

PROTOCOL_NAME = b"Noise_XX_25519_ChaChaPoly_SHA256"
DH_BYTES = 32
HASH_BYTES = 32
MESSAGE_BYTES_MAX = 65535
"""Longest Noise message (§3)."""

_MESSAGES: Final = (("e",), ("e", "ee", "s", "es"), ("s", "se"))
"""Tokens of the pattern's messages; the initiator writes the first and the third."""

_FIELD_PRIME: Final = 2**255 - 19
_LOW_ORDER: Final = frozenset(
    point.to_bytes(DH_BYTES, "little")
    for point in (
        0,
        1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
        _FIELD_PRIME - 1,
        _FIELD_PRIME,
        _FIELD_PRIME + 1,
    )
)
"""Points with which every agreement gives zero (RFC 7748 §6.1), high bit cleared, the two unreduced ones included."""


def public_key(private: bytes) -> bytes:
    """The X25519 public key of 32 private bytes (RFC 7748 §6.1)."""
    if len(private) != DH_BYTES:
        raise UsageError(f"an X25519 private key has {DH_BYTES} bytes, not {len(private)}")
    return bindings.crypto_scalarmult_base(private)


class StaticKey:
    """The X25519 key pair of one process: made at start from 32 bytes of entropy, never stored (RFC 7748)."""

    __slots__ = ("private", "public")

    def __init__(self, private: bytes) -> None:
        self.public = public_key(private)
        self.private = private

    def __repr__(self) -> str:
        return f"StaticKey({self.public.hex()})"


class HandshakeState:
    """One side of one handshake (§5.3): call `write_message` and `read_message` in turn, then `split`.

    `read_message` is atomic: whatever arrives, either the message verified and the state moved on, or HandshakeError
    was raised and the state is as before, so that a forged message cannot end a handshake.

    handshake_hash: 32 bytes, the same on both sides only if both saw the same handshake so far.
    remote_static: the peer's X25519 public key, once its message was read.
    """

    __slots__ = (
        "_chaining_key",
        "_cipher",
        "_cipher_number",
        "_entropy",
        "_ephemeral",
        "_is_initiator",
        "_messages_done",
        "_remote_ephemeral",
        "_static",
        "handshake_hash",
        "remote_static",
    )

    # Every attribute is replaced and never modified in place, so that a shallow copy is a snapshot.

    def __init__(self, *, is_initiator: bool, prologue: bytes, static: StaticKey, entropy: Entropy) -> None:
        self._is_initiator = is_initiator
        self._entropy = entropy
        self._static = static
        self._ephemeral = b""
        self._remote_ephemeral = b""
        self.remote_static: bytes | None = None
        self._messages_done = 0
        self._cipher: PacketCipher | None = None
        self._cipher_number = 0
        self._chaining_key = PROTOCOL_NAME  # exactly HASH_BYTES long, so it stands for itself (§5.2)
        self.handshake_hash = PROTOCOL_NAME
        self._mix_hash(prologue)

    @property
    def is_complete(self) -> bool:
        """Whether all three messages are done and `split` may be called."""
        return self._messages_done == len(_MESSAGES)

    def write_message(self, payload: bytes) -> bytes:
        """The next message, with `payload` inside: in clear in the first message, encrypted in the others.

        UsageError: it is not our turn, or the message would be longer than 65,535 bytes.
        """
        tokens = self._next_tokens(is_writing=True)
        state = copy(self)
        message = b"".join([state._write_token(token) for token in tokens])
        message += state._encrypt_and_hash(payload)
        if len(message) > MESSAGE_BYTES_MAX:
            raise UsageError(f"a handshake message of {len(message)} bytes: allowed are {MESSAGE_BYTES_MAX}")
        state._messages_done += 1
        self._adopt(state)
        return message

    def read_message(self, message: bytes) -> bytes:
        """The payload of the peer's next message.

        HandshakeError: `malformed` (length, or a point of low order) or `decrypt_failed`; the state is as before.
        UsageError: it is not the peer's turn.
        """
        tokens = self._next_tokens(is_writing=False)
        if len(message) > MESSAGE_BYTES_MAX:
            raise HandshakeError("malformed", f"{len(message)} bytes")
        state = copy(self)
        rest = message
        for token in tokens:
            rest = state._read_token(token, rest)
        payload = state._decrypt_and_hash(rest)
        state._messages_done += 1
        self._adopt(state)
        return payload

    def split(self) -> tuple[bytes, bytes]:
        """Our sending key and our receiving key, 32 bytes each (§5.2 Split)."""
        if not self.is_complete:
            raise UsageError("the handshake is not complete")
        first, second = _derive(self._chaining_key, b"")
        return (first, second) if self._is_initiator else (second, first)

    def __repr__(self) -> str:
        side = "initiator" if self._is_initiator else "responder"
        return f"HandshakeState({side}, {self._messages_done} of {len(_MESSAGES)} messages)"

    def _next_tokens(self, *, is_writing: bool) -> tuple[str, ...]:
        is_ours = (self._messages_done % 2 == 0) == self._is_initiator
        if self.is_complete or is_writing != is_ours:
            raise UsageError(f"cannot {'write' if is_writing else 'read'} a handshake message now: {self!r}")
        return _MESSAGES[self._messages_done]

    def __copy__(self) -> HandshakeState:
        # Four copies are made per handshake, and the general way of the copy module takes several times as long.
        state = HandshakeState.__new__(HandshakeState)
        state._adopt(self)
        return state

    def _adopt(self, state: HandshakeState) -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(state, name))

    def _write_token(self, token: str) -> bytes:
        match token:
            case "e":
                self._ephemeral = self._entropy(DH_BYTES)
                ephemeral_public = public_key(self._ephemeral)
                self._mix_hash(ephemeral_public)
                return ephemeral_public
            case "s":
                return self._encrypt_and_hash(self._static.public)
            case _:
                self._mix_agreement(token)
                return b""

    def _read_token(self, token: str, message: bytes) -> bytes:
        """Consumes what `token` says from the front of `message`; returns the rest."""
        match token:
            case "e":
                self._remote_ephemeral, rest = _cut(message, DH_BYTES)
                _refuse_low_order(self._remote_ephemeral)
                self._mix_hash(self._remote_ephemeral)
            case "s":
                sealed, rest = _cut(message, DH_BYTES + OVERHEAD_BYTES)
                self.remote_static = self._decrypt_and_hash(sealed)
                _refuse_low_order(self.remote_static)
            case _:
                self._mix_agreement(token)
                rest = message
        return rest

    def _mix_agreement(self, token: str) -> None:
        """Mixes in ee, es or se: the first letter names the initiator's key, the second the responder's (§5.3)."""
        ours, theirs = (0, 1) if self._is_initiator else (1, 0)
        private = self._ephemeral if token[ours] == "e" else self._static.private
        public = self._remote_ephemeral if token[theirs] == "e" else self.remote_static
        assert public is not None
        try:
            secret = bindings.crypto_scalarmult(private, public)
        except CryptoError as error:
            raise HandshakeError("malformed", "no key agreement with this point") from error
        self._chaining_key, key = _derive(self._chaining_key, secret)
        self._cipher = PacketCipher(key)
        self._cipher_number = 0

    def _mix_hash(self, data: bytes) -> None:
        self.handshake_hash = sha256(self.handshake_hash + data).digest()

    def _encrypt_and_hash(self, plaintext: bytes) -> bytes:
        ciphertext = plaintext
        if self._cipher is not None:
            ciphertext = self._cipher.seal(self._cipher_number, plaintext, self.handshake_hash)
            self._cipher_number += 1
        self._mix_hash(ciphertext)
        return ciphertext

    def _decrypt_and_hash(self, ciphertext: bytes) -> bytes:
        plaintext = ciphertext
        if self._cipher is not None:
            try:
                plaintext = self._cipher.open(self._cipher_number, ciphertext, self.handshake_hash)
            except DecodeError as error:
                raise HandshakeError("decrypt_failed") from error
            self._cipher_number += 1
        self._mix_hash(ciphertext)
        return plaintext


def _derive(chaining_key: bytes, material: bytes) -> tuple[bytes, bytes]:
    """HKDF with two outputs (§4.3; RFC 5869 with an empty info)."""
    secret = hmac.digest(chaining_key, material, "sha256")
    first = hmac.digest(secret, b"\x01", "sha256")
    return first, hmac.digest(secret, first + b"\x02", "sha256")


def _cut(message: bytes, size: int) -> tuple[bytes, bytes]:
    if len(message) < size:
        raise HandshakeError("malformed", "truncated")
    return message[:size], message[size:]


def _refuse_low_order(point: bytes) -> None:
    # Refused when read and not when used: the responder would otherwise meet the error while writing its answer.
    if point[:-1] + bytes((point[-1] & 0x7F,)) in _LOW_ORDER:
        raise HandshakeError("malformed", "point of low order")
