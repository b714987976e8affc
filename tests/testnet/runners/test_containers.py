"""Containers of an engine made of words: what is asked of it, in which order, and what becomes of its answers."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from node.testnet.errors import TestnetFailed
from node.testnet.runners import containers as module
from node.testnet.runners.containers import Containers
from node.testnet.runners.directory import Directory
from node.testnet.runners.live import LiveNodes, wait_until
from tests.testnet.conftest import DockerProgram

WITHIN = 5.0
HOST = "10.64.1.11"


class FakeEngine:
    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.refused: set[str] = set()
        self.loss = 0.5

    def by_node(self, project: str) -> dict[str, tuple[str, str]]:
        return {name: (f"id-{name}", "image") for name in ("seed", "node-1")}

    def ends(self, project: str) -> Iterator[tuple[str, int]]:
        return iter(())

    def run(self, container: str, command: list[str]) -> tuple[int, str]:
        self.calls.append(("run", container, command[-1]))
        netem = {"kind": "netem", "parent": "504e:10b", "options": {"limit": 1000, "loss-random": {"loss": self.loss}}}
        if command[-1].startswith("impair drops"):
            return 0, ""
        return (3, "this kernel cannot") if "run" in self.refused else (0, json.dumps([netem]))

    def __getattr__(self, name: str) -> Callable[..., None]:
        def call(*arguments: object) -> None:
            self.calls.append((name, *arguments))
            if name in self.refused:
                self.refused.discard(name)
                raise TestnetFailed(f"refused {name}")

        return call


class Kept:
    """Two containers that run, and the timers that they asked for."""

    def __init__(self, directory: Directory, fake: FakeEngine, backend: str) -> None:
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.engine = fake
        hosts = {"seed": "10.64.1.10", "node-1": HOST}
        nodes = {name: {"metrics_host": "127.0.0.1", "metrics_port": 1, "host": host} for name, host in hosts.items()}
        self.loss = 0.5
        self.all = Containers(
            directory,
            {"nodes": nodes, "project": "trial", "backend": backend},
            lambda name: [("links", {"name": name, "names": {HOST: "peer"}, "hosts": {HOST: {"loss": self.loss}}})],
            lambda when, act: self.timers.append((when, act)),
        )

    def settle(self, holds: Callable[[], bool]) -> None:
        def look() -> bool:
            self.all.reap()
            return holds()

        assert wait_until(look, WITHIN, 0.005), self.engine.calls

    def state(self) -> str:
        return str(self.all.report()["node-1"]["state"])


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, Any]]:
    """What nodes were told over their APIs."""
    told: list[tuple[str, str, Any]] = []

    busy = ["node-1"]

    def request(self: LiveNodes, name: str, path: str, body: Any = None) -> tuple[int, bytes]:
        if body is not None and name in busy:
            busy.remove(name)  # too busy to answer, once
            return 0, b""
        if body is not None:
            told.append((name, path, body))
        return 200, b""

    monkeypatch.setattr(LiveNodes, "request", request)
    return told


@pytest.fixture
def kept(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    docker_program: DockerProgram,
    told: list[tuple[str, str, Any]],
) -> Iterator[Kept]:
    fake = FakeEngine()

    @contextmanager
    def engine(timeout: int) -> Iterator[FakeEngine]:
        yield fake

    monkeypatch.setattr(module, "engine", engine)
    before = signal.signal(signal.SIGCHLD, lambda *_: None)
    directory = Directory(tmp_path / "trial")
    directory.path.mkdir()
    directory.token.write_text("secret")
    kept = Kept(directory, fake, getattr(request, "param", "wire"))
    kept.all.start_all()
    kept.settle(lambda: kept.state() == "running")
    assert {call for call in fake.calls if call[0] == "start"} == {("start", "id-seed"), ("start", "id-node-1")}
    fake.calls = [call for call in fake.calls if call[0] != "start"]
    yield kept
    kept.all.end_all()
    assert fake.calls[-1] == ("remove", "trial")
    signal.signal(signal.SIGCHLD, before)


def test_containers_are_started_by_compose_and_told_their_links(
    kept: Kept, docker_program: DockerProgram, told: list[tuple[str, str, Any]]
) -> None:
    (call,) = docker_program.calls
    assert "--project-name trial --progress quiet up --no-start --no-build seed node-1" in call
    ((path, body),) = [(path, body) for name, path, body in told if name == "node-1"]
    assert (path, body["hosts"]) == ("/api/v1/chaos/links", {HOST: {"loss": 0.5}})


def test_an_end_that_was_wished_is_followed_by_what_was_to_follow(kept: Kept) -> None:
    kept.all.end("node-1", signal.SIGTERM, "stop", lambda: kept.all.start("node-1"))
    kept.settle(lambda: ("signal", "id-node-1", "SIGTERM") in kept.engine.calls)
    kept.all._find(lambda: kept.all._ended("node-1", 0))
    kept.settle(lambda: kept.state() == "running")
    assert ("start", "id-node-1") in kept.engine.calls
    assert [(one["event"], one["reason"]) for one in kept.all.events] == [("stopped", "stop")]


def test_an_end_that_nobody_wished_is_a_death(kept: Kept) -> None:
    kept.all._ended("node-1", 70)
    assert (kept.state(), kept.all.events[0]["event"]) == ("down", "died")
    assert kept.all.events[0]["reason"] == "exit status 70"


def test_who_is_killed_for_its_size_comes_back_after_a_while(kept: Kept) -> None:
    kept.all.limit_memory("node-1", 1 << 20)
    kept.all._ended("node-1", 137)
    ((when, again),) = kept.timers
    assert when == pytest.approx(time.monotonic() + 1.0, abs=0.5)
    again()
    kept.settle(lambda: kept.state() == "running")
    assert kept.all.events[0]["reason"] == "memory"


def test_where_the_kernel_refuses_a_low_limit_the_node_is_killed_before(kept: Kept) -> None:
    kept.engine.refused.add("limit_memory")
    kept.all.limit_memory("node-1", 1 << 20)
    kept.settle(lambda: [call[0] for call in kept.engine.calls].count("limit_memory") == 2)
    assert [call[0] for call in kept.engine.calls] == ["limit_memory", "signal", "await_end", "limit_memory"]


def test_a_node_stands_still_for_as_long_as_any_reason_says_so(kept: Kept) -> None:
    for reason in ("a", "b"):
        kept.all.hold("node-1", reason)
    kept.all.release("node-1", "a")
    assert kept.state() == "paused"
    kept.all.release("node-1", "b")
    kept.settle(lambda: ("unpause", "id-node-1") in kept.engine.calls)
    assert [call[0] for call in kept.engine.calls] == ["pause", "unpause"]


def test_what_the_engine_refuses_is_an_event_in_its_words(kept: Kept) -> None:
    kept.engine.refused.add("pause")
    kept.all.hold("node-1", "a")
    kept.settle(lambda: bool(kept.all.events))
    assert [(one["event"], one["reason"]) for one in kept.all.events] == [("refused", "refused pause")]


@pytest.mark.parametrize("kept", ["netem"], indirect=True)
def test_a_kernel_is_told_the_links_and_the_node_only_that_there_are_some(
    kept: Kept, told: list[tuple[str, str, Any]]
) -> None:
    ((_, _, script),) = [call for call in kept.engine.calls if call[:2] == ("run", "id-node-1")]
    assert f"{HOST} limit 1000 delay 0us 0us loss random 50.000000%" in str(script)
    assert [body["hosts"] for name, _, body in told if name == "node-1"] == [{}]
    assert kept.all.report()["node-1"]["is_settled"]


@pytest.mark.parametrize("kept", ["netem"], indirect=True)
@pytest.mark.parametrize("defect", ["refuses", "lies"])
def test_a_kernel_that_does_something_else_is_told_on(kept: Kept, defect: str) -> None:
    if defect == "refuses":
        kept.engine.refused.add("run")
    kept.engine.loss = 0.1
    kept.all.relink(["node-1"])
    kept.settle(lambda: bool(kept.all.report()["node-1"]["refusal"]))
    wanted = {"refuses": "this kernel cannot", "lies": "another loss than was asked"}
    assert wanted[defect] in kept.all.report()["node-1"]["refusal"]


def told_to_kernels(kept: Kept, name: str) -> list[str]:
    """The drops that a node's kernel was told of, each time."""
    scripts = [str(call[2]) for call in kept.engine.calls if call[:2] == ("run", f"id-{name}")]
    return [script.removeprefix("impair drops <<'END'\n").removesuffix("\nEND") for script in scripts]


@pytest.mark.parametrize("kept", ["nft"], indirect=True)
def test_a_receiver_drops_what_its_senders_are_to_lose(kept: Kept, told: list[tuple[str, str, Any]]) -> None:
    kept.settle(lambda: all(one["is_settled"] for one in kept.all.report().values()))
    assert told_to_kernels(kept, "node-1")[-1] == f"10.64.1.10 seed 500000 -\n{HOST} node-1 500000 -"
    # Its kernel is new and drops nothing: there is nothing to tell it.
    assert told_to_kernels(kept, "seed") == []
    assert [body["hosts"] for name, _, body in told if name == "node-1"] == [{}]


@pytest.mark.parametrize("kept", ["nft"], indirect=True)
def test_only_a_receiver_whose_losses_change_is_told_again(kept: Kept) -> None:
    before = [len(told_to_kernels(kept, name)) for name in ("seed", "node-1")]
    kept.all.relink(["seed"])
    kept.loss = 0.25
    kept.all.relink(["seed"])
    kept.settle(lambda: told_to_kernels(kept, "node-1")[-1].startswith("10.64.1.10 seed 250000 -"))
    assert [len(told_to_kernels(kept, name)) for name in ("seed", "node-1")] == [before[0], before[1] + 1]


@pytest.mark.parametrize("kept", ["nft"], indirect=True)
def test_a_kernel_whose_node_stands_still_is_told_when_it_goes_on(kept: Kept) -> None:
    kept.all.hold("node-1", "a")
    kept.loss = 0.25
    kept.all.relink(["seed"])
    assert kept.all.report()["node-1"]["is_settled"]
    kept.all.release("node-1", "a")
    kept.settle(lambda: "seed 250000 -" in told_to_kernels(kept, "node-1")[-1])
    assert [call[0] for call in kept.engine.calls if call[0] != "run"] == ["pause", "unpause"]


def test_a_kernel_that_need_not_do_anything_is_left_alone(kept: Kept) -> None:
    kept.all.relink(["node-1"])
    assert kept.engine.calls == []
