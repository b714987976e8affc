"""`testnet fault` and `heal`: every kind of the table, with its own flags."""

from __future__ import annotations

import json
import time

import pytest

from node.testnet.main import main
from node.testnet.runners.proc import ProcRunner
from node.testnet.scenario.faults import KINDS


def test_every_kind_is_a_command_that_explains_its_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    for name, kind in KINDS.items():
        with pytest.raises(SystemExit) as ended:
            main(["fault", name.replace("_", "-"), "--help"])
        assert ended.value.code == 0
        shown = capsys.readouterr().out
        assert all(f"--{one.replace('_', '-')}" in shown for one in kind.parameters)
        assert ("--for" in shown) == kind.has_end


@pytest.mark.loopback
def test_a_fault_is_waited_for_until_it_is_over(whole: ProcRunner, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    assert main(["fault", "pause", "--target", "node-1", "--for", "0.7s", "--name", "shared"]) == 0
    assert 0.6 < time.monotonic() - began < 3.0
    assert capsys.readouterr().out == "pause: over\n"


@pytest.mark.loopback
def test_a_fault_that_is_left_alone_is_healed_by_its_name(
    whole: ProcRunner, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--shape", "halves", "--for", "60s", "--id", "split", "--detach", "--json", "--name", "shared"]
    assert main(["fault", "partition", *words]) == 0
    assert json.loads(capsys.readouterr().out)["step"] == "split"
    assert any((one or {})["faults"] for one in whole.chaos_status().values())
    assert main(["heal", "--id", "other", "--name", "shared"]) == 0
    assert any((one or {})["faults"] for one in whole.chaos_status().values())
    assert main(["heal", "--id", "split", "--name", "shared"]) == 0
    assert not any((one or {})["faults"] for one in whole.chaos_status().values())


@pytest.mark.loopback
@pytest.mark.parametrize("kind", ["disk-full", "dns", "clock --ahead 40s", "hostile --behaviour silent_dropper"])
def test_faults_inside_a_node_are_told_by_it_and_healed(whole: ProcRunner, kind: str) -> None:
    words = [*kind.split(), "--target", "node-2", "--for", "60s", "--detach", "--name", "shared"]
    assert main(["fault", *words]) == 0
    answer = whole.chaos_status()["node-2"]
    assert answer is not None
    assert [one["kind"].replace("_", "-") for one in answer["afflictions"]] == [words[0]]
    assert main(["heal", "--name", "shared"]) == 0
    answer = whole.chaos_status()["node-2"]
    assert answer is not None
    assert answer["afflictions"] == []


@pytest.mark.loopback
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["loss", "--share", "150%", "--target", "seed", "--for", "1s"], "loss.share"),
        (["loss", "--share", "5%", "--target", "node-9", "--for", "1s"], "no node or group 'node-9'"),
        (["clock", "--target", "seed", "--for", "1s"], "allowed is at least one of ahead"),
        (["flap", "--target", "seed", "--for", "5s", "--detach"], "without --detach"),
    ],
)
def test_what_cannot_be_is_one_line(
    shared: ProcRunner, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["fault", *words, "--name", "shared"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
