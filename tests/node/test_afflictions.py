"""Faults inside a node: they begin, can be told, and end by themselves or when they are healed."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from node.core.machine import Machine
from node.core.settings import CoreSettings
from node.errors import UsageError
from node.identity.keys import Identity
from node.node.afflictions import KINDS, Afflictions
from node.transport.udp_transport import UDPTransport
from node.types import SECOND, Duration, Instant

WALL = 1_700_000_000 * SECOND


class FakeEngine:
    """A machine that was started, and a clock that a test sets."""

    def __init__(self) -> None:
        entropy = Random(1)
        self.machine = Machine(
            Identity(bytes(32)),
            CoreSettings(name="a"),
            entropy=entropy.randbytes,
            random=entropy,
            wall_offset=WALL,
            epoch=1,
        )
        self.wall_offset: Duration = WALL
        self.udp: UDPTransport | None = None
        self.time: Instant = SECOND
        self.pumps = 0
        self.offsets: list[Duration] = []
        true = self.machine.set_wall_offset

        def note(offset: Duration, now: Instant) -> None:
            self.offsets.append(offset - WALL)
            true(offset, now)

        setattr(self.machine, "set_wall_offset", note)  # noqa: B010
        self.machine.start(self.time)

    def now(self) -> Instant:
        return self.time

    def pump(self) -> None:
        self.pumps += 1


def engine() -> FakeEngine:
    """A node to be afflicted."""
    return FakeEngine()


@pytest.mark.asyncio
async def test_a_clock_is_wrong_until_its_limit_and_right_again_afterwards() -> None:
    node = engine()
    afflictions = Afflictions(node)
    afflictions.begin("clock", "late", 0.02, {"behind": 300.0})
    assert node.offsets == [-300 * SECOND]
    assert afflictions.active() == [("late", "clock", 0.02)]
    while afflictions.has("clock"):
        await asyncio.sleep(0)
    assert node.offsets == [-300 * SECOND, 0]
    assert node.pumps == 2


@pytest.mark.asyncio
async def test_a_second_one_of_a_kind_takes_the_place_of_the_first() -> None:
    node = engine()
    afflictions = Afflictions(node)
    afflictions.begin("clock", "first", 60, {"ahead": 40.0})
    afflictions.begin("clock", "second", 60, {"ahead": 10.0})
    assert node.offsets == [40 * SECOND, 0, 10 * SECOND]
    assert afflictions.heal("first") == []
    assert afflictions.heal("second") == ["second"]
    assert node.offsets[-1] == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["dns", "disk_full"])
async def test_what_is_asked_for_is_there_until_it_is_healed(kind: str) -> None:
    afflictions = Afflictions(engine())
    assert not afflictions.has(kind)
    afflictions.begin(kind, "f", 60, {})
    assert afflictions.has(kind)
    assert afflictions.heal() == ["f"]
    assert not afflictions.has(kind)


@pytest.mark.asyncio
async def test_a_node_without_udp_has_no_port_to_lose() -> None:
    assert "nat_rebind" in KINDS
    with pytest.raises(UsageError, match="without UDP"):
        Afflictions(engine()).begin("nat_rebind", "f", 1, {})
