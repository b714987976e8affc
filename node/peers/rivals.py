"""Notices that another process speaks in the name of this node: peers keep preferring connections it never made.

What a slow machine makes of honest peers looks like that, too: dials that cross when many nodes start at once, and
connections that take seconds. So what happens at one time counts once, and nothing while this node runs late.
"""

from __future__ import annotations

from collections import deque

from node.peers.actions import Report
from node.types import Instant
from node.wire.limits import SUCCESSOR_TIME, USURPATION_TIME, USURPATIONS_MAX

__all__ = ["Rivals"]


class Rivals:
    """The last few times that a peer preferred a connection which was never this node's."""

    def __init__(self) -> None:
        self._usurped_at: deque[Instant] = deque(maxlen=USURPATIONS_MAX)

    def usurped(self, now: Instant, *, is_late: bool = False) -> Report | None:
        """It happened once more; what to tell the user, if it happens often. is_late: this node is not let run."""
        if is_late or (self._usurped_at and now - self._usurped_at[-1] < SUCCESSOR_TIME):
            return None
        self._usurped_at.append(now)
        if len(self._usurped_at) < USURPATIONS_MAX or now - self._usurped_at[0] > USURPATION_TIME:
            return None
        text = "peers keep giving this node's place to another process: two nodes run with the same key"
        return Report(kind="identity_conflict", text=text)
