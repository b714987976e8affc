"""The address book: whom of those it met a node remembers and where, and the anchors, to begin with after a restart.

Only nodes that were active peers are written down, at the address that they gave themselves: what is known from hearsay
could be anybody's invention. Of those, `tried` decides who is remembered, so that an attacker with few groups of
addresses holds few places; and the groups take turns, so that none is dialled before all others. Anchors are the peers
that this node dialled itself and has been with the longest; a node that begins anew among them cannot be surrounded by
whoever waits for restarts (Heilman et al., "Eclipse Attacks on Bitcoin's Peer-to-Peer Network", USENIX Security 2015).
"""

from __future__ import annotations

from collections.abc import Iterable

from node.errors import DecodeError
from node.identity.keys import NODE_ID_BYTES
from node.messages.packing import Value
from node.peers.dialer import Dialer
from node.peers.groups import group_of, in_turns
from node.peers.members import Members
from node.peers.records import Record, parse_record
from node.peers.settings import PeersSettings
from node.peers.table import Peer, PeerState, PeerTable
from node.peers.tried import Tried
from node.types import Duration, Instant, NodeId, is_name
from node.wire.limits import ANCHORS_ALONE, ANCHORS_MAX, DEAD_MEMORY, GONE_KEPT

__all__ = ["Book", "anchors_of", "known_rows", "parse_anchors", "parse_known"]


class Book:
    """The address book of one node: decides whom of those it met it remembers, and has the anchors dialled first."""

    def __init__(self, settings: PeersSettings, table: PeerTable, members: Members, dialer: Dialer) -> None:
        self.tried = Tried(settings.book_secret, self._heard_at)
        self._own_id = settings.own_id
        self._table = table
        self._members = members
        self._dialer = dialer
        table.is_kept = self.tried.__contains__

    def snapshot(self, wall_offset: Duration) -> dict[str, list[Value]]:
        """The address book as plain data: `known` nodes and `anchors`. wall_offset: wall clock minus that of `now`."""
        kept = [peer for peer in self._table if peer.node_id in self.tried]
        return {"known": known_rows(kept, wall_offset), "anchors": anchors_of(self._table)}

    def restore(self, known: list[Value], anchors: Value, now: Instant, wall_offset: Duration) -> int:
        """Takes up the address book of an earlier life, to dial the anchors first; the number of useless rows.

        Nodes that were not heard for DEAD_MEMORY are forgotten, but for the GONE_KEPT that were heard last.
        """
        useless, first = 0, []
        try:
            first = parse_anchors(anchors)
        except DecodeError:
            useless += 1
        rows: list[tuple[bytes, tuple[Record, str, Duration]]] = []
        for row in known:
            try:
                entry = parse_known(row)
            except DecodeError:
                useless += 1
            else:
                rows.append((group_of(entry[0].host), entry))
        latest = sorted((heard_at for _, (_, _, heard_at) in rows), reverse=True)[:GONE_KEPT]
        since = min([now + wall_offset - DEAD_MEMORY, *latest])
        for record, name, heard_at in in_turns(rows):
            if heard_at >= since and record.node_id != self._own_id:
                last = min(heard_at - wall_offset, now)
                self._remember(record, name, last, now if record.node_id in first else now + ANCHORS_ALONE)
        return useless

    def met(self, peer: Peer, host: str, now: Instant) -> None:
        """That peer introduced itself over a connection with that host."""
        rival = self._table.get(old) if (old := self.tried.admit(peer.node_id, host, now)) is not None else None
        if rival is not None and not rival.links and rival.record is not None:
            self._dialer.try_once(rival.node_id, rival.record, now)

    def tick(self, now: Instant) -> None:
        """Decides between old nodes that were dialled and the newcomers that wait for their places."""
        self.tried.settle(now)

    def _remember(self, record: Record, name: str, heard_at: Instant, dial_at: Instant) -> None:
        peer = self._table.add(record.node_id)
        if peer is None or peer.links or peer.is_met:
            return
        peer.record, peer.name, peer.is_met = record, name, True
        peer.state, peer.heard_at, peer.down_at = PeerState.DOWN, heard_at, heard_at
        self.tried.admit(record.node_id, record.host, heard_at)
        self._table.forget_addresses()
        self._members.recall(record, dial_at)
        self._dialer.learn(record.node_id, record, dial_at)

    def _heard_at(self, node_id: NodeId) -> Instant | None:
        peer = self._table.get(node_id)
        return None if peer is None else peer.heard_at


def known_rows(peers: Iterable[Peer], wall_offset: Duration) -> list[Value]:
    """A row for each node that was met: its record, its name, and when it was last heard in wall nanoseconds."""
    return [
        [peer.record.fields(), peer.name, (peer.heard_at or 0) + wall_offset]
        for peer in peers
        if peer.is_met and peer.record is not None
    ]


def anchors_of(table: PeerTable) -> list[Value]:
    """The keys of up to ANCHORS_MAX peers to come back to first."""
    own_choice = [peer for peer in table.active() if any(link.is_initiator for link in peer.links.values())]
    own_choice.sort(key=_since)
    apart = in_turns((group_of(peer.address[0]), peer.node_id) for peer in own_choice)
    return list(apart[:ANCHORS_MAX])


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
