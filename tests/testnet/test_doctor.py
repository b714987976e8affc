from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from node.testnet import doctor
from node.testnet.doctor import Finding, examine
from node.testnet.errors import TestnetFailed
from node.testnet.runners import docker as runner
from tests.testnet.conftest import DockerProgram


class FakeEngine:
    version = "28.2.2"

    def __init__(self, netem: bool | None) -> None:
        self._netem = netem

    def has_netem(self, image: str) -> bool | None:
        assert image == "positron-testnet:local"
        return self._netem

    def has_nft(self, image: str) -> bool | None:
        return self._netem


@pytest.fixture
def findings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, docker_program: DockerProgram, request: pytest.FixtureRequest
) -> dict[str, Finding]:
    """What is found on a machine with everything, but for netem, which is as the test's parameter says."""
    netem: bool | TestnetFailed | None = request.param

    @contextmanager
    def engine() -> Iterator[FakeEngine]:
        if isinstance(netem, TestnetFailed):
            raise netem
        yield FakeEngine(netem)

    monkeypatch.setattr(runner, "engine", engine)
    monkeypatch.setattr(doctor, "has_loopback_network", lambda: False)
    monkeypatch.setattr(doctor, "_host_has_netem", lambda: None)
    docker_program.answers("2.26.1")
    file = tmp_path / "docker-compose.yml"
    file.touch()
    return {finding.subject: finding for finding in examine("positron-testnet:local", str(file))}


@pytest.mark.parametrize("findings", [True], indirect=True)
def test_a_machine_with_everything_needs_no_cure(findings: dict[str, Finding]) -> None:
    wanted = [findings[name] for name in ("docker", "compose", "compose file", "netem", "nft", "wire")]
    assert all(finding.is_there and not finding.cure for finding in wanted)
    assert findings["docker"].detail == "Docker Engine 28.2.2"


@pytest.mark.parametrize("findings", [False], indirect=True)
def test_a_kernel_without_netem_can_still_run_a_testnet(findings: dict[str, Finding]) -> None:
    netem = findings["netem"]
    assert (netem.is_there, netem.is_required) == (False, False)
    assert "modprobe sch_netem" in netem.cure
    assert (findings["nft"].is_there, findings["nft"].is_required) == (False, False)
    assert "nf_tables" in findings["nft"].cure


@pytest.mark.parametrize("findings", [None], indirect=True)
def test_what_cannot_be_tried_is_not_claimed(findings: dict[str, Finding]) -> None:
    assert (findings["netem"].is_there, findings["netem"].detail) == (False, "not known yet")


@pytest.mark.parametrize(
    "findings", [TestnetFailed("no Docker engine answers: refused; see `testnet doctor`")], indirect=True
)
def test_an_engine_that_does_not_answer_does_not_end_the_examination(findings: dict[str, Finding]) -> None:
    assert findings["docker"].detail == "no Docker engine answers: refused"
    assert findings["docker"].cure
    assert findings["compose"].is_there


def test_a_missing_compose_file_is_named(docker_program: DockerProgram, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def engine() -> Iterator[FakeEngine]:
        yield FakeEngine(True)

    monkeypatch.setattr(runner, "engine", engine)
    monkeypatch.setattr(doctor, "has_loopback_network", lambda: False)
    found = {finding.subject: finding for finding in examine("positron-testnet:local", "nowhere.yml")}
    assert not found["compose file"].is_there
    assert "nowhere.yml" in found["compose file"].detail


def test_where_local_processes_work_containers_are_not_required(
    monkeypatch: pytest.MonkeyPatch, docker_program: DockerProgram
) -> None:
    monkeypatch.setattr(doctor, "has_loopback_network", lambda: True)
    monkeypatch.setattr(
        doctor,
        "_ask_engine",
        lambda _: (
            Finding(subject="docker", is_there=False, is_required=True, detail="no", cure="install it"),
            None,
            None,
        ),
    )
    docker_program.answers("", status=1)
    found = {finding.subject: finding for finding in examine("positron-testnet:local", "nowhere.yml")}
    assert list(found) == ["proc", "wire", "docker", "compose", "compose file", "netem", "nft", "uml"]
    assert found["proc"].is_there
    assert not found["docker"].is_there
    assert not [one.subject for one in found.values() if one.is_required]
    assert all(one.cure for one in found.values() if not one.is_there)
