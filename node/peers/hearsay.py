"""Which nodes this one keeps that it never met: the table `new` of an address book in two tables.

They are known by the word of others, or by a notice that they signed and others passed on: anybody can make keys.

An entry goes to a bucket that the group of its teller, its key and a secret choose. All that one group tells shares
HEARSAY_REACH of HEARSAY_BUCKETS buckets; in a full bucket a newcomer takes the place of the oldest entry of the group
that has told most there, and is refused if its own has told as much. So a flood finds no room beside itself. Who has
signed goes before who has not, since that costs a key and is limited by gossip.

Knows nothing of members and dials: the caller forgets what was displaced, and tells what is no hearsay any more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from node.peers.buckets import Buckets
from node.peers.groups import keyed
from node.types import NodeId
from node.wire.limits import HEARSAY_BUCKETS, HEARSAY_PER_BUCKET, HEARSAY_REACH

__all__ = ["Admission", "Hearsay"]


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether an entry was taken in, and which one had to go for it."""

    is_admitted: bool
    displaced: NodeId | None = None


class Hearsay(Buckets[bytes]):
    """Nodes that were not met, each with the group of who told of it first.

    secret: up to 64 bytes. is_signed: whether a node said itself, with its signature, that it is there.
    """

    def __init__(self, secret: bytes) -> None:
        super().__init__()
        self._secret = secret
        self.is_signed: Callable[[NodeId], bool] = lambda node_id: False

    def admit(self, node_id: NodeId, teller: bytes, *, has_room: bool = True, is_signed: bool = False) -> Admission:
        """Takes in a node of which a peer in the group `teller` tells, or brings its signed word.

        has_room: False if another must go for it.
        """
        if node_id in self:
            return Admission(True)
        number = self._choose(node_id, teller)
        bucket = self.bucket(number)
        displaced = None
        if not has_room or len(bucket) >= HEARSAY_PER_BUCKET:
            unsigned = {other: group for other, group in bucket.items() if not self.is_signed(other)}
            if is_signed and unsigned:
                displaced = next(iter(unsigned))
            else:
                displaced = _dearest(bucket if is_signed else unsigned, teller)
            if displaced is None:
                return Admission(False)
            self.remove(displaced)
        self.put(node_id, number, teller)
        return Admission(True, displaced)

    def _choose(self, node_id: NodeId, teller: bytes) -> int:
        # Not the group of its address: a whole network in one group, told of by one seed, must find room.
        turn = keyed(self._secret, b"entry", teller, node_id) % HEARSAY_REACH
        return (keyed(self._secret, b"teller", teller) + turn) % HEARSAY_BUCKETS


def _dearest(bucket: Mapping[NodeId, bytes], teller: bytes) -> NodeId | None:
    """The oldest entry of the group that told most; None if no group told more than the newcomer's."""
    told: dict[bytes, int] = {}
    for group in bucket.values():
        told[group] = told.get(group, 0) + 1
    if not told:
        return None
    most = max(told, key=lambda group: told[group])
    if told.get(teller, 0) + 1 > told[most]:
        return None
    return next(node_id for node_id, group in bucket.items() if group == most)
