"""The keys of one established connection: seals the packets that it sends and opens those that it receives.

Knows the envelope, nothing of frames, states or timers. The connection guards that no packet is opened twice, and ends
itself when the numbers or the patience with forgeries are used up.

Keys are replaced while the connection goes on (after RFC 9001 §6). Either end begins to seal with the next key and
flips the key phase in its headers; the other follows as soon as it has opened such a packet. Each key comes from the
one before by a function that does not lead back, so that the two ends need say nothing. For packets that were overtaken
the old key stays for three probe timeouts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from node.crypto.aead import Cipher
from node.crypto.suites import CIPHERS, Suite, agreed_suite, next_key, suite_key, suites_mask
from node.errors import DecodeError
from node.transport.handshake import Agreement
from node.transport.rtt import RttEstimator
from node.transport.stats import ConnectionStats
from node.types import ConnectionId, Instant
from node.wire.header import KEY_PHASE_BIT, pack_data_header
from node.wire.limits import HEADER_BYTES, KEY_UPDATE_INTERVAL, KEY_UPDATE_PACKETS, PACKET_NUMBER_MAX

__all__ = ["Keys", "Protection", "agreed_keys"]

_FLAGS_OFFSET = 3
_OLD_KEY_PTOS = 3
"""Probe timeouts for which packets that were overtaken by a key update can still be opened (RFC 9001 §6.5)."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What a handshake has agreed on: the suite, and 32 bytes for each direction."""

    suite: Suite
    send: bytes
    receive: bytes

    def __repr__(self) -> str:
        return f"Keys({self.suite.name})"


def agreed_keys(agreement: Agreement, ours: Iterable[Suite], theirs: int) -> Keys:
    """The keys of the best suite that both ends have offered. theirs: as in the peer's parameters."""
    suite = agreed_suite(suites_mask(ours), theirs)
    send, receive = (suite_key(suite, key, agreement.transcript) for key in (agreement.send_key, agreement.receive_key))
    return Keys(suite, send, receive)


class Protection:
    """Both directions of one connection.

    next_number: the packet number of the next packet; numbers are never used twice. aead_failures: packets that were
    not sealed by the peer. peer_cid: what the peer wants to see in the header. suite: how packets are sealed.
    """

    __slots__ = (
        "_first_received", "_first_sent", "_next_receive_cipher", "_old_receive_cipher", "_old_until",
        "_receive_cipher", "_receive_phase", "_rtt", "_send_cipher", "_send_phase", "_stats", "_update_at",
        "aead_failures", "next_number", "peer_cid", "suite",
    )  # fmt: skip

    def __init__(
        self, keys: Keys, peer_cid: ConnectionId, rtt: RttEstimator, stats: ConnectionStats, now: Instant
    ) -> None:
        """rtt: of the connection, for the life of old keys. stats: where key updates are counted."""
        cipher = CIPHERS[keys.suite]
        self.suite = keys.suite
        self.next_number = 0
        self.aead_failures = 0
        self.peer_cid = peer_cid
        self._rtt = rtt
        self._stats = stats
        self._send_cipher = cipher(keys.send)
        self._send_phase = 0
        self._first_sent = 0
        self._update_at = now + KEY_UPDATE_INTERVAL
        self._receive_cipher = cipher(keys.receive)
        self._receive_phase = 0
        self._first_received = 0
        self._next_receive_cipher: Cipher | None = None
        self._old_receive_cipher: Cipher | None = None
        self._old_until: Instant = 0

    @property
    def is_exhausted(self) -> bool:
        """Whether these keys may seal nothing more."""
        return self.next_number >= PACKET_NUMBER_MAX

    def seal(self, frames: bytes) -> bytes:
        """The next packet, header and tag included."""
        header = pack_data_header(self.peer_cid, self.next_number, self._send_phase)
        data = header + self._send_cipher.seal(self.next_number, frames, header)
        self.next_number += 1
        return data

    def open(self, number: int, datagram: bytes, now: Instant) -> bytes:
        """The frames in a packet with that number; DecodeError(`decrypt_failed`) unless the peer sealed it."""
        try:
            if datagram[_FLAGS_OFFSET] & KEY_PHASE_BIT == self._receive_phase:
                return self._receive_cipher.open(number, datagram[HEADER_BYTES:], datagram[:HEADER_BYTES])
            return self._open_other_phase(number, datagram, now)
        except DecodeError:
            self.aead_failures += 1
            raise

    def update_if_due(self, largest_acked: int, now: Instant) -> None:
        """Begins with another key when this one was used for long enough (RFC 9001 §6.1).

        largest_acked: the largest packet number that the peer has acknowledged; it must have seen one sealed with this
        key, or it could not tell the next phase from the one before.
        """
        if self._old_receive_cipher is not None and now >= self._old_until:
            self._old_receive_cipher = None
        is_due = self.next_number - self._first_sent >= KEY_UPDATE_PACKETS or now >= self._update_at
        if is_due and largest_acked >= self._first_sent and self._send_phase == self._receive_phase:
            self._update_sending(now)

    def _update_sending(self, now: Instant) -> None:
        self._send_cipher = self._following(self._send_cipher)
        self._send_phase ^= KEY_PHASE_BIT
        self._first_sent = self.next_number
        self._update_at = now + KEY_UPDATE_INTERVAL
        self._stats.key_updates += 1

    def _open_other_phase(self, number: int, datagram: bytes, now: Instant) -> bytes:
        ciphertext, header = datagram[HEADER_BYTES:], datagram[:HEADER_BYTES]
        if number < self._first_received:
            # It was overtaken by the update; every packet of the next phase has a larger number.
            if self._old_receive_cipher is None or now >= self._old_until:
                raise DecodeError("decrypt_failed", "sealed with a key that is gone")
            return self._old_receive_cipher.open(number, ciphertext, header)
        if self._next_receive_cipher is None:
            # Kept, so that a forged phase costs one derivation per key and not one per packet.
            self._next_receive_cipher = self._following(self._receive_cipher)
        payload = self._next_receive_cipher.open(number, ciphertext, header)
        self._old_receive_cipher, self._old_until = self._receive_cipher, now + _OLD_KEY_PTOS * self._rtt.computed_rto()
        self._receive_cipher, self._next_receive_cipher = self._next_receive_cipher, None
        self._receive_phase ^= KEY_PHASE_BIT
        self._first_received = number
        if self._send_phase != self._receive_phase:
            self._update_sending(now)
        return payload

    def _following(self, cipher: Cipher) -> Cipher:
        return CIPHERS[self.suite](next_key(cipher))
