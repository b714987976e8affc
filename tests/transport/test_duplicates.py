"""Both ends of two connections choose the same one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest

from node.transport.connection import Connection
from node.transport.duplicates import Verdict, resolve
from node.transport.state import Origin
from node.types import ConnectionId, NodeId

SMALL, LARGE = NodeId(bytes(32)), NodeId(b"\xff" * 32)


@dataclass
class Known:
    """What `resolve` looks at of a connection."""

    peer_id: NodeId
    peer_static: bytes
    origin: Origin


def connection(peer_id: NodeId, *, is_initiator: bool, process: bytes = b"same") -> Connection:
    origin = Origin(handle=1, local_id=ConnectionId(1), address=("10.0.0.1", 1), is_initiator=is_initiator)
    return cast("Connection", Known(peer_id, process, origin))


@pytest.mark.parametrize("is_ours_first", [True, False])
def test_of_two_crossing_dials_both_ends_keep_that_of_the_smaller_key(is_ours_first: bool) -> None:
    kept = []
    for own, peer in ((SMALL, LARGE), (LARGE, SMALL)):
        ours, theirs = connection(peer, is_initiator=True), connection(peer, is_initiator=False)
        old, new = (ours, theirs) if is_ours_first else (theirs, ours)
        survivor = new if resolve(own, old, new) is Verdict.KEEP_NEW else old
        kept.append(own if survivor.origin.is_initiator else peer)
    assert kept == [SMALL, SMALL]


@pytest.mark.parametrize("own", [SMALL, LARGE])
@pytest.mark.parametrize("is_initiator", [True, False])
def test_of_two_dials_of_one_node_the_newer_stays(own: NodeId, is_initiator: bool) -> None:
    peer = LARGE if own == SMALL else SMALL
    old, new = (connection(peer, is_initiator=is_initiator) for _ in range(2))
    assert resolve(own, old, new) is Verdict.KEEP_NEW


@pytest.mark.parametrize("own", [SMALL, LARGE])
@pytest.mark.parametrize("is_initiator", [True, False])
def test_a_new_process_of_the_peer_always_wins(own: NodeId, is_initiator: bool) -> None:
    peer = LARGE if own == SMALL else SMALL
    old = connection(peer, is_initiator=not is_initiator)
    new = connection(peer, is_initiator=is_initiator, process=b"after the restart")
    assert resolve(own, old, new) is Verdict.KEEP_NEW
