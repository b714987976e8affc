"""A stand-in for the program docker, containers made of words, and a testnet of local processes that tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from node.testnet import doctor
from node.testnet.runners import docker as runner
from node.testnet.runners.docker import NodeContainer
from node.testnet.runners.proc import ProcRunner
from tests.testnet.plans import plan_of


class DockerProgram:
    """A program `docker` that writes what it is asked to do, and ends as it is told."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.answers("")

    def answers(self, output: str, status: int = 0, *, to: str = "") -> None:
        """From now on it prints this and ends with that status, or does so for commands with the word `to` alone."""
        path = self._directory / "docker"
        path.write_text(
            f'#!/bin/sh\necho "$* NODES=$NODES LOSS=$LOSS" >>"{self._directory}/calls"\n'
            f'case " $* " in *"{to}"*) ;; *) exit 0 ;; esac\n'
            f"cat <<'END'\n{output}\nEND\nexit {status}\n"
        )
        path.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        path = self._directory / "calls"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def docker_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DockerProgram:
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
    for name in ("NODES", "LOSS"):
        monkeypatch.delenv(name, raising=False)
    return DockerProgram(directory)


def node(name: str, state: str = "running", exit_code: int = 0) -> NodeContainer:
    """A container with a node, healthy if it runs."""
    is_running = state == "running"
    return NodeContainer(
        id=f"id-{name}",
        name=name,
        state=state,
        health="healthy" if is_running else "",
        address="10.2.0.3" if is_running else "",
        exit_code=exit_code,
    )


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


class FakeEngine:
    """Containers and answers as a test sets them."""

    def __init__(self) -> None:
        self.found = [node("seed"), node("node-1")]
        self.peers: list[int | None] = [1]
        self.removed: list[str] = []
        self.project = "positron"

    def nodes(self, project: str) -> list[NodeContainer]:
        return self.found if project == self.project else []

    def remove(self, project: str) -> None:
        self.removed.append(project)

    def ask(self, nodes: Sequence[NodeContainer], path: str, words: Sequence[str]) -> dict[str, dict[str, Any] | None]:
        assert (path, words) == ("/api/v1/stats", ("positron", "stats", "--json"))
        peers = self.peers.pop(0) if len(self.peers) > 1 else self.peers[0]
        return {
            one.name: None if peers is None else {"active_peers": peers, "members": {"alive": peers}, "links": []}
            for one in nodes
        }


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, docker_program: DockerProgram) -> FakeEngine:
    fake = FakeEngine()

    @contextmanager
    def make() -> Iterator[FakeEngine]:
        yield fake

    monkeypatch.setattr(runner, "engine", make)
    (tmp_path / "docker-compose.yml").touch()
    monkeypatch.chdir(tmp_path)
    return fake


@pytest.fixture
def no_local_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that lends out no loopback addresses."""
    monkeypatch.setattr(doctor, "has_loopback_network", lambda: False)
