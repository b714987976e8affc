"""The traces of an endpoint: of connections that are there, and of the last ones that have ended.

Bounded: a trace holds `bytes_max`, a connection has one at most, and of those that are over a number and so many bytes
are kept.
Knows connections only by their handles. Whoever reads traces on to somewhere else takes those that are over away.
"""

from __future__ import annotations

from collections import deque

from node.transport.trace import Trace
from node.types import NodeId

__all__ = ["ENDED_BYTES_MAX", "ENDED_MAX", "Traces"]

ENDED_MAX = 64
"""Traces kept that are over."""

ENDED_BYTES_MAX = 16 << 20
"""Bytes of them all; the newest is kept whatever its size."""


class Traces:
    """open: by handle, of connections that are recorded. ended: of others, the oldest first.

    bytes_max: memory for the events of a connection that begins from now on; 0 records none.
    """

    __slots__ = ("bytes_max", "ended", "open")

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.open: dict[int, Trace] = {}
        self.ended: deque[Trace] = deque(maxlen=ENDED_MAX)

    def end(self, handle: int) -> None:
        """That connection is gone, or not recorded any more. Of a handshake that came to nothing, nothing is kept."""
        trace = self.open.pop(handle, None)
        if trace is None or trace.peer_id is None:
            return
        self.ended.append(trace)
        while len(self.ended) > 1 and sum(one.bytes_held for one in self.ended) > ENDED_BYTES_MAX:
            self.ended.popleft()

    def all(self) -> list[Trace]:
        """Those of connections with a known peer, the oldest first."""
        return [*self.ended, *(trace for trace in self.open.values() if trace.peer_id is not None)]

    def of_peer(self, peer_id: NodeId) -> Trace | None:
        """The newest trace of a connection with that peer; one that is open before others."""
        for traces in (self.open.values(), self.ended):
            found = [trace for trace in traces if trace.peer_id == peer_id]
            if found:
                return found[-1]
        return None
