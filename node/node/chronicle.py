"""What a node has lived through since it began, for whoever asks later: messages received, and its events.

Knows how a node's events look to a reader, and nothing of HTTP. Two journals, both bounded: recent messages with their
payloads, and the history, in which a message is its id alone. Times come as nanoseconds of the node's clock.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar, overload

from node.core.events import DataReceived, PeerDown, PeerUp
from node.messages.packing import Value, unpack
from node.node.journal import Journal, Page
from node.types import Duration, Instant, to_seconds

__all__ = ["HISTORY_EVENTS_MAX", "MESSAGES_KEPT_MAX", "Chronicle", "Feed", "readable"]

EntryT = TypeVar("EntryT")

HISTORY_EVENTS_MAX = 1 << 15
"""Some 10 MiB; at a thousand deliveries per second, a reader must come by every half minute."""

MESSAGES_KEPT_MAX = 1000
"""More than a person reads."""

MESSAGES_KEPT_BYTES_MAX = 8 << 20
"""Room for 32 of the largest messages."""


class _Happening(NamedTuple):
    """One line of the history. A tuple, because a busy node makes thousands per second."""

    kind: str
    at: Instant
    subject: str | bytes
    details: tuple[Any, ...]


class _Kept(NamedTuple):
    """One received message. packed: its payload, which the application may have changed since."""

    at: Instant
    message_id: str
    origin: bytes
    hops: int
    age: Duration
    is_broadcast: bool
    packed: bytes


_DETAILS = {
    "started": (),
    "published": (),
    "delivered": ("origin", "hops", "age", "is_broadcast"),
    "peer_up": ("name",),
    "peer_down": ("name", "reason"),
}


class Chronicle:
    """Of one node, from its making on. wall_offset: Unix time minus the clock of the instants, in nanoseconds."""

    def __init__(self, wall_offset: Duration) -> None:
        life = os.urandom(4).hex()
        self._wall_offset = wall_offset
        self._history: Journal[_Happening] = Journal(life, entries_max=HISTORY_EVENTS_MAX)
        self._messages: Journal[_Kept] = Journal(life, entries_max=MESSAGES_KEPT_MAX, bytes_max=MESSAGES_KEPT_BYTES_MAX)
        self.history = Feed("events", self._history, self._event)
        self.messages = Feed("messages", self._messages, self._message)

    # --- what the node tells

    def started(self, node_id: bytes, now: Instant) -> None:
        """The node takes part from now on."""
        self._history.append(_Happening("started", now, node_id, ()))

    def published(self, message_id: str, now: Instant) -> None:
        """The node sent a message to every node."""
        self._history.append(_Happening("published", now, message_id, ()))

    def delivered(self, event: DataReceived, now: Instant) -> None:
        """A message reached the application of this node."""
        details = (event.origin, event.hops, event.age, event.is_broadcast)
        self._history.append(_Happening("delivered", now, event.message_id, details))
        kept = _Kept(now, event.message_id, event.origin, *details[1:], event.packed)
        self._messages.append(kept, len(kept.packed))

    def peer_up(self, event: PeerUp, now: Instant) -> None:
        """A peer became active."""
        self._history.append(_Happening("peer_up", now, event.node_id, (event.name,)))

    def peer_down(self, event: PeerDown, now: Instant) -> None:
        """An active peer is gone."""
        self._history.append(_Happening("peer_down", now, event.node_id, (event.name, event.reason)))

    # --- what a reader sees

    def _event(self, number: int, event: _Happening) -> dict[str, Any]:
        subject = event.subject
        named = {"message_id": subject} if isinstance(subject, str) else {"node_id": subject.hex()}
        details = dict(zip(_DETAILS[event.kind], event.details, strict=True))
        if "origin" in details:
            details["origin"] = details["origin"].hex()
            details["age"] = to_seconds(details["age"])
        return {"number": number, "kind": event.kind, **self._times(event.at), **named, **details}

    def _message(self, number: int, kept: _Kept) -> dict[str, Any]:
        return {
            "number": number,
            **self._times(kept.at),
            "message_id": kept.message_id,
            "origin": kept.origin.hex(),
            "hops": kept.hops,
            "age": to_seconds(kept.age),
            "is_broadcast": kept.is_broadcast,
            "data": readable(unpack(kept.packed)),
        }

    def _times(self, at: Instant) -> dict[str, float]:
        return {"at": to_seconds(at + self._wall_offset), "monotonic": to_seconds(at)}


class Feed(Generic[EntryT]):
    """One journal as pages for JSON, under `name`; `at` is Unix time, `monotonic` a clock that never jumps."""

    def __init__(self, name: str, journal: Journal[EntryT], render: Callable[[int, EntryT], dict[str, Any]]) -> None:
        self._name = name
        self._journal = journal
        self._render = render

    def page(self, after: str | None, limit: int) -> dict[str, Any]:
        """As `Journal.read`."""
        return self._readable(self._journal.read(after, limit))

    def tail(self, number: int) -> dict[str, Any]:
        """As `Journal.tail`."""
        return self._readable(self._journal.tail(number))

    async def changed(self, cursor: str, seconds: float) -> None:
        """As `Journal.changed`."""
        await self._journal.changed(cursor, seconds)

    def wake(self) -> None:
        """As `Journal.wake`."""
        self._journal.wake()

    def _readable(self, page: Page[EntryT]) -> dict[str, Any]:
        return {
            self._name: _Rendered(page.entries, self._render),
            "cursor": page.cursor,
            "missed": page.missed,
            "is_reset": page.is_reset,
        }


class _Rendered(Sequence[dict[str, Any]], Generic[EntryT]):
    """Entries for JSON, each made when it is asked for: a page of the largest would hold up the node for seconds."""

    def __init__(self, entries: list[tuple[int, EntryT]], render: Callable[[int, EntryT], dict[str, Any]]) -> None:
        self._entries = entries
        self._render = render

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(index, slice):
            return [self._render(*entry) for entry in self._entries[index]]
        return self._render(*self._entries[index])


_PLAIN = frozenset((int, float, str, bool, type(None)))


def readable(value: Value) -> Any:
    """The value for JSON, which has no bytes: they become {"base64": "..."}."""
    # A message may hold a quarter of a million numbers, of which none needs a call.
    match value:
        case bytes():
            return {"base64": base64.b64encode(value).decode()}
        case list():
            return [part if type(part) in _PLAIN else readable(part) for part in value]
        case dict():
            return {key: part if type(part) in _PLAIN else readable(part) for key, part in value.items()}
        case _:
            return value
