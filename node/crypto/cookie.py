"""Keyed and plain BLAKE2s hashes around the handshake (RFC 7693): packet authenticators, retry tokens, network tags.

Knows nothing of packets or addresses: the endpoint says what is hashed. Not part of the Noise handshake; these hashes
only let a node refuse junk and forged addresses before it spends a key agreement on them.
"""

from __future__ import annotations

from hashlib import blake2s
from hmac import compare_digest

__all__ = ["KEY_BYTES", "MAC_BYTES", "NETWORK_TAG_BYTES", "equal", "init_key", "mac", "network_tag"]

KEY_BYTES = 32
MAC_BYTES = 16
NETWORK_TAG_BYTES = 8

# BLAKE2's personalisation keeps the three uses apart (RFC 7693 §2.5 leaves 8 bytes for it).
_PERSON_MAC = b"pos-mac"
_PERSON_TAG = b"pos-tag"
_PERSON_INIT = b"pos-init"


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


def equal(left: bytes, right: bytes) -> bool:
    """Whether both are the same bytes, in a time that does not tell where they differ."""
    return compare_digest(left, right)
