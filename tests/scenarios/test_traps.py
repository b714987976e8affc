"""Traps that other transports fell into, one test each: those that need whole endpoints here, the others by name.

A trap and where it is held is a row of TRAPS; a row whose test is gone fails.
"""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import pytest

from node.impairment.link import LinkSettings
from node.transport.settings import TransportSettings
from node.types import MILLISECOND, SECOND
from tests.pair import CLIENT, SERVER, Pair

ROOT = Path(__file__).parents[2]

TRAPS = {
    "a deadline that never comes": "scenarios/test_traps.py::test_a_deadline_is_a_whole_number_and_is_always_reached",
    "a batch lost as one packet": "node/test_node.py::test_datagrams_are_sent_one_by_one_while_the_network_is_impaired",
    "a firewall's refusal taken for an error": (
        "transport/test_udp_socket.py::test_a_firewall_that_refuses_a_batch_loses_all_of_it"
    ),
    "a device without segmentation": (
        "transport/test_udp_socket.py::test_a_kernel_that_refuses_segmentation_gets_single_datagrams_from_then_on"
    ),
    "a probe too large for the interface": (
        "transport/test_udp_socket.py::test_an_oversized_datagram_is_lost_and_counted"
    ),
    "lost acknowledgements taken for lost data": (
        "scenarios/test_traps.py::test_acknowledgements_that_are_lost_cost_no_data"
    ),
    "handshake packets doubled": (
        "transport/test_endpoint_damage.py::test_a_doubled_handshake_packet_of_any_kind_changes_nothing"
    ),
    "handshake packets reordered": (
        "transport/test_endpoint.py::test_handshake_survives_any_loss_duplication_and_reordering"
    ),
    "a peer restarted at its address": (
        "transport/test_resets.py::test_a_restarted_peer_is_noticed_within_one_round_trip"
    ),
    "two nodes that dial each other": (
        "transport/test_endpoint.py::test_two_nodes_that_dial_each_other_at_once_keep_one_connection"
    ),
    "a clock that jumps": "scenarios/test_traps.py::test_a_host_that_slept_goes_on_or_says_that_it_cannot",
    "an event loop that stalls": (
        "sim/test_goodput.py::test_an_event_loop_that_stalls_for_200_ms_loses_no_more_than_that"
    ),
    "credit spent on sparse offsets": "transport/test_reassembly.py::test_memory_that_parts_may_announce_is_bounded",
    "reassembly without a bound": "transport/test_reassembly.py::test_number_of_open_messages_is_bounded",
    "a key update during loss": (
        "transport/test_protection.py::test_keys_change_under_loss_and_reordering_without_losing_a_message"
    ),
    "a cipher that is not what it should be": (
        "crypto/test_aead.py::test_the_self_test_refuses_a_libsodium_without_the_functions"
    ),
}


@pytest.mark.parametrize(("trap", "test"), TRAPS.items(), ids=TRAPS)
def test_every_trap_has_its_test(trap: str, test: str) -> None:
    path, name = test.split("::")
    assert re.search(rf"^(async )?def {name}\(", (ROOT / "tests" / path).read_text(), re.MULTILINE), trap


@pytest.mark.parametrize("seed", range(5))
def test_a_deadline_is_a_whole_number_and_is_always_reached(seed: int) -> None:
    random = Random(seed)
    pair = Pair(seed=seed, link=LinkSettings(delay=3_333_333, jitter=1_111_111, loss=0.2))
    pair.connect(30)
    for _ in range(200):
        pair.client.send(random.randbytes(random.randrange(3_000)))
        pair.run(random.random() / 50)
        # A deadline that is a float may lie behind the instant that it names; the world notices whoever spins.
        assert all(type(side.endpoint.next_timeout()) in (int, type(None)) for side in pair.sides)
    pair.run(10)
    assert len(pair.client.acknowledged()) == 200


def test_acknowledgements_that_are_lost_cost_no_data() -> None:
    pair = Pair(client_settings=TransportSettings(min_rto=25 * MILLISECOND))
    pair.connect()
    pair.world.set_link(SERVER, CLIENT, LinkSettings(delay=10 * MILLISECOND, loss=0.3), both=False)
    sent = [number.to_bytes(2) * 500 for number in range(1_000)]
    for message in sent:
        pair.client.send(message)
        pair.run(0.002)
    assert pair.run_until(lambda: len(pair.client.acknowledged()) == len(sent), 10)
    pair.assert_delivered(sent)
    stats = pair.client.snapshot.stats
    # Only a tail of lost acknowledgements makes a probe, and nothing that was on the way is taken for lost.
    assert sum(stats.packets_lost.values()) <= 5
    assert sum(stats.packets_retransmitted.values()) <= 0.02 * len(sent)


@pytest.mark.parametrize("seconds", [10, 3_600])
def test_a_host_that_slept_goes_on_or_says_that_it_cannot(seconds: int) -> None:
    pair = Pair(client_settings=TransportSettings(min_rto=25 * MILLISECOND))
    pair.connect()
    message_id = pair.client.send(b"before")
    pair.world.pause(pair.client.host, seconds * SECOND)
    pair.run(seconds + 60)
    if pair.client.closed() is not None:
        assert pair.client.acknowledged() + pair.client.failed() == [message_id]
        pair.client.connect(SERVER)
    pair.run(5)
    pair.client.send(b"after")
    pair.run(5)
    assert pair.server.received() == [b"before", b"after"]
