from __future__ import annotations

from pathlib import Path

import pytest

from node.testnet.compose import Compose, compose_version, find_compose_file
from node.testnet.errors import TestnetFailed, TestnetMisused
from tests.testnet.conftest import DockerProgram


@pytest.fixture
def compose(tmp_path: Path) -> Compose:
    return Compose(file=tmp_path / "docker-compose.yml", project="trial", variables={"NODES": "3", "LOSS": "5%"})


def test_up_waits_for_health_with_the_variables_of_the_file(
    compose: Compose, docker_program: DockerProgram, tmp_path: Path
) -> None:
    compose.up(("seed", "node"), timeout=30.4)
    assert docker_program.calls == [
        f"compose --file {tmp_path}/docker-compose.yml --project-name trial up --detach --wait --wait-timeout 30 "
        "--no-build seed node NODES=3 LOSS=5%"
    ]


@pytest.mark.parametrize("act", ["up", "build", "create"])
def test_what_compose_could_not_do_is_an_error(compose: Compose, docker_program: DockerProgram, act: str) -> None:
    docker_program.answers("", status=1)
    acts = {
        "up": lambda: compose.up(("seed",), timeout=30),
        "build": lambda: compose.build("seed"),
        "create": lambda: compose.create(("seed",)),
    }
    with pytest.raises(TestnetFailed, match="failed; its own message is above"):
        acts[act]()


def test_a_machine_without_docker_is_told_so(compose: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TestnetFailed, match="docker is not installed"):
        compose.create(("seed",))
    assert compose_version() is None


def test_the_version_of_the_plugin_is_its_own(docker_program: DockerProgram) -> None:
    docker_program.answers("2.26.1")
    assert compose_version() == "2.26.1"


def test_a_docker_without_the_plugin_has_no_version(docker_program: DockerProgram) -> None:
    docker_program.answers("docker: 'compose' is not a docker command.", status=1)
    assert compose_version() is None


def test_the_compose_file_is_found_from_a_directory_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / "docker-compose.yml").touch()
    monkeypatch.chdir(below)
    assert find_compose_file(None) == tmp_path / "docker-compose.yml"


def test_a_missing_compose_file_is_the_users_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TestnetMisused, match="--file"):
        find_compose_file(None)
    with pytest.raises(TestnetMisused, match=r"other\.yml: there is no such file"):
        find_compose_file("other.yml")
