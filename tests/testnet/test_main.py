from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from node.testnet.commands import containers
from node.testnet.main import main
from node.testnet.runners import docker as runner
from node.testnet.runners.docker import NodeContainer
from tests.testnet.conftest import DockerProgram, node


class FakeEngine:
    """Containers and answers as a test sets them; `nodes` is what is there before, then what `up` made of it."""

    def __init__(self) -> None:
        self.before: list[NodeContainer] = []
        self.after = [node("seed"), node("node-1")]
        self.peers: list[int | None] = [1]
        self.words = ""
        self._looks = 0

    def nodes(self, project: str) -> list[NodeContainer]:
        assert project == "positron"
        self._looks += 1
        return self.before if self._looks == 1 else self.after

    def ask(self, nodes: Sequence[NodeContainer], path: str, words: Sequence[str]) -> dict[str, dict[str, Any] | None]:
        assert (path, words) == ("/api/v1/stats", ("positron", "stats", "--json"))
        peers = self.peers.pop(0) if len(self.peers) > 1 else self.peers[0]
        return {one.name: None if peers is None else {"active_peers": peers, "links": []} for one in nodes}

    def last_words(self, container: NodeContainer) -> str:
        return self.words


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, docker_program: DockerProgram) -> FakeEngine:
    fake = FakeEngine()

    @contextmanager
    def make() -> Iterator[FakeEngine]:
        yield fake

    monkeypatch.setattr(runner, "engine", make)
    monkeypatch.setattr(containers, "POLL_INTERVAL", 0.0)
    (tmp_path / "docker-compose.yml").touch()
    monkeypatch.chdir(tmp_path)
    return fake


def test_up_starts_that_many_nodes_with_that_impairment_and_shows_them(
    engine: FakeEngine, docker_program: DockerProgram, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.peers = [0, 1]
    assert main(["up", "-n", "1", "--loss", "10%"]) == 0
    shown = capsys.readouterr()
    assert [line.split()[0] for line in shown.out.splitlines()] == ["NODE", "seed", "node-1"]
    assert "2 nodes, each with every other as a peer" in shown.err
    assert docker_program.calls[0].endswith("NODES=1 LOSS=10%")


def test_without_monitoring_only_nodes_start(engine: FakeEngine, docker_program: DockerProgram) -> None:
    assert main(["up", "-n", "1", "--no-monitoring"]) == 0
    assert " seed node NODES=1" in docker_program.calls[0]


def test_up_that_fails_says_why_in_the_words_of_the_containers_and_leaves_nothing(
    engine: FakeEngine, docker_program: DockerProgram, capsys: pytest.CaptureFixture[str]
) -> None:
    docker_program.answers("", status=1, to=" up ")
    engine.after = [node("seed", "exited", 3), node("node-1", "exited", 3)]
    engine.words = "impair: this kernel has no sch_netem"
    assert main(["up"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"testnet: seed, node-1: {engine.words}"
    assert " down --volumes " in docker_program.calls[-1]


@pytest.mark.parametrize(("code", "status"), [(3, 1), (2, 2)])
def test_containers_that_end_for_an_impossible_setting_make_it_a_usage_error(
    engine: FakeEngine, docker_program: DockerProgram, capsys: pytest.CaptureFixture[str], code: int, status: int
) -> None:
    docker_program.answers("", status=1)
    engine.before = engine.after  # so that nothing is taken down
    engine.after = [node("seed", "exited", code), node("node-1", "exited", code)]
    engine.words = "impair: LOSS=5: allowed is a percentage"
    assert main(["up"]) == status
    assert capsys.readouterr().err.splitlines()[-1] == f"testnet: seed, node-1: {engine.words}"


def test_a_testnet_that_was_there_is_not_taken_down_by_a_failing_up(
    engine: FakeEngine, docker_program: DockerProgram
) -> None:
    docker_program.answers("", status=1)
    engine.before = engine.after
    assert main(["up"]) == 1
    assert len(docker_program.calls) == 1


def test_up_does_not_call_a_testnet_whole_that_is_not(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.peers = [0]
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    assert main(["up", "--timeout", "30"]) == 1
    assert "not every node has every other as a peer" in capsys.readouterr().err


def test_status_is_a_table_or_json(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.before = engine.after
    assert main(["status", "--json"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == ["seed", "node-1"]


def test_status_fails_when_a_node_does_not_answer(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.before = engine.after
    engine.peers = [None]
    assert main(["status"]) == 1


def test_status_without_a_testnet_is_one_line(engine: FakeEngine, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 1
    assert capsys.readouterr().err == "testnet: no testnet 'positron' is running; start one with `testnet up`\n"


def test_down_removes_everything(engine: FakeEngine, docker_program: DockerProgram) -> None:
    assert main(["down"]) == 0
    assert " down --volumes " in docker_program.calls[0]


@pytest.mark.parametrize(
    "words", [["up", "-n", "0"], ["up", "-n", "many"], ["up", "--timeout", "0"], ["fly"], [], ["up", "--los", "5%"]]
)
def test_an_impossible_command_line_ends_with_status_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2


def test_a_missing_compose_file_ends_with_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["down"]) == 2
    assert capsys.readouterr().err.startswith("testnet: no docker-compose.yml in ")


def test_doctor_fails_only_without_what_is_required(
    engine: FakeEngine,
    docker_program: DockerProgram,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FakeEngine, "version", "28.2.2", raising=False)
    monkeypatch.setattr(FakeEngine, "has_netem", lambda self, image: False, raising=False)
    docker_program.answers("2.26.1")
    assert main(["doctor"]) == 0
    assert "missing  netem: the kernel has no sch_netem" in capsys.readouterr().out
    docker_program.answers("", status=1)
    assert main(["doctor", "--json"]) == 1
    assert [finding["is_there"] for finding in json.loads(capsys.readouterr().out)] == [True, False, True, False]
