"""Messages that peers announced and this node lacks: when to ask whom for them, and whom next if no answer comes.

One request per message is under way at any time: requests that race the copies of the mesh are what duplicates are
made of. Whoever was asked and sends something large is waited for while that grows. Knows nothing of the network.
Bounded: the oldest wish goes when there are too many, and each is given up after every announcer was asked ROUNDS_MAX
times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from node.types import SECOND, Duration, Instant, NodeId
from node.wire.limits import ANNOUNCERS_MAX, WANTED_MESSAGES_MAX

__all__ = ["Pulls"]

ROUNDS_MAX = 8

PROGRESS_MIN = 16_384
"""Bytes per second that show that what was asked for is coming: the largest message takes 16 s at that rate."""

DELAYS_MAX = 2
"""Times in a row that whoever was asked is waited for once more: a trickle must not keep a message away for long."""


@dataclass(slots=True)
class _Want:
    """is_missed: a sync told of it, so that it may be from before this node's time.

    arriving: bytes that were here in part of what the asked one sends, when that was looked at last. delays: times in a
    row that it was waited for once more.
    """

    announcers: list[NodeId]
    is_missed: bool
    asked: int
    ask_at: Instant
    patience: Duration
    arriving: int = 0
    delays: int = 0


class Pulls:
    """Wanted message ids. arriving: bytes that are here of messages from a peer of which parts are missing."""

    def __init__(self) -> None:
        self.arriving: Callable[[NodeId, Instant], int] = lambda peer, now: 0
        self._wants: dict[bytes, _Want] = {}
        self._deadlines: list[tuple[Instant, bytes]] = []

    def __contains__(self, message_id: bytes) -> bool:
        return message_id in self._wants

    def __len__(self) -> int:
        return len(self._wants)

    def announced(
        self, message_id: bytes, peer: NodeId, ask_at: Instant, patience: Duration, *, is_missed: bool = False
    ) -> None:
        """Notes that a peer has that message, and asks it at that time unless the message comes before.

        patience: time that a peer has to send it before the next announcer is asked.
        """
        want = self._wants.get(message_id)
        if want is None:
            want = self._wants[message_id] = _Want([peer], is_missed, 0, ask_at, patience)
            self._schedule(message_id, want)
            if len(self._wants) > WANTED_MESSAGES_MAX:
                del self._wants[next(iter(self._wants))]
            return
        if peer not in want.announcers and len(want.announcers) < ANNOUNCERS_MAX:
            want.announcers.append(peer)
        if not want.asked and ask_at < want.ask_at:
            want.ask_at = ask_at
            self._schedule(message_id, want)

    def announcers(self, message_id: bytes) -> Sequence[NodeId]:
        """Who has that message, as far as they told while it is awaited; at most ANNOUNCERS_MAX."""
        want = self._wants.get(message_id)
        return () if want is None else tuple(want.announcers)

    def arrived(self, message_id: bytes) -> bool | None:
        """Notes that the message is here. None if it was not asked for, else whether a sync had told of it."""
        want = self._wants.pop(message_id, None)
        return want.is_missed if want is not None and want.asked else None

    def forget(self, peer: NodeId, now: Instant) -> None:
        """That peer is gone; whoever else announced a message is asked instead, at once if it had been asked."""
        for message_id, want in self._wants.items():
            if peer not in want.announcers:
                continue
            count, place = len(want.announcers), want.announcers.index(peer)
            was_asked = want.asked > 0 and (want.asked - 1) % count == place
            # Whose turn it is stays the same.
            rounds, turn = divmod(want.asked, count)
            want.asked = rounds * (count - 1) + turn - (place < turn)
            del want.announcers[place]
            if was_asked and now < want.ask_at:
                want.ask_at, want.delays = now, DELAYS_MAX
                heappush(self._deadlines, (now, message_id))

    def overdue(self, now: Instant) -> dict[NodeId, list[bytes]]:
        """Whom to ask now for what."""
        requests: dict[NodeId, list[bytes]] = {}
        while self._deadlines and self._deadlines[0][0] <= now:
            at, message_id = heappop(self._deadlines)
            want = self._wants.get(message_id)
            if want is None or want.ask_at != at:
                continue
            if not want.announcers or want.asked >= ROUNDS_MAX * len(want.announcers):
                del self._wants[message_id]
                continue
            if self._is_coming(want, now):
                want.delays += 1
            else:
                peer = want.announcers[want.asked % len(want.announcers)]
                want.asked += 1
                want.delays, want.arriving = 0, self.arriving(peer, now)
                requests.setdefault(peer, []).append(message_id)
            want.ask_at = now + want.patience
            self._schedule(message_id, want)
        return requests

    def _is_coming(self, want: _Want, now: Instant) -> bool:
        """Whether more is here of what the one that was asked sends than a patience ago, or a message is whole."""
        if not want.asked or want.delays == DELAYS_MAX:
            return False
        before = want.arriving
        want.arriving = self.arriving(want.announcers[(want.asked - 1) % len(want.announcers)], now)
        return abs(want.arriving - before) * SECOND >= PROGRESS_MIN * want.patience

    def is_first_round(self, message_id: bytes) -> bool:
        """Whether whoever was asked last for that message had not been asked for it before."""
        want = self._wants.get(message_id)
        return want is not None and want.asked <= len(want.announcers)

    def next_timeout(self) -> Instant | None:
        """When somebody is to be asked."""
        while self._deadlines:
            at, message_id = self._deadlines[0]
            want = self._wants.get(message_id)
            if want is not None and want.ask_at == at:
                return at
            heappop(self._deadlines)
        return None

    def _schedule(self, message_id: bytes, want: _Want) -> None:
        heappush(self._deadlines, (want.ask_at, message_id))
        if len(self._deadlines) > 64 + 4 * len(self._wants):
            # Wishes that were fulfilled leave their deadlines behind.
            self._deadlines = sorted((each.ask_at, known) for known, each in self._wants.items())
