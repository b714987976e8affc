"""Messages that peers announced and this node lacks: whom to ask for them, and whom next if no answer comes.

Knows nothing of the network. Bounded: the oldest wish goes when there are too many, and each is given up after every
announcer was asked ROUNDS_MAX times.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.types import Instant, NodeId
from node.wire.limits import ANNOUNCERS_MAX, WANT_TIMEOUT, WANTED_MESSAGES_MAX

__all__ = ["Wants"]

ROUNDS_MAX = 8


@dataclass(slots=True)
class _Want:
    announcers: list[NodeId]
    asked: int
    retry_at: Instant


class Wants:
    """Wanted message ids, in the order of their deadlines."""

    def __init__(self) -> None:
        self._wants: dict[bytes, _Want] = {}

    def __contains__(self, message_id: bytes) -> bool:
        return message_id in self._wants

    def __len__(self) -> int:
        return len(self._wants)

    def announced(self, message_id: bytes, peer: NodeId, now: Instant) -> bool:
        """Notes that a peer has that message; whether it should be asked for it now."""
        want = self._wants.get(message_id)
        if want is not None:
            if peer not in want.announcers and len(want.announcers) < ANNOUNCERS_MAX:
                want.announcers.append(peer)
            return False
        self._wants[message_id] = _Want([peer], 1, now + WANT_TIMEOUT)
        if len(self._wants) > WANTED_MESSAGES_MAX:
            del self._wants[next(iter(self._wants))]
        return True

    def arrived(self, message_id: bytes) -> bool:
        """Notes that the message is here; whether it was wanted."""
        return self._wants.pop(message_id, None) is not None

    def overdue(self, now: Instant) -> dict[NodeId, list[bytes]]:
        """Whom to ask now for what, because the last one asked did not answer in time."""
        requests: dict[NodeId, list[bytes]] = {}
        while self._wants:
            message_id, want = next(iter(self._wants.items()))
            if want.retry_at > now:
                break
            del self._wants[message_id]
            if want.asked >= ROUNDS_MAX * len(want.announcers):
                continue
            peer = want.announcers[want.asked % len(want.announcers)]
            want.asked += 1
            want.retry_at = now + WANT_TIMEOUT
            self._wants[message_id] = want
            requests.setdefault(peer, []).append(message_id)
        return requests

    def next_timeout(self) -> Instant | None:
        """When the first wish is overdue."""
        for want in self._wants.values():
            return want.retry_at
        return None
