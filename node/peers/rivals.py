"""Notices that another process speaks in the name of this node: peers keep preferring connections it never made."""

from __future__ import annotations

from collections import deque

from node.peers.actions import Report
from node.types import Instant
from node.wire.limits import USURPATION_TIME, USURPATIONS_MAX

__all__ = ["Rivals"]


class Rivals:
    """The last few times that a peer preferred a connection which was never this node's."""

    def __init__(self) -> None:
        self._usurped_at: deque[Instant] = deque(maxlen=USURPATIONS_MAX)

    def usurped(self, now: Instant) -> Report | None:
        """It happened once more; what to tell the user, if it happens often."""
        self._usurped_at.append(now)
        if len(self._usurped_at) < USURPATIONS_MAX or now - self._usurped_at[0] > USURPATION_TIME:
            return None
        text = "peers keep giving this node's place to another process: two nodes run with the same key"
        return Report(kind="identity_conflict", text=text)
