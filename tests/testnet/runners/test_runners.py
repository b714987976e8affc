"""Which runner is meant where none is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from node.testnet import runners
from node.testnet.errors import TestnetFailed
from node.testnet.runners import choose_runner, docker, loopback
from node.testnet.scenario.parse import load_scenario
from node.testnet.scenario.scenario import Scenario

TEXT = """
schema: 1
title: a trial
topology: {nodes: 3}
timeline: []
"""
Make = Callable[[str], Scenario]


@pytest.fixture
def scenario(tmp_path: Path) -> Make:
    def make(more: str) -> Scenario:
        file = tmp_path / "trial.yaml"
        file.write_text(TEXT + more)
        return load_scenario(file)

    return make


@pytest.mark.parametrize(
    ("more", "lack", "has_loopback", "chosen", "why"),
    [
        ("", "", True, "proc", "processes of this machine"),
        ("backend: wire", "", True, "proc", "processes of this machine"),
        ("backend: nft", "", True, "docker", "the scenario asks for the backend nft"),
        ("backend: netem", "no engine", True, "proc", "the scenario asks for the backend netem, but no engine"),
        ("runners: [docker, sim]", "", True, "docker", "the scenario is for docker and sim only"),
        ("runners: [docker, sim]", "no engine", True, "sim", "but no engine"),
        ("runners: [docker]", "no engine", True, "docker", "nothing else may run it"),
        ("", "", False, "sim", "does not lend out the addresses"),
        ("runners: [sim]", "", True, "sim", ""),
    ],
)
def test_auto_takes_containers_for_what_only_they_have(
    scenario: Make,
    monkeypatch: pytest.MonkeyPatch,
    more: str, lack: str, has_loopback: bool, chosen: str, why: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(runners, "_lack_of_containers", lambda: lack)
    monkeypatch.setattr(loopback, "has_loopback_network", lambda: has_loopback)
    found, reason = choose_runner("auto", scenario(more))
    assert found == chosen
    assert why in reason


def test_a_runner_that_is_named_is_taken() -> None:
    assert choose_runner("sim") == ("sim", "asked for")


@pytest.mark.parametrize(
    ("has_image", "lack"), [(True, ""), (False, "the engine has no image node:1"), (None, "silent")]
)
def test_containers_need_an_engine_and_the_image(
    monkeypatch: pytest.MonkeyPatch, has_image: bool | None, lack: str
) -> None:
    class FakeEngine:
        def has_image(self, image: str) -> bool:
            assert image == "node:1"
            return bool(has_image)

    @contextmanager
    def engine() -> Iterator[FakeEngine]:
        if has_image is None:
            raise TestnetFailed("silent")
        yield FakeEngine()

    monkeypatch.setenv("POSITRON_IMAGE", "node:1")
    monkeypatch.setattr(docker, "engine", engine)
    assert runners._lack_of_containers() == lack
