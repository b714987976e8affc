"""`testnet doctor`: its status and its words."""

from __future__ import annotations

import json

import pytest

from node.testnet.main import main
from tests.testnet.conftest import DockerProgram, FakeEngine


def test_doctor_fails_only_without_what_is_required(
    engine: FakeEngine,
    docker_program: DockerProgram,
    no_local_processes: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FakeEngine, "version", "28.2.2", raising=False)
    monkeypatch.setattr(FakeEngine, "has_netem", lambda self, image: False, raising=False)
    monkeypatch.setattr(FakeEngine, "has_nft", lambda self, image: False, raising=False)
    docker_program.answers("2.26.1")
    assert main(["doctor"]) == 0
    assert "missing  netem: the kernel has no sch_netem" in capsys.readouterr().out
    docker_program.answers("", status=1)
    assert main(["doctor", "--json"]) == 1
    found = {finding["subject"]: finding["is_there"] for finding in json.loads(capsys.readouterr().out)}
    assert [found[name] for name in ("docker", "compose", "compose file", "netem")] == [True, False, True, False]
