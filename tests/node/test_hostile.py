"""Nodes that misbehave for a time, among real ones that do not."""

from __future__ import annotations

import pytest

from node.node.hostile import BEHAVIOURS, Hostile
from tests.node.test_afflictions import engine


@pytest.mark.asyncio
@pytest.mark.parametrize("behaviour", BEHAVIOURS)
async def test_a_node_is_as_it_was_when_its_hostility_ends(behaviour: str) -> None:
    node = engine()
    endpoints = [node.machine.udp, node.machine.tcp]
    before = [sorted(vars(one)) for one in endpoints]
    hostile = Hostile(node, behaviour, 100.0)
    hostile._act()
    assert node.pumps == 1
    assert [sorted(vars(one)) for one in endpoints] != before
    hostile.end()
    assert [sorted(vars(one)) for one in endpoints] == before
