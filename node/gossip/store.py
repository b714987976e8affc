"""What gossip remembers of messages: the ids it has seen, and recent messages for peers that missed them.

Knows nothing of peers' needs and of time beyond the instants it is given. Both tables are bounded; the oldest entries
go first.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from node.types import Instant, NodeId
from node.wire.limits import RETAINED_BYTES_MAX, RETAINED_MESSAGES_MAX, RETENTION, SEEN_MESSAGES_MAX

__all__ = ["Retained", "SeenIds", "Store"]


class SeenIds:
    """The last SEEN_MESSAGES_MAX message ids."""

    def __init__(self) -> None:
        self._ids: dict[bytes, None] = {}

    def __contains__(self, message_id: bytes) -> bool:
        return message_id in self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, message_id: bytes) -> None:
        """Remembers an id, and forgets the oldest one if there are too many."""
        self._ids[message_id] = None
        if len(self._ids) > SEEN_MESSAGES_MAX:
            del self._ids[next(iter(self._ids))]


@dataclass(slots=True)
class Retained:
    """A message kept for peers that ask for it. hops: links it had travelled. served: times sent, by peer."""

    body: bytes
    signature: bytes
    hops: int
    arrived_at: Instant
    served: dict[NodeId, int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes that it keeps in memory, bookkeeping apart."""
        return len(self.body) + len(self.signature)


class Store:
    """Messages of the last RETENTION, at most RETAINED_MESSAGES_MAX of them with RETAINED_BYTES_MAX bytes."""

    def __init__(self) -> None:
        self._messages: dict[bytes, Retained] = {}
        self.size = 0

    def __len__(self) -> int:
        return len(self._messages)

    def get(self, message_id: bytes) -> Retained | None:
        """The message, if it is still kept."""
        return self._messages.get(message_id)

    def ids(self) -> list[bytes]:
        """The ids of all kept messages, oldest first."""
        return list(self._messages)

    def add(self, message_id: bytes, message: Retained) -> None:
        """Keeps a message, and lets the oldest go while there is too much."""
        self._messages[message_id] = message
        self.size += message.size
        while len(self._messages) > RETAINED_MESSAGES_MAX or self.size > RETAINED_BYTES_MAX:
            self._drop_oldest()

    def expire(self, now: Instant) -> None:
        """Lets go of what is older than RETENTION."""
        while self._messages:
            oldest = next(iter(self._messages.values()))
            if now - oldest.arrived_at <= RETENTION:
                return
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        message_id = next(iter(self._messages))
        self.size -= self._messages.pop(message_id).size
