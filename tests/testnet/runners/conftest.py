"""Testnets of local processes: one that the tests of this folder share, and a directory that is nobody else's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.impairment.link import LinkSettings
from node.testnet.runners.base import Plan
from node.testnet.runners.proc import ProcRunner
from node.testnet.scenario.topology import Topology, link_table


def plan_of(nodes: int, base: LinkSettings | None = None, *, seed: int = 1, **settings: object) -> Plan:
    """So many nodes, all links alike."""
    topology = Topology(nodes=nodes, settings=settings)
    return Plan(topology=topology, links=link_table(topology, base or LinkSettings(), ()), seed=seed)


@pytest.fixture(scope="session")
def testnets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory of all testnets of this session; every one of them has to be gone at its end."""
    runtime = tmp_path_factory.mktemp("rt")
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    yield runtime / "positron-testnet"
    if before is None:
        del os.environ["XDG_RUNTIME_DIR"]
    else:
        os.environ["XDG_RUNTIME_DIR"] = before


@pytest.fixture(scope="session")
def shared(testnets: Path) -> Iterator[ProcRunner]:
    """Four nodes that run; whoever breaks them heals them."""
    runner = ProcRunner("shared", lease=None)
    runner.up(plan_of(4))
    yield runner
    runner.down()
    assert not (testnets / "shared").exists()


@pytest.fixture
def whole(shared: ProcRunner) -> Iterator[ProcRunner]:
    """The same, healed afterwards."""
    yield shared
    shared.heal()
