"""What gossip remembers of messages: the ids it has seen, and recent messages for peers that missed them.

Knows nothing of peers' needs and of time beyond the instants it is given. Both tables are bounded; the oldest entries
go first. Messages are found by id, and by author for whoever compares what two nodes have.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.messages.envelope import Envelope
from node.types import Duration, Instant, NodeId
from node.wire.limits import RETAINED_MESSAGES_MAX, RETAINED_OVERHEAD_BYTES, SEEN_MESSAGES_MAX, SEQUENCE_WINDOW

__all__ = ["Retained", "SeenIds", "Store"]


class SeenIds:
    """The last SEEN_MESSAGES_MAX message ids, and whether the message was accepted."""

    def __init__(self) -> None:
        self._ids: dict[bytes, bool] = {}

    def __contains__(self, message_id: bytes) -> bool:
        return message_id in self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def is_accepted(self, message_id: bytes) -> bool:
        """Whether that message was accepted; one that was refused is known, and no more."""
        return self._ids.get(message_id, False)

    def add(self, message_id: bytes, *, is_accepted: bool = True) -> None:
        """Remembers an id, and forgets the oldest one if there are too many."""
        self._ids[message_id] = is_accepted
        if len(self._ids) > SEEN_MESSAGES_MAX:
            del self._ids[next(iter(self._ids))]


@dataclass(slots=True)
class Retained:
    """A message kept for peers that ask for it.

    hops: links it had travelled. served: times it was sent to a peer that asked, None before the first.
    """

    body: bytes
    signature: bytes
    origin: NodeId
    epoch: int
    sequence: int
    hops: int
    arrived_at: Instant
    served: dict[NodeId, int] | None = None

    @classmethod
    def of(cls, envelope: Envelope, hops: int, now: Instant) -> Retained:
        """That envelope, which arrived now."""
        return cls(
            envelope.body,
            envelope.signature,
            envelope.origin,
            envelope.epoch,
            envelope.sequence,
            hops,
            now,
        )

    @property
    def size(self) -> int:
        """Bytes that it keeps in memory, bookkeeping included."""
        return len(self.body) + RETAINED_OVERHEAD_BYTES


class Store:
    """Messages of the last `retention`, at most RETAINED_MESSAGES_MAX of them with `bytes_max` bytes."""

    def __init__(self, retention: Duration, bytes_max: int) -> None:
        self._retention = retention
        self.bytes_max = bytes_max
        self._messages: dict[bytes, Retained] = {}
        self._by_origin: dict[NodeId, dict[tuple[int, int], bytes]] = {}
        self._newest: dict[NodeId, dict[int, int]] = {}
        self._counts: dict[NodeId, dict[int, int]] = {}
        self._sorted: list[NodeId] | None = None
        self.size = 0

    def __len__(self) -> int:
        return len(self._messages)

    def get(self, message_id: bytes) -> Retained | None:
        """The message, if it is still kept."""
        return self._messages.get(message_id)

    def origins(self) -> list[NodeId]:
        """The authors of kept messages, in the order of their keys; not to be changed."""
        if self._sorted is None:
            self._sorted = sorted(self._by_origin)
        return self._sorted

    def newest(self, origin: NodeId) -> dict[int, int]:
        """The highest sequence number of an author's kept messages by epoch."""
        return self._newest.get(origin, {})

    def of(self, origin: NodeId) -> dict[tuple[int, int], bytes]:
        """The ids of an author's kept messages by epoch and sequence, in the order of arrival."""
        return self._by_origin.get(origin, {})

    def add(self, message_id: bytes, message: Retained) -> None:
        """Keeps a message, unless one of its number is kept, and lets the oldest go while there is too much."""
        if (message.epoch, message.sequence) in self.of(message.origin):
            return
        self._messages[message_id] = message
        siblings = self._by_origin.get(message.origin)
        if siblings is None:
            siblings = self._by_origin[message.origin] = {}
            self._newest[message.origin], self._counts[message.origin] = {}, {}
            self._sorted = None
        siblings[(message.epoch, message.sequence)] = message_id
        newest = self._newest[message.origin]
        newest[message.epoch] = max(message.sequence, newest.get(message.epoch, 0))
        counts = self._counts[message.origin]
        counts[message.epoch] = counts.get(message.epoch, 0) + 1
        self.size += message.size
        while len(self._messages) > RETAINED_MESSAGES_MAX or self.size > self.bytes_max:
            self._drop_oldest()

    def expire(self, now: Instant) -> None:
        """Lets go of what is older than the retention."""
        while self._messages:
            oldest = next(iter(self._messages.values()))
            if now - oldest.arrived_at <= self._retention:
                return
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        message = self._messages.pop(next(iter(self._messages)))
        self.size -= message.size
        origin, epoch = message.origin, message.epoch
        siblings, newest, counts = self._by_origin[origin], self._newest[origin], self._counts[origin]
        del siblings[(epoch, message.sequence)]
        counts[epoch] -= 1
        if not siblings:
            del self._by_origin[origin], self._newest[origin], self._counts[origin]
            self._sorted = None
        elif not counts[epoch]:
            del newest[epoch], counts[epoch]
        elif newest[epoch] == message.sequence:
            newest[epoch] = _next_below(message.sequence, epoch, siblings)


def _next_below(sequence: int, epoch: int, kept: dict[tuple[int, int], bytes]) -> int:
    """The highest number below that one that is kept of that epoch."""
    # What is left came later and was in the author's window then, so it is not far below. A look at everything that is
    # kept of an author would let it make each message cost as much as 30,000; it is for what a crowd of other authors
    # had the window of this one forgotten between.
    for below in range(sequence - 1, max(0, sequence - SEQUENCE_WINDOW), -1):
        if (epoch, below) in kept:
            return below
    return max(number for of_epoch, number in kept if of_epoch == epoch)
