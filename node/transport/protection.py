"""The keys of one established connection: seals the packets that it sends and opens those that it receives.

Knows the envelope, nothing of frames, states or timers. The connection guards that no packet is opened twice, and ends
itself when the numbers or the patience with forgeries are used up.
"""

from __future__ import annotations

from node.crypto.aead import PacketCipher
from node.errors import DecodeError
from node.types import ConnectionId
from node.wire.header import PacketType, pack_header
from node.wire.limits import HEADER_BYTES, PACKET_NUMBER_MAX

__all__ = ["Protection"]


class Protection:
    """Both directions of one connection.

    next_number: the packet number of the next packet; numbers are never used twice. aead_failures: packets that were
    not sealed by the peer. peer_cid: what the peer wants to see in the header.
    """

    __slots__ = ("_receive_cipher", "_send_cipher", "aead_failures", "next_number", "peer_cid")

    def __init__(self, send_key: bytes, receive_key: bytes, peer_cid: ConnectionId) -> None:
        self.next_number = 0
        self.aead_failures = 0
        self._send_cipher = PacketCipher(send_key)
        self._receive_cipher = PacketCipher(receive_key)
        self.peer_cid = peer_cid

    @property
    def is_exhausted(self) -> bool:
        """Whether these keys may seal nothing more."""
        return self.next_number >= PACKET_NUMBER_MAX

    def seal(self, frames: bytes) -> bytes:
        """The next packet, header and tag included."""
        header = pack_header(PacketType.DATA, self.peer_cid, self.next_number)
        data = header + self._send_cipher.seal(self.next_number, frames, header)
        self.next_number += 1
        return data

    def open(self, number: int, datagram: bytes) -> bytes:
        """The frames in a packet with that number; DecodeError(`decrypt_failed`) unless the peer sealed it."""
        try:
            return self._receive_cipher.open(number, datagram[HEADER_BYTES:], datagram[:HEADER_BYTES])
        except DecodeError:
            self.aead_failures += 1
            raise
