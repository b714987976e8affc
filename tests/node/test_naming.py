from __future__ import annotations

from dataclasses import replace

import pytest

from node.errors import AmbiguousPeer, UnknownPeer
from node.node.naming import find_peer, find_target
from node.types import NodeId
from tests.metrics.samples import node_snapshot, peer


@pytest.mark.parametrize("text", ["node-2", peer(2).node_id.hex(), peer(2).node_id.hex().upper(), "192.0.2.2:9000"])
def test_a_peer_is_found_by_name_by_id_and_by_address(text: str) -> None:
    two = replace(peer(2), name="node-2", address=("192.0.2.2", 9000))
    assert find_peer(text, node_snapshot(peers=(two, peer(3)))) is two


def test_the_first_digits_of_an_id_are_enough_when_they_are_one_peer_s() -> None:
    two = replace(peer(2), node_id=NodeId(b"\xab\xcd\x01" + bytes(29)))
    three = replace(peer(3), node_id=NodeId(b"\xab\xcd\x02" + bytes(29)))
    snapshot = node_snapshot(peers=(two, three))

    assert find_peer("abcd01", snapshot) is two
    with pytest.raises(AmbiguousPeer, match="2 peers are called 'abcd'"):
        find_peer("abcd", snapshot)
    with pytest.raises(UnknownPeer):
        find_peer("abc", snapshot)


def test_of_two_with_one_name_the_active_one_is_meant() -> None:
    gone = replace(peer(2), name="twin", state="down")
    here = replace(peer(3), name="twin", state="up")
    assert find_peer("twin", node_snapshot(peers=(gone, here))) is here

    with pytest.raises(AmbiguousPeer):
        find_peer("twin", node_snapshot(peers=(gone, replace(here, state="down"))))


def test_a_name_of_hexadecimal_digits_counts_as_a_name_first() -> None:
    cafe = replace(peer(2), name="cafe")
    other = replace(peer(3), node_id=NodeId(b"\xca\xfe" + bytes(30)))
    assert find_peer("cafe", node_snapshot(peers=(other, cafe))) is cafe


def test_a_target_may_be_a_stranger_s_address_or_a_complete_id() -> None:
    snapshot = node_snapshot(peers=(peer(2),))
    assert find_target("198.51.100.1:9000", snapshot) == ("198.51.100.1", 9000)
    assert find_target("[2001:db8::1]:9000", snapshot) == ("2001:db8::1", 9000)
    assert find_target("seed.example:9000", snapshot) == ("seed.example", 9000)
    assert find_target("ff" * 32, snapshot) == b"\xff" * 32
    assert find_target(peer(2).node_id.hex(), snapshot) == peer(2).node_id


@pytest.mark.parametrize("text", ["", "nobody", "ab", ":", "1.2.3.4:", "1.2.3.4:0", "::1", "a:b:c", "x" * 300])
def test_whoever_nobody_is_called_is_unknown(text: str) -> None:
    with pytest.raises(UnknownPeer):
        find_target(text, node_snapshot(peers=(peer(2),)))
