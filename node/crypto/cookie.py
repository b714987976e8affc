"""Keyed and plain BLAKE2 hashes around the handshake (RFC 7693): packet authenticators, cookies, network tags.

Knows nothing of packets or addresses: the endpoint says what is hashed. Not part of the Noise handshake; these hashes
only let a node refuse junk and forged addresses before it spends a key agreement on them.
"""

from __future__ import annotations

from hashlib import blake2b, blake2s
from hmac import compare_digest

from node.types import Duration, Instant

__all__ = [
    "COOKIE_BYTES",
    "KEY_BYTES",
    "MAC_BYTES",
    "NETWORK_TAG_BYTES",
    "CookieJar",
    "equal",
    "init_key",
    "mac",
    "network_tag",
    "reset_token",
]

KEY_BYTES = 32
MAC_BYTES = 16
NETWORK_TAG_BYTES = 8
COOKIE_BYTES = 16

# BLAKE2's personalisation keeps the uses apart (8 bytes in BLAKE2s, 16 in BLAKE2b).
_PERSON_MAC = b"pos-mac"
_PERSON_TAG = b"pos-tag"
_PERSON_INIT = b"pos-init"
_PERSON_COOKIE = b"positron cookie"
_PERSON_SECRET = b"positron jar"
_PERSON_RESET = b"positron reset"


def mac(key: bytes, data: bytes) -> bytes:
    """16-byte keyed hash of `data`.

    key: 1 to 32 bytes; 32 from `init_key` or from entropy.
    """
    return blake2s(data, digest_size=MAC_BYTES, key=key, person=_PERSON_MAC).digest()


def network_tag(network_id: str) -> bytes:
    """8 bytes that stand for the network's name in clear: tell networks apart, hide and prove nothing."""
    return blake2s(network_id.encode(), digest_size=NETWORK_TAG_BYTES, person=_PERSON_TAG).digest()


def init_key(network_id: str) -> bytes:
    """The 32-byte key of the authenticator in INIT packets: anybody who knows the network's name can compute it."""
    return blake2s(network_id.encode(), digest_size=KEY_BYTES, person=_PERSON_INIT).digest()


def reset_token(key: bytes, purpose: bytes) -> bytes:
    """16 bytes that only the owner of `key` can make for that purpose, again and again.

    key: 32 bytes that survive a restart.
    """
    return blake2b(purpose, digest_size=COOKIE_BYTES, key=key, person=_PERSON_RESET).digest()


def equal(left: bytes, right: bytes) -> bool:
    """Whether both are the same bytes, in a time that does not tell where they differ."""
    return compare_digest(left, right)


class CookieJar:
    """Bakes and checks cookies without remembering any: who returns one has received it at that address.

    A cookie is a keyed hash (BLAKE2b) of what it is good for. The secret changes every `lifetime`; cookies of the
    secret before are still good, so that each lives for one to two lifetimes.
    master: 32 bytes of entropy, from which every secret is derived.
    """

    __slots__ = ("_lifetime", "_master", "_secrets", "_slot")

    def __init__(self, master: bytes, lifetime: Duration) -> None:
        self._master = master
        self._lifetime = lifetime
        self._slot = -1
        self._secrets = (b"", b"")

    def bake(self, purpose: bytes, now: Instant) -> bytes:
        """The cookie of `purpose`; COOKIE_BYTES long."""
        return _cookie(self._current(now)[0], purpose)

    def is_good(self, cookie: bytes, purpose: bytes, now: Instant) -> bool:
        """Whether this jar baked that cookie for that purpose, lately."""
        return any(compare_digest(cookie, _cookie(secret, purpose)) for secret in self._current(now))

    def _current(self, now: Instant) -> tuple[bytes, bytes]:
        """The secret of this lifetime and the one before."""
        slot = now // self._lifetime
        if slot != self._slot:
            self._slot = slot
            self._secrets = self._secret(slot), self._secret(slot - 1)
        return self._secrets

    def _secret(self, slot: int) -> bytes:
        number = slot.to_bytes(16, "big", signed=True)
        return blake2b(number, digest_size=KEY_BYTES, key=self._master, person=_PERSON_SECRET).digest()


def _cookie(secret: bytes, purpose: bytes) -> bytes:
    return blake2b(purpose, digest_size=COOKIE_BYTES, key=secret, person=_PERSON_COOKIE).digest()
