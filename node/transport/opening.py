"""The handshake of one connection over UDP: which datagrams to send, when to send them again, when to give up.

Only the initiator's timer sends anything again; the responder repeats its answer when it is asked again, so that it
never sends more than it was sent. Verification itself is in `handshake`.
"""

from __future__ import annotations

from node.crypto.cookie import init_key, mac, network_tag
from node.transport.handshake import Handshake
from node.types import ConnectionId, Duration, Instant
from node.wire.handshake import InitClear, init_without_mac, pack_clear, pack_init
from node.wire.header import PacketType, pack_header
from node.wire.limits import (
    HALF_OPEN_TIMEOUT,
    HANDSHAKE_RETRY_INITIAL,
    HANDSHAKE_RETRY_MAX,
    HANDSHAKE_TIMEOUT,
    HEADER_BYTES,
    REFUSED_PATIENCE,
)

__all__ = ["Opening"]


class Opening:
    """Until an initiator is confirmed, or a responder has its CONFIRM.

    datagram: what is sent (again): INIT, then CONFIRM; or RESPONSE. init_mac: MAC of the INIT, which a REFUSE repeats.
    """

    __slots__ = ("_expires_at", "_retry_after", "_retry_at", "_should_send", "datagram", "handshake", "init_mac")

    def __init__(self, handshake: Handshake, datagram: bytes, init_mac: bytes, expires_at: Instant) -> None:
        self.handshake = handshake
        self.datagram = datagram
        self.init_mac = init_mac
        self._expires_at = expires_at
        self._retry_after: Duration = HANDSHAKE_RETRY_INITIAL
        self._retry_at: Instant | None = None
        self._should_send = True

    @classmethod
    def initiate(cls, handshake: Handshake, local_id: ConnectionId, network_id: str, now: Instant) -> Opening:
        """Begins a handshake with an INIT."""
        clear = pack_clear(InitClear(local_id, network_tag(network_id)))
        body = init_without_mac(handshake.write_init(clear))
        tag = mac(init_key(network_id), body)
        opening = cls(handshake, pack_init(body, tag), tag, now + HANDSHAKE_TIMEOUT)
        opening._retry_at = now + opening._retry_after
        return opening

    @classmethod
    def respond(cls, handshake: Handshake, peer_cid: ConnectionId, init_mac: bytes, now: Instant) -> Opening:
        """Answers an INIT that `handshake` has read."""
        datagram = pack_header(PacketType.RESPONSE, peer_cid, 0) + handshake.write_response()
        return cls(handshake, datagram, init_mac, now + HALF_OPEN_TIMEOUT)

    def on_response(self, datagram: bytes, now: Instant) -> None:
        """Initiator: reads the RESPONSE; HandshakeError leaves everything as it was."""
        self.handshake.read_response(datagram[HEADER_BYTES:])
        self._expires_at = now + HANDSHAKE_TIMEOUT
        self._retry_after = HANDSHAKE_RETRY_INITIAL
        self._retry_at = now + self._retry_after
        self._should_send = True

    def confirm(self, peer_cid: ConnectionId, confirm: bytes) -> None:
        """Initiator: what is sent from now on until the responder has it."""
        self.datagram = pack_header(PacketType.CONFIRM, peer_cid, 0) + confirm

    def repeat(self) -> None:
        """The other side has sent its last message again: so must we."""
        self._should_send = True

    def shorten(self, now: Instant) -> None:
        """A refusal came: a genuine answer, if there is one, is given this much longer."""
        self._expires_at = min(self._expires_at, now + REFUSED_PATIENCE)

    def poll_transmit(self) -> bytes | None:
        """The datagram, when it is to be sent now."""
        if not self._should_send:
            return None
        self._should_send = False
        return self.datagram

    def next_timeout(self) -> Instant:
        """When to send again or give up."""
        return self._expires_at if self._retry_at is None else min(self._retry_at, self._expires_at)

    def handle_timeout(self, now: Instant) -> bool:
        """Sends again what is due; False when the time is up."""
        if now >= self._expires_at:
            return False
        if self._retry_at is not None and now >= self._retry_at:
            self._should_send = True
            self._retry_after = min(2 * self._retry_after, HANDSHAKE_RETRY_MAX)
            self._retry_at = now + self._retry_after
        return True
