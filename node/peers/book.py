"""The address book as plain data: who was met and where, and the anchors, to begin with after a restart.

Only nodes that were active peers are written down, at the address that they gave themselves: what is known from hearsay
could be anybody's invention. Anchors are the peers that this node dialled itself and has been with the longest; a node
that begins anew among them cannot be surrounded by whoever waits for restarts (Heilman et al., "Eclipse Attacks on
Bitcoin's Peer-to-Peer Network", USENIX Security 2015).
"""

from __future__ import annotations

from node.errors import DecodeError
from node.identity.keys import NODE_ID_BYTES
from node.messages.packing import Value
from node.peers.hello import is_name
from node.peers.records import Record, parse_record
from node.peers.table import Peer, PeerTable
from node.types import Duration, NodeId
from node.wire.limits import ANCHORS_MAX

__all__ = ["anchors_of", "known_rows", "parse_anchors", "parse_known"]


def known_rows(table: PeerTable, wall_offset: Duration) -> list[Value]:
    """A row for each node that was met: its record, its name, and when it was last heard in wall nanoseconds."""
    return [
        [peer.record.fields(), peer.name, (peer.heard_at or 0) + wall_offset]
        for peer in table
        if peer.is_met and peer.record is not None
    ]


def anchors_of(table: PeerTable) -> list[Value]:
    """The keys of up to ANCHORS_MAX peers to come back to first."""
    own_choice = [peer for peer in table.active() if any(link.is_initiator for link in peer.links.values())]
    own_choice.sort(key=_since)
    return [peer.node_id for peer in own_choice[:ANCHORS_MAX]]


def parse_known(row: Value) -> tuple[Record, str, Duration]:
    """The record, the name and the time in a row of `known_rows`; DecodeError for anything else."""
    match row:
        case [list(fields), str(name), int(heard_at), *_]:
            return parse_record(fields), name if is_name(name) else "", heard_at
        case _:
            raise DecodeError("malformed", "a known node is a record, a name and a time")


def parse_anchors(row: Value) -> list[NodeId]:
    """The keys in what `anchors_of` made; DecodeError for anything else."""
    keys = row if isinstance(row, list) else []
    anchors = [NodeId(key) for key in keys if isinstance(key, bytes) and len(key) == NODE_ID_BYTES]
    if not isinstance(row, list) or len(anchors) != len(keys):
        raise DecodeError("malformed", "anchors are a list of keys")
    return anchors[:ANCHORS_MAX]


def _since(peer: Peer) -> int:
    return peer.connected_at if peer.connected_at is not None else 0
