"""A disk that fills up while artefacts are kept: one line, the testnet gone or healed, and what was written stays."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from node.testnet.runners.proc import ProcRunner

pytestmark = pytest.mark.loopback

ROOM = 6 << 10
"""Bytes that a file may have: less than the metrics of any run."""

SCENARIO = """
schema: 1
title: a short one
topology: {nodes: 3}
load: {publish: 5/s}
timeline:
  - {at: 0s, id: split, partition: halves, for: 1s}
"""


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """The command `testnet`, whose files have so little room; those of nodes as well."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))

    command = [sys.executable, "-B", "-m", "node.testnet.main", *words]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=100, check=False, preexec_fn=limit, env=os.environ
    )  # fmt: skip


def test_a_run_keeps_what_it_could_write_and_says_what_it_could_not(testnets: Path, tmp_path: Path) -> None:
    before = sorted(one.name for one in testnets.glob("*"))
    file = tmp_path / "short.yaml"
    file.write_text(SCENARIO)
    done = run("chaos", "run", str(file), "--runner", "proc", "--out", str(tmp_path / "runs"))
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("testnet: passed, but ")
    assert "File too large; what was written before is kept; make room there, or give another --out" in last
    assert "Traceback" not in done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    assert json.loads((folder / "outcome.json").read_text())["verdict"] == "passed"
    assert sorted(one.name for one in testnets.glob("*")) == before


def test_what_is_collected_of_a_running_testnet_stays_and_so_does_the_testnet(
    whole: ProcRunner, tmp_path: Path
) -> None:
    done = run("collect", "--name", whole.testnet, "--into", str(tmp_path / "kept"))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "File too large; what was written before is kept; make room there, or give another --into" in line
    assert any(one.stat().st_size for one in (tmp_path / "kept").rglob("*"))
    assert {one["state"] for one in whole.keeper_status()["nodes"].values()} == {"running"}
