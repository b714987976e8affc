"""A controller that is killed with SIGKILL during a fault of local processes: all heals in time."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from node.testnet.errors import TestnetError
from node.testnet.runners import attach
from node.testnet.runners.live import wait_until
from node.testnet.runners.proc import ProcRunner
from node.testnet.scenario.faults import KINDS
from tests.testnet.killed import LIMIT, ON_LINKS, ON_NODES, ONE_BY_ONE, SEEN_AS, names, run_command, trial

pytestmark = [pytest.mark.loopback, pytest.mark.timeout(180)]

WITHIN = 60.0
"""Seconds that a busy machine may take to bring a testnet up."""

Start = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts `testnet chaos run` with a scenario of that text; what it has started is gone at the end."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("rt")))
    started: list[subprocess.Popen[str]] = []

    def start(text: str) -> subprocess.Popen[str]:
        command = run_command(tmp_path, text, "proc")
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
    for name in names():
        with suppress(TestnetError):
            attach(name).down()
    assert names() == []


def effects(runner: ProcRunner) -> dict[str, set[str]]:
    """What is wrong with each node right now, as its keeper and the node itself say."""
    runner.refresh()
    status, said = runner.keeper_status(), runner.chaos_status()
    found = {name: {one["state"]} & {"down", "paused"} for name, one in status["nodes"].items()}
    for fault in status["faults"]:
        found[fault["node"]].add(fault["kind"])
    for name, answer in said.items():
        found[name] |= {one["kind"] for one in (answer["faults"] + answer["afflictions"] if answer else ())}
    return found


def outlive(start: Start, faults: list[str], wanted: dict[str, set[str]], nodes: int) -> None:
    """Kills the controller once all is wrong that is wanted; all has to be well within the limit and a second.

    wanted: by the name of a node; "" for any node.
    """
    process = start(trial(faults, nodes))
    seen: dict[str, set[str]] = {}

    def has_begun() -> bool:
        assert process.poll() is None, "the controller has ended"
        if names():
            with suppress(TestnetError):
                for name, kinds in effects(attach(names()[0])).items():
                    seen.setdefault(name, set()).update(kinds)
                    seen.setdefault("", set()).update(kinds)
        return all(kinds <= seen.get(name, set()) for name, kinds in wanted.items())

    assert wait_until(has_begun, WITHIN), (wanted, seen)
    process.send_signal(signal.SIGKILL)
    runner = attach(names()[0])
    left: dict[str, set[str]] = {}

    def is_healed() -> bool:
        left.clear()
        left.update({name: kinds for name, kinds in effects(runner).items() if kinds})
        return not left

    assert wait_until(is_healed, LIMIT + 1), left


def test_every_kind_that_has_an_end_is_here() -> None:
    assert {*ON_NODES, *ON_LINKS, *ONE_BY_ONE} == {name for name, kind in KINDS.items() if kind.has_end}


def test_all_kinds_at_once_heal_though_the_controller_is_killed(start: Start) -> None:
    wanted = {f"node-{number}": {SEEN_AS.get(kind, kind)} for number, kind in enumerate(ON_NODES, 1)}
    faults = []
    # Nodes that answer tell of their links: those of the faults inside a node. What stands still is slow to hear.
    for number, (kind, fault) in zip((6, 7, 8, 9) * 3, ON_LINKS.items(), strict=False):
        faults.append(f"{fault}, target: node-{number}")
        wanted[f"node-{number}"].add(kind)
    faults += [f"{fault}, target: node-{number}" for number, fault in enumerate(ON_NODES.values(), 1)]
    outlive(start, faults, wanted, len(ON_NODES) + 1)


@pytest.mark.longer
@pytest.mark.parametrize("kind", [*ON_NODES, *ON_LINKS])
def test_each_kind_heals_though_the_controller_is_killed(start: Start, kind: str) -> None:
    fault = {**ON_NODES, **ON_LINKS}[kind]
    outlive(start, [f"{fault}, target: node-1"], {"node-1": {SEEN_AS.get(kind, kind)}}, 3)


@pytest.mark.longer
@pytest.mark.parametrize("kind", ONE_BY_ONE)
def test_who_is_down_comes_back_though_nobody_goes_on_with_the_others(start: Start, kind: str) -> None:
    outlive(start, [ONE_BY_ONE[kind]], {"": {"down"}}, 3)
