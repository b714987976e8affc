"""Byte-based flow control of reliable messages: credit given to the peer, credit got from it (RFC 9000 §4).

Credit counts the bytes of reliable messages since the connection began, each byte once however often it is sent: those
of the whole connection, and those of each channel of ordered messages (see `channels`). A message that was withdrawn
gives its credit back through its WITHDRAW frame.
"""

from __future__ import annotations

from node.errors import Code, ProtocolViolation
from node.types import Duration, Instant
from node.wire.limits import REASSEMBLY_BYTES_MAX, RECEIVE_WINDOW_MAX

__all__ = ["ReceiveCredit", "SendCredit"]


class SendCredit:
    """How many bytes of reliable messages may still be sent for the first time."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int = 0) -> None:
        self.limit = limit
        self.used = 0

    @property
    def available(self) -> int:
        """Bytes that may be sent now."""
        return self.limit - self.used

    def raise_limit(self, limit: int) -> bool:
        """Takes what the peer allows, and returns whether all had been used up; an older limit changes nothing."""
        if limit <= self.limit:
            return False
        was_used_up = self.used == self.limit
        self.limit = limit
        return was_used_up


class ReceiveCredit:
    """What the peer may send, and whether it kept to it.

    window: bytes that may be under way beside what waits: messages that have begun to arrive, in their announced size,
    and ordered ones that came early. Without it, a message larger than the window could never be completed, and a
    channel that waits would hold up all others; its memory is bounded by REASSEMBLY_BYTES_MAX.
    It doubles, up to window_max, when half of it is used up within two round trips: then it is what limits the peer,
    rather than the path. Only bytes that arrived count, so announcing much gains nothing.
    """

    __slots__ = (
        "_counted",
        "_counted_at",
        "_owner",
        "_received",
        "_released",
        "_was_used_up",
        "_window_max",
        "limit",
        "window",
    )

    def __init__(self, window: int, window_max: int = RECEIVE_WINDOW_MAX, owner: str = "the connection") -> None:
        """owner: whose credit it is, for the error."""
        self._owner = owner
        self._window_max = window_max
        self.window = window
        self.limit = window
        self._received = 0
        self._released = 0
        self._counted = 0
        self._counted_at: Instant | None = None
        self._was_used_up = False

    def on_received(self, size: int) -> None:
        """New bytes arrived; ProtocolViolation when they exceed the credit."""
        self._received += size
        if self._received > self.limit:
            reason = f"{self._received} bytes received of {self._owner}, {self.limit} allowed"
            raise ProtocolViolation(Code.FLOW_CONTROL, reason)

    def on_released(self, size: int) -> None:
        """A message of that size was delivered or withdrawn: its memory is free."""
        self._released += size

    def next_limit(self, waiting: int, now: Instant, smoothed_rtt: Duration | None) -> int | None:
        """The limit to announce, or None where it would be less than a quarter of a window more.

        waiting: bytes that are allowed beside the window. Of a connection: those of messages that are not complete, as
        announced, and of those that cannot be delivered yet; of a channel: those of the message that it waits for.
        """
        if self._received - self._counted >= self.window // 2:
            self._grow(now, smoothed_rtt)
        limit = self._released + self.window
        if waiting:
            limit += min(waiting, REASSEMBLY_BYTES_MAX)
        # The rest of a large message is given at once; otherwise a quarter of a window saves most announcements.
        if limit - self.limit < self.window // 4:
            return None
        self._was_used_up = self._was_used_up or self._is_used_up()
        self.limit = limit
        return limit

    def _is_used_up(self) -> bool:
        return self.limit - self._received < self.window // 8

    def _grow(self, now: Instant, smoothed_rtt: Duration | None) -> None:
        """Half a window has arrived: doubles it if that was fast enough."""
        counted_at = self._counted_at
        self._counted = self._received
        self._counted_at = now
        # A path that loses takes long for a window, since messages wait for lost parts; but it uses up what it has.
        round_trips = 8 if self._was_used_up or self._is_used_up() else 2
        self._was_used_up = False
        if counted_at is not None and smoothed_rtt is not None and now - counted_at < round_trips * smoothed_rtt:
            self.window += min(self.window, max(0, self._window_max - self.window))
