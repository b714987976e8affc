"""Peers that announce messages and do not send them when they are asked: who lets this node down, again and again.

One request per peer is watched at a time, the first to that peer for that message. The promise is broken if the peer
acknowledged the request, goes on talking PROMISE_TIME later, and has sent no message of anybody else meanwhile. What
loss, a cut, a full queue or a forgotten message can do to an honest peer ends before that, or ends the link; and one
broken promise is nothing: BROKEN_MIN in a row are, which any message that the peer passes on interrupts.

Knows nothing of frames, and has no timer: the verdict is taken when the peer is heard again. Bounded by the links.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.types import Instant, NodeId
from node.wire.limits import BROKEN_MIN, PROMISE_TIME

__all__ = ["Promises"]


@dataclass(slots=True)
class _Watch:
    """awaited: the message that is watched. due_at: None until the request is acknowledged. broken: in a row."""

    awaited: bytes | None = None
    due_at: Instant | None = None
    broken: int = 0


class Promises:
    """What peers were asked for and owe."""

    def __init__(self) -> None:
        self._peers: dict[NodeId, _Watch] = {}

    def __len__(self) -> int:
        return len(self._peers)

    def asked(self, peer: NodeId, message_id: bytes) -> bool:
        """That peer is being asked for that message; whether this request is to be watched."""
        watch = self._peers.setdefault(peer, _Watch())
        if watch.awaited is not None:
            return False
        watch.awaited, watch.due_at = message_id, None
        return True

    def acknowledged(self, peer: NodeId, message_id: bytes, now: Instant) -> None:
        """The request for that message has arrived."""
        watch = self._peers.get(peer)
        if watch is not None and watch.awaited == message_id and watch.due_at is None:
            watch.due_at = now + PROMISE_TIME

    def withdrawn(self, peer: NodeId, message_id: bytes) -> None:
        """The request for that message did not arrive."""
        watch = self._peers.get(peer)
        if watch is not None and watch.awaited == message_id:
            watch.awaited = watch.due_at = None

    def served(self, peer: NodeId, message_id: bytes | None = None) -> None:
        """That peer has sent what it was asked for, or (None) something that shows its good will."""
        watch = self._peers.get(peer)
        if watch is not None and message_id in (None, watch.awaited):
            del self._peers[peer]

    def forget(self, peer: NodeId) -> None:
        """That peer is gone, and owes nothing."""
        self._peers.pop(peer, None)

    def is_broken(self, peer: NodeId, now: Instant) -> bool:
        """That peer was just heard; whether it has let this node down once too often."""
        watch = self._peers.get(peer)
        if watch is None or watch.due_at is None or now < watch.due_at:
            return False
        watch.awaited = watch.due_at = None
        watch.broken += 1
        return watch.broken >= BROKEN_MIN
