from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from node.impairment.link import LinkSettings
from node.testnet.errors import NotApplied, TestnetError, TestnetFailed, TestnetMisused
from node.testnet.render import RESERVED
from node.testnet.runners import contained
from node.testnet.runners.contained import NODES_MAX, DockerRunner
from node.testnet.runners.directory import Directory
from node.testnet.runners.proc import ProcRunner
from tests.testnet.plans import plan_of

ROOT = Path(__file__).parent.parent.parent.parent
TAKEN = ipaddress.IPv4Network("10.64.0.0/11")


class FakeEngine:
    version = "1"

    def __init__(self, has: str = "") -> None:
        self.has = has

    def has_netem(self, image: str) -> bool:
        return "netem" in self.has

    def has_nft(self, image: str) -> bool:
        return "nft" in self.has

    def subnets(self) -> list[ipaddress.IPv4Network]:
        return [TAKEN]

    def has_image(self, image: str) -> bool:
        return image == "node:1"

    def has_containers(self, project: str) -> bool:
        return "containers" in self.has


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DockerRunner:
    @contextmanager
    def engine() -> Iterator[FakeEngine]:
        yield FakeEngine()

    monkeypatch.setattr(contained, "engine", engine)
    found = DockerRunner("trial", file=str(ROOT / "docker-compose.yml"), image="node:1")
    found._directory = Directory(tmp_path)
    return found


def written(runner: DockerRunner, **settings: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    plan = plan_of(3, LinkSettings(loss=0.1), **settings)
    found = runner._written(plan, runner._place(plan), "secret")
    assert runner._directory is not None
    text = runner._directory.compose_file.read_text()
    assert "secret" not in text
    assert text.count("interval: 1h") == 3
    return found, yaml.safe_load(text)


def test_links_are_tables_of_the_addresses_that_the_compose_file_gives(runner: DockerRunner) -> None:
    found, document = written(runner)
    address = document["services"]["node-1"]["networks"]["p2p"]["ipv4_address"]
    assert found["nodes"]["node-1"]["host"] == address
    assert found["links"]["seed"]["hosts"][address] == {"loss": 0.1}
    assert found["links"]["seed"]["names"][address] == "node-1"
    assert (found["project"], found["runner"]) == ("positron-trial", "docker")


def test_the_networks_are_ones_that_nobody_has(runner: DockerRunner) -> None:
    _, document = written(runner)
    networks = [
        ipaddress.IPv4Network(one["ipam"]["config"][0]["subnet"]) for one in document["networks"].values()
    ]  # fmt: skip
    assert not any(one.overlaps(TAKEN) for one in networks)
    assert not networks[0].overlaps(networks[1])
    assert networks[0].num_addresses > NODES_MAX + RESERVED


def test_nodes_obey_and_have_the_settings_of_the_scenario(runner: DockerRunner) -> None:
    _, document = written(runner, mtu=1280, is_seed=False, profile="testnet")
    environment = document["services"]["node-2"]["environment"]
    assert environment["POSITRON_CHAOS_CONTROL"] == "true"
    assert environment["POSITRON_API_TOKEN"] == "${POSITRON_API_TOKEN}"
    assert (environment["POSITRON_MTU"], environment["POSITRON_IS_SEED"]) == ("1280", "false")
    assert document["services"]["node-2"]["image"] == "node:1"


def test_prometheus_gets_the_token_in_a_file_of_a_private_directory(runner: DockerRunner, tmp_path: Path) -> None:
    _, document = written(runner)
    settings = tmp_path / "prometheus.yml"
    mounts = document["services"]["prometheus"]["volumes"]
    assert f"{settings}:/etc/prometheus/prometheus.yml:ro" in mounts
    assert f"{ROOT}/docker/prometheus/alerts.yml:/etc/prometheus/alerts.yml:ro" in mounts
    (job,) = yaml.safe_load(settings.read_text())["scrape_configs"]
    assert (job["job_name"], job["authorization"]) == ("positron", {"credentials": "secret"})


def test_containers_that_are_there_already_are_left_alone(
    runner: DockerRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def engine() -> Iterator[FakeEngine]:
        yield FakeEngine("containers")

    monkeypatch.setattr(contained, "engine", engine)
    with pytest.raises(TestnetMisused, match="remove them with `testnet down --name trial`"):
        runner._place(plan_of(3))


@pytest.mark.parametrize(
    ("name", "project"), [("positron", "positron"), ("trial", "positron-trial"), ("positron-x", "positron-x")]
)
def test_a_project_is_known_by_the_name_of_its_testnet(name: str, project: str) -> None:
    assert DockerRunner(name).project == project


def test_what_is_asked_of_kernels_the_keeper_knows(runner: DockerRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = {"hosts": ["10.0.0.2"], "settings": {"loss": 0.5}, "step": "f", "seconds": 1.0}
    told = {"node-1": [["links", {"hosts": {"10.0.0.2": {"loss": 0.5}}}], ["faults", fault]]}
    monkeypatch.setattr(contained, "ask_keeper", lambda directory, request: {"nodes": told})
    monkeypatch.setattr(DockerRunner, "host_of", lambda self, name: "10.0.0.2")
    runner.backend = "nft"
    assert runner.asked([("node-1", "node-2")])["node-1", "node-2"].loss == pytest.approx(0.75)


def test_what_cannot_be_brought_up_is_refused(runner: DockerRunner) -> None:
    with pytest.raises(TestnetMisused, match="allowed are up to 200 as containers"):
        runner._check(plan_of(NODES_MAX + 1))


def test_without_an_engine_a_scenario_is_unsupported_and_says_why(
    runner: DockerRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert runner.missing([], {}) == []

    @contextmanager
    def none() -> Iterator[None]:
        raise TestnetFailed("no Docker engine answers")
        yield

    monkeypatch.setattr(contained, "engine", none)
    assert runner.missing([], {}) == ["no Docker engine answers"]


def test_what_the_engine_refused_ends_the_run(runner: DockerRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    event = {"node": "node-1", "at": 1.0, "event": "refused", "reason": "the Docker engine refused pause: no"}
    monkeypatch.setattr(ProcRunner, "history", lambda self: [event])
    with pytest.raises(TestnetError, match="node-1: the Docker engine refused pause: no"):
        runner.history()


@pytest.mark.parametrize(
    ("asked", "has", "backend", "reason"),
    [
        ("auto", "netem nft", "netem", "the engine's kernel has it"),
        ("auto", "nft", "nft", "the engine's kernel has nftables and no netem; what is not loss the nodes do"),
        ("auto", "", "wire", "the engine's kernel has neither netem nor nftables"),
        ("wire", "netem nft", "wire", "asked for"),
        ("nft", "netem nft", "nft", "asked for; what is not loss the nodes do"),
        ("netem", "netem", "netem", "asked for"),
    ],
)
def test_the_backend_is_the_best_that_works_and_says_why(
    runner: DockerRunner, asked: str, has: str, backend: str, reason: str
) -> None:
    runner._choose(asked, FakeEngine(has))  # type: ignore[arg-type]  # stands in for an engine
    assert (runner.backend, runner.reason) == (backend, reason)


def test_netem_on_a_kernel_without_it_is_not_applied(runner: DockerRunner) -> None:
    with pytest.raises(NotApplied, match="the engine's kernel has no sch_netem; load it there, or give auto or wire"):
        runner._choose("netem", FakeEngine("nft"))  # type: ignore[arg-type]  # stands in for an engine
    with pytest.raises(NotApplied, match="has no nftables; give auto or wire"):
        runner._choose("nft", FakeEngine("netem"))  # type: ignore[arg-type]  # stands in for an engine
