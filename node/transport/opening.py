"""The handshake of one connection over UDP: which datagrams to send, when to send them again, when to give up.

Both ends send again what is not answered, with growing pauses; the responder only as long as it has not sent more than
it was sent, and whenever it is asked again. Verification itself is in `handshake`.
"""

from __future__ import annotations

from node.crypto.cookie import equal, init_key, mac, network_tag
from node.errors import DecodeError
from node.transport.handshake import Handshake
from node.types import ConnectionId, Duration, Instant
from node.wire.handshake import ANSWER_TAG_BYTES, InitClear, init_without_mac, pack_clear, pack_init, parse_retry
from node.wire.header import PacketType, pack_header
from node.wire.limits import (
    CONFIRM_RETRY_MAX,
    COOKIES_PER_DIAL_MAX,
    HALF_OPEN_TIMEOUT,
    HANDSHAKE_RETRY_INITIAL,
    HANDSHAKE_RETRY_MAX,
    HANDSHAKE_RETRY_MIN,
    HANDSHAKE_TIMEOUT,
    HEADER_BYTES,
    INIT_BYTES,
    REFUSED_PATIENCE,
)

__all__ = ["Opening"]


class Opening:
    """Until an initiator is confirmed, or a responder has its CONFIRM.

    datagram: what is sent (again): INIT, then CONFIRM; or RESPONSE. init: Noise message 1, which names the handshake.
    """

    __slots__ = (
        "_allowed", "_cookies", "_expires_at", "_init_at", "_init_key", "_init_mac", "_latest_at", "_retry_after",
        "_retry_at", "_should_send", "datagram", "handshake", "init",
    )  # fmt: skip

    def __init__(self, handshake: Handshake, init: bytes, expires_at: Instant) -> None:
        self.handshake = handshake
        self.datagram = b""
        self.init = init
        self._init_key = b""
        self._init_mac = b""
        self._cookies = 0
        self._expires_at = expires_at
        self._retry_after: Duration = HANDSHAKE_RETRY_INITIAL
        self._retry_at: Instant | None = None
        self._should_send = True
        # When the INIT left that a RESPONSE answers; None where several have.
        self._init_at: Instant | None = None
        # Bytes that a responder may still send to an address that has proved nothing; None at an initiator.
        self._allowed: int | None = None
        # As long as the initiator asks, a responder waits for it: so long at most.
        self._latest_at = expires_at

    @classmethod
    def initiate(cls, handshake: Handshake, local_id: ConnectionId, network_id: str, now: Instant) -> Opening:
        """Begins a handshake with an INIT."""
        clear = pack_clear(InitClear(local_id, network_tag(network_id)))
        opening = cls(handshake, handshake.write_init(clear), now + HANDSHAKE_TIMEOUT)
        opening._init_key = init_key(network_id)
        opening._write_init(b"", now)
        return opening

    @classmethod
    def respond(cls, handshake: Handshake, peer_cid: ConnectionId, init: bytes, now: Instant) -> Opening:
        """Answers an INIT that `handshake` has read."""
        opening = cls(handshake, init, now + HALF_OPEN_TIMEOUT)
        opening.datagram = pack_header(PacketType.RESPONSE, peer_cid, 0) + handshake.write_response()
        opening._allowed = INIT_BYTES
        opening._latest_at = now + HANDSHAKE_TIMEOUT
        opening._retry_at = now + opening._retry_after
        return opening

    def check_answer(self, datagram: bytes) -> None:
        """Nothing if whoever made that RETRY or REFUSE has seen our INIT; DecodeError(`unexpected`) if not."""
        text, tag = datagram[:-ANSWER_TAG_BYTES], datagram[-ANSWER_TAG_BYTES:]
        if not self._init_mac or not equal(tag, mac(self._init_mac, text)):
            raise DecodeError("unexpected", "answer to an INIT that was not sent")

    def on_retry(self, datagram: bytes, now: Instant) -> None:
        """Initiator: sends the INIT again with the cookie of a RETRY; DecodeError leaves everything as it was."""
        cookie = parse_retry(datagram)
        self.check_answer(datagram)
        if self._cookies >= COOKIES_PER_DIAL_MAX:
            raise DecodeError("rate_limited", f"{self._cookies} cookies at once")
        self._cookies += 1
        self._write_init(cookie, now)

    def on_response(self, datagram: bytes, now: Instant) -> None:
        """Initiator: reads the RESPONSE; HandshakeError leaves everything as it was."""
        self.handshake.read_response(datagram[HEADER_BYTES:])
        self._expires_at = now + HANDSHAKE_TIMEOUT
        self._retry_after = HANDSHAKE_RETRY_INITIAL
        if self._init_at is not None:
            # A probe timeout after a first sample (RFC 9002 §5.3, §6.2.1), but no later than without one.
            self._retry_after = min(max(HANDSHAKE_RETRY_MIN, 3 * (now - self._init_at)), HANDSHAKE_RETRY_INITIAL)
        self._retry_at = now + self._retry_after
        self._should_send = True

    def confirm(self, peer_cid: ConnectionId, confirm: bytes) -> None:
        """Initiator: what is sent from now on until the responder has it."""
        self.datagram = pack_header(PacketType.CONFIRM, peer_cid, 0) + confirm

    def _write_init(self, cookie: bytes, now: Instant) -> None:
        body = init_without_mac(self.init, cookie)
        self._init_mac = mac(self._init_key, body)
        self.datagram = pack_init(body, self._init_mac)
        self._init_at = now
        self._retry_at = now + self._retry_after
        self._should_send = True

    def repeat(self, now: Instant) -> None:
        """The other side has sent its last message again: so must we."""
        if self._allowed is not None:
            self._allowed += INIT_BYTES
            self._expires_at = min(now + HALF_OPEN_TIMEOUT, self._latest_at)
        self._should_send = True

    def shorten(self, now: Instant) -> None:
        """A refusal came: a genuine answer, if there is one, is given this much longer."""
        self._expires_at = min(self._expires_at, now + REFUSED_PATIENCE)

    def poll_transmit(self) -> bytes | None:
        """The datagram, when it is to be sent now."""
        if not self._should_send:
            return None
        self._should_send = False
        if self._allowed is not None:
            self._allowed -= len(self.datagram)
        return self.datagram

    def next_timeout(self) -> Instant:
        """When to send again or give up."""
        return self._expires_at if self._retry_at is None else min(self._retry_at, self._expires_at)

    def handle_timeout(self, now: Instant) -> bool:
        """Sends again what is due; False when the time is up."""
        if now >= self._expires_at:
            return False
        if self._retry_at is not None and now >= self._retry_at:
            self._should_send = self._allowed is None or self._allowed >= len(self.datagram)
            self._init_at = None
            # Whoever watches may have sent cookies that are none; those of the responder come with each INIT.
            self._cookies = 0
            # A responder waits for a CONFIRM half as long as an initiator for its answer.
            longest = CONFIRM_RETRY_MAX if self.handshake.is_complete else HANDSHAKE_RETRY_MAX
            self._retry_after = min(2 * self._retry_after, longest)
            self._retry_at = now + self._retry_after
        return True
