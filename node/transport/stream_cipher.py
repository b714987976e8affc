"""One direction of a TCP link: seals or opens its records, numbered from 0, and replaces the key now and then.

Knows lengths and tags, nothing of records. Both ends count the same records, so a key is replaced at the same one
without a word (Noise specification revision 34, §11.3); the kernel keeps their order.
"""

from __future__ import annotations

from node.crypto.suites import CIPHERS, Suite, next_key
from node.wire.limits import KEY_UPDATE_PACKETS, PACKET_NUMBER_MAX

__all__ = ["RecordCipher"]


class RecordCipher:
    """Either `seal` or `open` is used, never both. records: how many there were so far."""

    __slots__ = ("_cipher", "_suite", "records")

    def __init__(self, suite: Suite, key: bytes) -> None:
        self._suite = suite
        self._cipher = CIPHERS[suite](key)
        self.records = 0

    @property
    def is_exhausted(self) -> bool:
        """Whether nothing more may be sealed."""
        return self.records >= PACKET_NUMBER_MAX

    def seal(self, plaintext: bytes, header: bytes) -> bytes:
        """The next record's ciphertext and tag; `header` is authenticated with it."""
        sealed = self._cipher.seal(self.records, plaintext, header)
        self._count()
        return sealed

    def open(self, body: bytes, header: bytes) -> bytes:
        """The next record's plaintext; DecodeError(`decrypt_failed`) unless the peer sealed it as its next."""
        plaintext = self._cipher.open(self.records, body, header)
        self._count()
        return plaintext

    def _count(self) -> None:
        self.records += 1
        if self.records % KEY_UPDATE_PACKETS == 0:
            self._cipher = CIPHERS[self._suite](next_key(self._cipher))
