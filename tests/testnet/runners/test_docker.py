from __future__ import annotations

import io
import tarfile
from types import SimpleNamespace
from typing import Any

import docker
import pytest
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from node.testnet.errors import TestnetFailed
from node.testnet.runners import docker as runner
from node.testnet.runners.docker import Engine, engine
from tests.testnet.conftest import node


def container(service: str, number: int, status: str = "running", **state: Any) -> SimpleNamespace:
    return SimpleNamespace(
        id=f"{service}-{number}",
        labels={"com.docker.compose.service": service, "com.docker.compose.container-number": str(number)},
        attrs={
            "State": {"Status": status, "Running": status == "running", "ExitCode": 0, **state},
            "NetworkSettings": {"Networks": {"trial_mgmt": {"IPAddress": f"10.2.0.{number}"}, "trial_p2p": None}},
        },
        exec_run=lambda command, stderr: (0, b'{"name": "inside"}'),
        logs=lambda tail: b"first\nimpair: no\n\n",
    )


class FakeClient:
    def __init__(self, *containers: SimpleNamespace) -> None:
        by_id = {one.id: one for one in containers}
        self.filters: object = None
        self.netem_status: int | None = 0
        self.removed: list[object] = []
        self.containers = SimpleNamespace(list=self._list, get=by_id.__getitem__, create=self._create)
        self._all = list(containers)

    def _list(self, *, all: bool, filters: object) -> list[SimpleNamespace]:
        assert all
        self.filters = filters
        return self._all

    def _create(self, image: str, **options: Any) -> SimpleNamespace:
        assert options["cap_add"] == ["NET_ADMIN"]
        assert options["cap_drop"] == ["ALL"]
        assert options["network_mode"] == "none"
        if self.netem_status is None:
            raise ImageNotFound("no such image")
        status = {"StatusCode": self.netem_status}
        return SimpleNamespace(
            start=lambda: None, wait=lambda timeout: status, remove=lambda **how: self.removed.append(how)
        )


def engine_of(client: FakeClient) -> Engine:
    return Engine(client)  # type: ignore[arg-type]  # the part of the SDK's client that is used


def test_nodes_are_found_by_label_and_listed_by_number_with_the_seed_first() -> None:
    client = FakeClient(container("node", 10), container("prometheus", 1), container("node", 2), container("seed", 1))
    assert [one.name for one in engine_of(client).nodes("trial")] == ["seed", "node-2", "node-10"]
    assert client.filters == {"label": ["com.docker.compose.project=trial", "com.docker.compose.oneoff=False"]}


def test_a_container_is_described_by_state_health_address_and_exit_code() -> None:
    healthy = container("node", 1, Health={"Status": "healthy"})
    ended = container("node", 2, status="exited", ExitCode=3, Health={"Status": "unhealthy"})
    running, exited = engine_of(FakeClient(healthy, ended)).nodes("trial")
    assert (running.state, running.health, running.address) == ("running", "healthy", "10.2.0.1")
    assert (exited.state, exited.health, exited.exit_code) == ("exited", "", 3)


def test_nodes_answer_over_http_where_the_network_of_the_engine_can_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_reaches", lambda address: True)
    monkeypatch.setattr(runner, "_over_http", lambda one, path: {"name": one.name, "path": path})
    answers = engine_of(FakeClient()).ask([node("seed"), node("node-1", "exited")], "/api/v1/stats", ["positron"])
    assert answers == {"seed": {"name": "seed", "path": "/api/v1/stats"}, "node-1": None}


def test_nodes_answer_from_inside_where_it_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_reaches", lambda address: False)
    docker_engine = engine_of(FakeClient(container("node", 1)))
    (found,) = docker_engine.nodes("trial")
    assert docker_engine.ask([found], "/api/v1/stats", ["positron"]) == {"node-1": {"name": "inside"}}


@pytest.mark.parametrize("result", [(1, b"{}"), (0, b"no json"), (0, b"[]")])
def test_what_is_no_answer_is_none(monkeypatch: pytest.MonkeyPatch, result: tuple[int, bytes]) -> None:
    monkeypatch.setattr(runner, "_reaches", lambda address: False)
    broken = container("node", 1)
    broken.exec_run = lambda command, stderr: result
    docker_engine = engine_of(FakeClient(broken))
    assert docker_engine.ask(docker_engine.nodes("trial"), "/", [])["node-1"] is None


def test_the_last_words_of_a_container_are_its_last_line() -> None:
    docker_engine = engine_of(FakeClient(container("node", 1)))
    (found,) = docker_engine.nodes("trial")
    assert docker_engine.last_words(found.id) == "impair: no"


@pytest.mark.parametrize(("status", "answer"), [(0, True), (2, False), (None, None)])
def test_netem_is_there_if_it_can_be_applied(status: int | None, answer: bool | None) -> None:
    client = FakeClient()
    client.netem_status = status
    assert engine_of(client).has_netem("image") is answer


def test_files_of_a_container_are_read_from_its_archive() -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        folder = tarfile.TarInfo("qlog")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in (("qlog/a.sqlog", b"one"), ("qlog/b.sqlog", b"")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    packed.seek(0)
    one = container("node", 1)
    one.get_archive = lambda path: (iter(lambda: packed.read(512), b""), {"name": path})
    other = container("node", 2)

    def refuse(path: str) -> None:
        raise NotFound(path)

    other.get_archive = refuse
    docker = engine_of(FakeClient(one, other))
    assert docker.files("node-1", "/var/lib/positron/qlog") == {"a.sqlog": b"one", "b.sqlog": b""}
    assert docker.files("node-2", "/var/lib/positron/qlog") == {}


def test_trying_netem_leaves_neither_container_nor_volume() -> None:
    client = FakeClient()
    engine_of(client).has_netem("image")
    assert client.removed == [{"v": True, "force": True}]


def test_an_engine_that_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**options: object) -> None:
        raise DockerException("Error while fetching\nserver API version")

    monkeypatch.setattr(docker, "from_env", refuse)
    with (
        pytest.raises(TestnetFailed, match="no Docker engine answers: Error while fetching server API version"),
        engine(),
    ):
        pass


@pytest.mark.parametrize(("refusals", "is_removed"), [(0, True), (3, True), (4, False)])
def test_what_is_in_use_is_removed_a_little_later(
    refusals: int, is_removed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("node.testnet.runners.docker.time.sleep", pauses.append)
    done: list[str] = []
    answers = [APIError("network has active endpoints")] * refusals

    def remove_network() -> None:
        if answers:
            raise answers.pop()
        done.append("network")

    client = FakeClient()
    client.networks = SimpleNamespace(list=lambda filters: [SimpleNamespace(remove=remove_network)])  # type: ignore[attr-defined]
    volume = SimpleNamespace(remove=lambda: done.append("volume"))
    client.volumes = SimpleNamespace(list=lambda filters: [volume])  # type: ignore[attr-defined]
    if is_removed:
        engine_of(client).remove("trial")
    else:
        with pytest.raises(TestnetFailed, match="refused network: network has active endpoints"):
            engine_of(client).remove("trial")
    assert done == (["network", "volume"] if is_removed else [])
    assert len(pauses) == min(refusals, 3)
