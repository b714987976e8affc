"""What a machine remembers of its earlier life: replays, peers, bans; and that nothing on a disk can hurt it."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.events import DataReceived
from node.core.machine import Machine
from node.core.settings import CoreSettings
from node.core.state import Rows, epoch_after
from node.errors import UsageError
from node.identity.keys import Identity
from node.messages.envelope import Sealer
from node.messages.frame import encode_frame
from node.messages.packing import pack, unpack
from node.messages.types import MessageType
from node.types import MILLISECOND
from tests.core.network import WALL, Network, meshed
from tests.core.test_router import inject
from tests.trust.speakers import STRANGER


def stored(machine: Machine, *, is_final: bool = True) -> Rows:
    """The rows as a disk gives them back."""
    rows = machine.export_state(is_final=is_final)
    return {section: {key: unpack(pack(row)) for key, row in rows_of.items()} for section, rows_of in rows.items()}


def reborn(network: Network, number: int, rows: Rows, **changes: Any) -> Machine:
    """The next life of that node, with what it remembers, and dialling nobody that it does not remember."""
    network.kill(number)
    network.world.run(1)
    network.reboot(number, remembered=rows, **changes)
    return network.machine(number)


def test_a_message_of_before_is_refused_after_a_restart() -> None:
    network = meshed(2)
    wall = WALL + network.world.now
    sealer = Sealer(network.identities[1], network_id="positron", epoch=wall // MILLISECOND)
    envelope = sealer.seal(MessageType.GOSSIP_MESSAGE, pack({"n": 1}), wall)
    frame = encode_frame(MessageType.GOSSIP_MESSAGE, [0, 1, envelope.body, envelope.signature])
    inject(network, 1, 0, frame)
    network.world.run(1)
    assert len(network.events(0, DataReceived)) == 1
    rows = stored(network.machine(0))

    machine = reborn(network, 0, rows)
    network.world.run_until(network.is_meshed, 20)
    inject(network, 1, 0, frame)
    network.world.run(1)
    assert machine.gossip.stats.rejected["replayed"] >= 1
    assert network.events(0, DataReceived) == []


def test_a_node_comes_back_to_whom_it_knew_without_a_bootstrap_address() -> None:
    network = meshed(4)
    machine = reborn(network, 3, stored(network.machine(3)), bootstrap=())
    assert network.world.run_until(network.is_meshed, 20)
    assert len(machine.peers.table.active()) == 3


def test_a_ban_outlives_the_process() -> None:
    network = meshed(3)
    culprit = network.identities[2].public_key
    for _ in range(8):
        network.machine(0).trust.blame(culprit, "bad_signature", network.world.now)
    machine = reborn(network, 0, stored(network.machine(0)))
    network.world.run(10)
    assert machine.trust.is_banned(culprit, network.world.now)
    assert not network.is_active(0, 2)
    assert network.is_active(0, 1)


def test_a_ban_is_told_with_the_next_watermarks_and_once() -> None:
    machine = meshed(2).machine(0)
    assert "evidence" not in machine.export_watermarks()
    for _ in range(8):
        machine.trust.blame(STRANGER, "bad_signature", 0)
    assert STRANGER in machine.export_watermarks()["evidence"]
    assert "evidence" not in machine.export_watermarks()


@pytest.mark.parametrize("rows", [{}, {"life": {}}, {"life": {b"epoch": 5}}, {"origins": {b"o": 7}, "life": {}}])
def test_a_life_that_left_next_to_nothing_was_one_all_the_same(rows: Rows) -> None:
    machine = blank_machine()
    machine.import_state(rows, 0)
    assert machine.gossip._lives.has_past == bool(rows)


def test_what_was_told_is_taken_up_before_the_start_only() -> None:
    network = meshed(2)
    with pytest.raises(UsageError):
        network.machine(0).import_state({}, network.world.now)


@pytest.mark.parametrize(
    ("rows", "wall", "expected"),
    [
        ({}, 1000, 1000),
        ({"life": {b"epoch": 500}}, 1000, 1000),
        ({"life": {b"epoch": 1000}}, 1000, 1001),
        ({"life": {b"epoch": 9000}}, 1000, 9001),
        ({"life": {b"epoch": "soon"}}, 1000, 1000),
        ({"life": {b"epoch": (1 << 63) - 1}}, 1000, 1000),
    ],
)
def test_an_epoch_is_higher_than_the_one_before(rows: Rows, wall: int, expected: int) -> None:
    assert epoch_after(rows, wall) == expected


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | st.binary(max_size=40) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=8,
)
sections = st.sampled_from(["origins", "known", "anchors", "evidence", "statements", "proofs", "life", "later"])


def blank_machine() -> Machine:
    return Machine(
        Identity(b"m" * 32),
        CoreSettings(name="node"),
        entropy=bytes,
        random=Random(1),
        wall_offset=WALL,
        epoch=WALL // MILLISECOND,
    )


@given(st.dictionaries(sections, st.dictionaries(st.binary(max_size=32), values, max_size=4)))
def test_any_rows_are_survived(rows: Rows) -> None:
    machine = blank_machine()
    useless = machine.import_state(rows, 0)
    assert 0 <= useless <= sum(len(rows_of) for rows_of in rows.values()) + 1
    machine.export_state(is_final=True)
