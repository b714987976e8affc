"""`testnet links`: asked and measured."""

from __future__ import annotations

import json

import pytest

from node.testnet.main import main
from node.testnet.runners.proc import ProcRunner

pytestmark = pytest.mark.loopback

ONE_LINK = ["--name", "shared", "--from", "seed", "--to", "node-1"]


def test_links_are_changed_measured_and_cleared(whole: ProcRunner, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["links", "set", *ONE_LINK, "--one-way", "--loss", "40%", "--delay", "10ms"]) == 0
    try:
        capsys.readouterr()
        assert main(["links", "verify", *ONE_LINK, "--json"]) == 0
        one, back = json.loads(capsys.readouterr().out)
        assert (one["loss_asked"], back["loss_asked"]) == (0.4, 0.0)
        assert 0.25 < one["loss_measured"] < 0.55
        assert back["loss_measured"] == 0.0
        assert main(["links", "show", *ONE_LINK]) == 0
        assert "loss=40% delay=10ms" in capsys.readouterr().out
    finally:
        assert main(["links", "clear", *ONE_LINK]) == 0
    capsys.readouterr()
    assert main(["links", "show", *ONE_LINK]) == 0
    assert "clean" in capsys.readouterr().out


def test_a_link_that_does_not_do_what_it_is_asked_to_ends_with_status_3(
    whole: ProcRunner, capsys: pytest.CaptureFixture[str]
) -> None:
    live = whole._live()
    # A rule that somebody slipped in, and nobody asked for.
    host = live.nodes["node-1"].host
    live.ask("seed", "/api/v1/chaos/faults", {"step": "x", "kind": "mtu", "seconds": 60, "hosts": [host],
                                               "settings": {"mtu": 50}})  # fmt: skip
    assert main(["links", "verify", *ONE_LINK, "--one-way", "--count", "20"]) == 3
    assert "loss 100.0%, asked 0.0%" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["set", "--from", "node-9"], "no node 'node-9'; there are all, seed, node-1"),
        (["set", "--from", "seed", "--to", "seed", "--loss", "1%"], "two nodes that are not the same"),
        (["set"], "at least one setting"),
        (["set", "--loss", "200%"], "loss"),
    ],
)
def test_what_cannot_be_is_one_line(
    shared: ProcRunner, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["links", *words, "--name", "shared"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
