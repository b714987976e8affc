"""`testnet up`, `status`, `collect` and `down` for local processes, as a person calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from node.testnet.main import main
from node.testnet.runners.proc import ProcRunner

pytestmark = pytest.mark.loopback


def test_a_testnet_is_brought_up_shown_and_taken_down(testnets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "--runner", "proc", "-n", "2", "--name", "mine", "--json", "--loss", "10%"]) == 0
    shown = capsys.readouterr()
    assert [one["name"] for one in json.loads(shown.out)] == ["seed", "node-1", "node-2"]
    assert "3 nodes, one broadcast at 3 of them" in shown.err
    assert "runner proc" in shown.err
    assert main(["status", "--name", "mine"]) == 0
    assert "2 of 2" in capsys.readouterr().out
    assert main(["down", "--name", "mine"]) == 0
    assert not (testnets / "mine").exists()
    assert main(["watch", "--name", "mine"]) == 1
    assert "no testnet 'mine' is running" in capsys.readouterr().err


def test_links_come_from_a_preset_or_a_file(testnets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "links.yaml"
    file.write_text("rules:\n  - {from: seed, to: node-1, both: false, loss: 25%}\n")
    assert main(["up", "--runner", "proc", "-n", "1", "--name", "ruled", "--links", str(file), "--delay", "5ms"]) == 0
    capsys.readouterr()
    try:
        assert main(["links", "show", "--name", "ruled", "--json"]) == 0
        shown = {(one["from"], one["to"]): one["settings"] for one in json.loads(capsys.readouterr().out)}
        assert shown == {("seed", "node-1"): {"loss": "25%", "delay": "5ms"}, ("node-1", "seed"): {"delay": "5ms"}}
    finally:
        main(["down", "--name", "ruled"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--loss", "150%"], "links.all.loss"),
        (["--links", "nonsense"], "allowed is a file or one of dsl"),
        (["--name", "A B"], "allowed are up to 40 small letters"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_nothing(
    testnets: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["up", "--runner", "proc", "--name", "wrong", *words]) == 2
    assert said in capsys.readouterr().err.splitlines()[-1]
    assert not (testnets / "wrong").exists()


def test_what_nodes_tell_is_kept_in_a_folder(
    whole: ProcRunner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "kept"
    assert main(["collect", "--name", "shared", "--into", str(folder)]) == 0
    assert sorted(one.name for one in folder.iterdir()) == [
        "history.jsonl", "keeper.json", "logs", "members.json", "metrics", "stats.json",
    ]  # fmt: skip
    assert '"started"' in (folder / "history.jsonl").read_text()
    assert "node_started" in (folder / "logs" / "seed.log").read_text()
    assert main(["collect", "--name", "shared", "--into", str(folder)]) == 2
    assert "exists already" in capsys.readouterr().err
