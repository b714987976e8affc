"""Counters of the node machine: plain integers in slots, bumped in place and read at scrape time."""

from __future__ import annotations

from dataclasses import dataclass, field

from node.messages.types import MessageType, zero_rejections

__all__ = ["CoreStats"]


def _zero_types() -> dict[str, int]:
    return dict.fromkeys((kind.name.lower() for kind in MessageType), 0)


@dataclass(slots=True)
class CoreStats:
    """What the machine has counted since the node began.

    sent, received: messages by type, in lower case. rejected: frames and direct messages refused, by reason.
    delivered: direct messages handed to the application. duplicates: direct messages that arrived again.
    sends_finished, sends_failed: outcomes of `send`. resent: messages given to another connection of the peer.
    withdrawn: copies that were given up since their peer had the message meanwhile.
    unsent: the node's own questions and answers that found no connection or a full queue.
    ignored: inputs that came before the start or after the stop.
    """

    sent: dict[str, int] = field(default_factory=_zero_types)
    received: dict[str, int] = field(default_factory=_zero_types)
    rejected: dict[str, int] = field(default_factory=zero_rejections)
    delivered: int = 0
    duplicates: int = 0
    sends_finished: int = 0
    sends_failed: int = 0
    resent: int = 0
    withdrawn: int = 0
    unsent: int = 0
    ignored: int = 0
