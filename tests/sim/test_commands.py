"""The command line runs, sweeps and replays, and a failure says how to see it again."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from node.sim.commands import main

QUICK = ("--nodes", "3", "--seconds", "2")


def call(*arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    return main(arguments, out), out.getvalue()


def last(output: str) -> Any:
    return json.loads(output.splitlines()[-1])


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.gossip.store.SeenIds.__contains__", lambda _, __: False)
    monkeypatch.setattr("node.gossip.admission.Admission._is_known", lambda *_: False)


def test_list_names_scenarios_and_invariants() -> None:
    code, output = call("list")
    assert code == 0
    assert "steady" in output
    assert "delivered-once" in output
    assert {"scenarios", "invariants"} == set(last(call("list", "--json")[1]))


def test_run_that_keeps_its_promises_ends_with_0() -> None:
    code, output = call("run", "steady", "--seed", "5", *QUICK)
    assert code == 0
    assert output.startswith("passed  steady, seed 5: 8 deliveries of 4 messages")
    outcome = last(call("run", "steady", "--seed", "5", "--json", *QUICK)[1])
    assert outcome["passed"] is True
    assert outcome["figures"]["delivered"] == 8


def test_history_is_written_as_lines_of_json(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    call("run", "steady", "--history", str(path), *QUICK)
    events = [json.loads(line)["event"] for line in path.read_text().splitlines()]
    assert events[0] == "started"
    assert events.count("delivered") == 8


def test_the_history_of_several_scenarios_is_that_of_all(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    call("run", "steady", "loss-10", "--history", str(path), *QUICK)
    events = [json.loads(line)["event"] for line in path.read_text().splitlines()]
    assert events.count("delivered") == 16


@pytest.mark.usefixtures("broken")
def test_run_that_breaks_a_promise_ends_with_1_and_names_what_replays_it() -> None:
    code, output = call("run", "steady", "--seed", "5", *QUICK)
    assert code == 1
    assert "FAILED  steady, seed 5" in output
    assert "delivered-once at 6.0" in output
    assert output.splitlines()[-1] == "  replay: python -m node.sim replay steady --seed 5 --nodes 3 --seconds 2.0"


@pytest.mark.usefixtures("broken")
def test_replay_shows_what_happened_before_and_ends_as_the_run_did() -> None:
    code, output = call("replay", "steady", "--seed", "5", *QUICK)
    assert code == 1
    assert '"event": "delivered"' in output
    assert "delivered-once" in output


def test_replay_compares_the_digest() -> None:
    digest = last(call("replay", "steady", "--seed", "5", "--json", *QUICK)[1])["digest"]
    assert call("replay", "steady", "--seed", "5", "--digest", digest, *QUICK)[0] == 0
    code, output = call("replay", "steady", "--seed", "6", "--digest", digest, *QUICK)
    assert code == 1
    assert "another run" in output
    code, output = call("replay", "steady", "--seed", "6", "--digest", digest, "--json", *QUICK)
    assert (code, len(output.splitlines())) == (1, 1)


def test_sweep_counts_runs_and_deliveries() -> None:
    code, output = call("sweep", "steady", "loss-10", "--seeds", "2", "--quiet", *QUICK)
    assert code == 0
    assert output.startswith("4 runs, 0 failed; 32 deliveries; ")


@pytest.mark.usefixtures("broken")
def test_sweep_lists_what_failed() -> None:
    code, output = call("sweep", "steady", "--seeds", "2", "--quiet", "--json", *QUICK)
    assert code == 1
    assert [outcome["seed"] for outcome in last(output)["failed"]] == [1, 2]


def test_sweep_may_use_several_processes() -> None:
    arguments = ("sweep", "steady", "--seeds", "2", "--quiet", "--json", *QUICK)
    assert last(call(*arguments, "--jobs", "2")[1])["deliveries"] == last(call(*arguments)[1])["deliveries"]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("dance",),
        ("run", "nope"),
        ("run", "steady", "--nodes", "1"),
        ("run", "steady", "--nodes", "x"),
        ("run", "steady", "droppers-50", "--nodes", "10"),
        ("run", "partition", "--seconds", "2"),
        ("replay", "forgers", "--seed", "1", "--nodes", "2"),
        ("run", "steady", "--seconds", "nan"),
        ("run", "steady", "--seconds", "inf"),
        ("run", "steady", "--seconds", "-1"),
        ("run", "steady", "--rate", "0"),
        ("run", "steady", "--rate", "inf"),
        ("run", "steady", "--size", "-1"),
        ("run", "steady", "--size", "262144"),
        ("run", "steady", "--history", "/dev/null/x"),
        ("run", "steady", "--bogus"),
        ("run", "steady", "--seed", "x"),
        ("run", "steady", "--seed", "-1"),
        ("sweep", "--seeds", "0"),
        ("sweep", "--jobs", "0"),
        ("replay", "steady"),
    ],
)
def test_command_line_without_sense_ends_with_2(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert call(*arguments) == (2, "")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")


def test_a_full_disk_is_said_in_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "node.sim", "list"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (1, b"error: No space left on device\n")


def test_a_reader_that_goes_away_is_no_defect() -> None:
    shell = "python -m node.sim list | head -1; exit ${PIPESTATUS[0]}"
    done = subprocess.run(
        ["bash", "-c", shell.replace("python", sys.executable)], capture_output=True, text=True, check=False
    )
    assert (done.returncode in (0, 1), done.stderr) == (True, "")


def test_digest_is_the_same_whatever_the_hash_seed_of_python() -> None:
    digests = []
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "node.sim",
                "run",
                "rough",
                "--seed",
                "3",
                "--json",
                "--nodes",
                "5",
                "--seconds",
                "4",
            ],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        digests.append(last(done.stdout)["digest"])
    assert digests[0] == digests[1]
