"""`testnet up`, `status` and `down` for containers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException

from node.testnet.errors import TestnetFailed
from node.testnet.main import main
from node.testnet.runners.base import Plan
from node.testnet.runners.contained import DockerRunner
from tests.testnet.conftest import DockerProgram, FakeEngine

UP = ["up", "--runner", "docker", "-n", "1"]


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch, testnets: Path, engine: FakeEngine) -> list[str]:
    """What became of a runner whose nodes are all there at once."""
    found: list[str] = []

    def note(name: str) -> Callable[[DockerRunner], None]:
        return lambda _: found.append(name)

    def up(runner: DockerRunner, plan: Plan) -> None:
        links = {f"{one.loss:.0%}" for one in plan.links.values()}
        found.append(f"up {runner.project} {len(plan.topology.names)} nodes loss {links}")

    monkeypatch.setattr(DockerRunner, "up", up)
    monkeypatch.setattr(DockerRunner, "down", note("down"))
    monkeypatch.setattr(DockerRunner, "start_monitoring", note("monitoring"))
    monkeypatch.setattr("node.testnet.commands.local._broadcast", lambda _: 2)
    monkeypatch.setattr("node.testnet.commands.local._show", lambda *_, is_json: True)
    return found


def test_up_builds_starts_nodes_with_that_impairment_and_then_what_watches_them(
    done: list[str], docker_program: DockerProgram, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*UP, "--loss", "10%"]) == 0
    assert done == ["up positron 2 nodes loss {'10%'}", "monitoring"]
    assert " --project-name positron build seed " in docker_program.calls[0]
    shown = capsys.readouterr().err
    assert "2 nodes, one broadcast at 2 of them" in shown
    assert "Prometheus and Grafana: " in shown


def test_the_image_may_be_taken_as_it_is_and_nobody_watch(done: list[str], docker_program: DockerProgram) -> None:
    assert main([*UP, "--no-build", "--no-monitoring", "--name", "mine"]) == 0
    assert done == ["up positron-mine 2 nodes loss {'0%'}"]
    assert docker_program.calls == []


def test_nodes_that_nothing_watches_go_on_and_the_command_fails(
    done: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: DockerRunner) -> None:
        raise TestnetFailed("docker compose up failed")

    monkeypatch.setattr(DockerRunner, "start_monitoring", fail)
    assert main(UP) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "testnet: docker compose up failed; the nodes run, without Prometheus and Grafana"
    )
    assert "down" not in done


@pytest.mark.parametrize("where", ["node.testnet.commands.local._broadcast", "start_monitoring"])
def test_an_interrupted_up_leaves_nothing(done: list[str], monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    if "." in where:
        monkeypatch.setattr(where, interrupt)
    else:
        monkeypatch.setattr(DockerRunner, where, interrupt)
    assert main(UP) == 1
    assert done[-1] == "down"


def test_status_is_a_table_or_json(engine: FakeEngine, testnets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--json"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == ["seed", "node-1"]
    assert main(["status"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["NODE", "seed", "node-1"]


def test_status_fails_when_a_node_does_not_answer(engine: FakeEngine, testnets: Path) -> None:
    engine.peers = [None]
    assert main(["status"]) == 1


def test_status_finds_containers_whose_keeper_is_gone(
    engine: FakeEngine, testnets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.project = "positron-mine"
    assert main(["status", "--name", "mine", "--json"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == ["seed", "node-1"]


def test_status_without_a_testnet_is_one_line(
    engine: FakeEngine, testnets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.found = []
    assert main(["status"]) == 1
    assert capsys.readouterr().err == "testnet: no testnet 'positron' is running; start one with `testnet up`\n"


@pytest.mark.parametrize(("words", "projects"), [([], ["positron"]), (["--name", "c"], ["c", "positron-c"])])
def test_down_removes_everything_whoever_started_it(
    engine: FakeEngine, testnets: Path, words: list[str], projects: list[str]
) -> None:
    assert main(["down", *words]) == 0
    assert engine.removed == projects


def test_a_fault_needs_somebody_who_ends_it_in_time(
    engine: FakeEngine, testnets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["heal"]) == 1
    assert "have nobody who would end a fault in time" in capsys.readouterr().err
    engine.found = []
    assert main(["heal"]) == 1
    assert "no testnet 'positron' is running" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["status", "down"])
def test_without_an_engine_nothing_of_that_name_runs_and_both_are_said(
    command: str, testnets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(**options: object) -> None:
        raise DockerException("refused")

    monkeypatch.setattr(docker, "from_env", refuse)
    assert main([command, "--name", "mine"]) == 1
    expected = "testnet: no testnet 'mine' of local processes is running, and no Docker engine answers: refused"
    assert capsys.readouterr().err.startswith(expected)
