"""A node of the virtual network keeps its key through its lives, and its epochs rise."""

from __future__ import annotations

from random import Random

from node.identity.keys import Identity
from node.sim.nodes import WALL, SimNode, address_of
from node.types import MILLISECOND, SECOND


def node() -> SimNode:
    return SimNode(3, Identity(bytes(32)), Random(1))


def test_addresses_are_all_different() -> None:
    assert len({address_of(number) for number in range(2_000)}) == 2_000


def test_each_life_has_another_clock_and_the_right_wall_time() -> None:
    made = node()
    offsets = set()
    for now in (0, 5 * SECOND):
        machine, clock = made.build({}, now)
        assert clock.local_at(now) + machine._wall_offset == WALL + now
        offsets.add(clock.offset)
    assert len(offsets) == 2


def test_epoch_rises_even_when_the_clock_was_set_back() -> None:
    made = node()
    made.build({}, 10 * SECOND)
    first, made.saved, made.skew = made.epoch, {"life": {b"epoch": made.epoch}}, -3_600 * SECOND
    made.build({}, 20 * SECOND)
    assert made.epoch == first + 1


def test_epoch_of_a_node_that_lost_its_disk_is_what_its_clock_shows() -> None:
    made = node()
    made.build({}, 10 * SECOND)
    made.skew = -3_600 * SECOND
    made.build({}, 20 * SECOND)
    assert made.epoch == (WALL - 3_580 * SECOND) // MILLISECOND
