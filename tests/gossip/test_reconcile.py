"""The exchange of claims between two nodes, page by page."""

from __future__ import annotations

import itertools
from typing import Any

from node.gossip.actions import Send
from node.gossip.frames import Act
from node.gossip.reconcile import LOOKS_PER_PAGE
from node.gossip.store import Retained
from node.identity.keys import Identity
from node.messages.frame import parse_frame
from node.messages.packing import Value
from node.types import SECOND
from node.wire.limits import SYNC_IDS_MAX, SYNC_PAGES_MAX, SYNC_ROWS_BURST, SYNC_ROWS_MAX, SYNC_ROWS_PER_SECOND
from tests.gossip.world import EPOCH, STRANGER, WALL, Mesh, Single, make_gossip, seal


def test_the_end_that_dialled_asks_at_once() -> None:
    mesh = Mesh(2)
    mesh.link(0, 1)
    assert [mesh.nodes[node_id].stats.syncs for node_id in mesh.ids] == [1, 0]


def test_a_node_with_more_authors_than_fit_on_a_page_asks_in_pages() -> None:
    single = Single()
    for number in range(SYNC_ROWS_MAX + 1):
        single.node._admission.origins.mark(STRANGER.public_key[:28] + number.to_bytes(4, "big"), 1, 1)  # type: ignore[arg-type]  # any key
        single.node._admission.origins.mark(number.to_bytes(4, "big") + bytes(28), 1, 1)  # type: ignore[arg-type]  # any key
    single.node.digest_heard(single.peer, b"digest 8", 100 * SECOND)
    single.node.digest_heard(single.peer, b"digest 8", 100 * SECOND)
    frames = [parse_frame(action.data).fields for action in single.actions()]
    pages = [fields for fields in frames if fields[0] == Act.SYNC]
    assert 2 <= len(pages) <= SYNC_PAGES_MAX
    assert pages[0][4] == pages[-1][5] == b""
    assert all(before[5] == after[4] for before, after in itertools.pairwise(pages))


def test_the_claims_that_a_node_offers_in_a_second_are_bounded_for_all_peers_together() -> None:
    single = Single()
    authors = 500
    for number in range(authors):
        single.node._admission.origins.mark(number.to_bytes(4, "big") + bytes(28), 1, 1)  # type: ignore[arg-type]  # any key
    before, seconds = single.node.stats.syncs, 20
    for beat in range(2 * seconds):
        for peer in range(20):
            now = (100 * SECOND) + beat * SECOND // 2
            single.node._reconciler.peer_up(peer.to_bytes(32, "big"), now, is_outbound=True)  # type: ignore[arg-type]  # any key
    offered = (single.node.stats.syncs - before) * authors
    assert SYNC_ROWS_PER_SECOND * (seconds - 1) <= offered <= SYNC_ROWS_PER_SECOND * seconds + SYNC_ROWS_BURST + authors


def test_a_peer_that_floods_with_pages_is_answered_so_often_only() -> None:
    single = Single()
    answers = [len(single.receive(5, 2, b"digest 8", 60_000, b"", b"", [], 0, now=SECOND)) for _ in range(500)]
    assert sum(map(bool, answers)) <= 4 * SYNC_PAGES_MAX + 1
    assert single.node.stats.rate_limited > 400


def test_ids_that_were_asked_for_do_not_count_against_the_allowance() -> None:
    single = Single()
    single.node.digest_heard(single.peer, b"digest 8", 100 * SECOND)
    listed: list[Value] = [number.to_bytes(16, "big") for number in range(500)]
    for _ in range(SYNC_IDS_MAX // 500):
        single.receive(1, listed, 2, now=100 * SECOND)
    assert single.node.stats.rate_limited == 0


def test_the_young_are_left_to_the_mesh() -> None:
    single = Single()
    single.message(seal(), now=SECOND)
    assert len(single.receive(5, 2, b"digest 8", 60_000, b"", b"", [], 0, now=SECOND)) == 1
    assert len(single.receive(5, 2, b"digest 8", 60_000, b"", b"", [], 0, now=2 * SECOND)) == 2


def test_a_page_that_has_a_node_look_at_all_it_keeps_costs_its_peer_so_many_more() -> None:
    single, kept = Single(), 8 * LOOKS_PER_PAGE
    for number in range(kept):
        single.node._admission.store.add(
            number.to_bytes(16, "big"), Retained(b"", b"", STRANGER.public_key, 1, number + 1, 1, arrived_at=0)
        )
    for second in range(2, 22):
        for _ in range(2 * SYNC_PAGES_MAX):
            single.receive(5, 2, b"digest 8", 0, b"", b"", [], 0, now=second * SECOND)
    answered = 20 * 2 * SYNC_PAGES_MAX - single.node.stats.rate_limited
    assert answered <= (20 * 2 + 4) * SYNC_PAGES_MAX // 9 + 1


def told(actions: list[Any]) -> bool:
    """Whether ids are among what was said."""
    return any(parse_frame(action.data).fields[0] == Act.HAVE for action in actions)


def test_what_came_before_the_askers_time_is_not_told_and_no_clock_but_this_one_says_when_that_was() -> None:
    single = Single()
    single.message(seal(), now=10 * SECOND)
    for began_at, is_told in ((15, False), (12, False), (10, True), (1, True)):
        age = (20 - began_at) * 1000
        answer = single.receive(5, 2, b"digest 8", age, b"", b"", [], 0, now=20 * SECOND)
        assert told(answer) is is_told


def test_a_life_is_as_old_as_it_is_whatever_was_done_to_the_clock_since() -> None:
    gossip = make_gossip(Identity(b"o" * 32), epoch=EPOCH + 4000)
    gossip.start(4 * SECOND)
    gossip.set_wall_offset(WALL - 1000 * SECOND)
    gossip.peer_up(STRANGER.public_key, 10 * SECOND)
    frames = []
    while (action := gossip.poll_action()) is not None:
        assert isinstance(action, Send)
        frames.append(parse_frame(action.data).fields)
    assert [fields[3] for fields in frames if fields[0] == Act.SYNC] == [6000]
