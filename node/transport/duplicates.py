"""Which of two connections with one peer stays, decided alike at both ends without a further message."""

from __future__ import annotations

from enum import Enum, auto

from node.transport.connection import Connection
from node.types import NodeId

__all__ = ["Verdict", "resolve"]


class Verdict(Enum):
    """The outcome of `resolve`."""

    KEEP_OLD = auto()
    KEEP_NEW = auto()


def resolve(own_id: NodeId, old: Connection, new: Connection) -> Verdict:
    """Decides between the connection in use and one that has just been established with the same peer.

    A peer that was started again has a new X25519 key: its old connection is dead. Otherwise both ends dialled at
    once, and the connection begun by the node with the smaller key stays; of two begun by the same node, the newer.
    """
    if old.peer_static != new.peer_static or old.origin.is_initiator == new.origin.is_initiator:
        return Verdict.KEEP_NEW
    assert new.peer_id is not None
    is_ours_kept = own_id < new.peer_id
    return Verdict.KEEP_NEW if new.origin.is_initiator == is_ours_kept else Verdict.KEEP_OLD
