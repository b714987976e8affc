"""`testnet up`, `status` and `down` for containers."""

from __future__ import annotations

import json

import pytest

from node.testnet.commands import containers
from node.testnet.main import main
from tests.testnet.conftest import DockerProgram, FakeEngine, node


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


@pytest.mark.parametrize("was_there", [False, True])
def test_an_interrupted_up_leaves_what_was_there_and_nothing_else(
    engine: FakeEngine, docker_program: DockerProgram, monkeypatch: pytest.MonkeyPatch, was_there: bool
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(containers, "_wait_until_whole", interrupted)
    if was_there:
        engine.before = engine.after
    assert main(["up"]) == 1
    assert (" down --volumes " in docker_program.calls[-1]) is not was_there


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
