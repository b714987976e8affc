"""Words that are no command: one line with what was meant, status 2, and JSON where JSON was asked for."""

from __future__ import annotations

import json

import pytest

from node.testnet.main import main


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "missing: COMMAND"),
        ("fly", "COMMAND: 'fly': allowed is one of up, "),
        ("chaos", "chaos: missing: COMMAND"),
        ("chaos dance", "chaos: COMMAND: 'dance': allowed is one of run, list, lint"),
        ("chaos run", "chaos run: missing: SCENARIO"),
        ("chaos run steady --runner mars", "chaos run: --runner: 'mars': allowed is one of auto, docker, proc, sim"),
        ("chaos run steady --runner porc", "chaos run: --runner: 'porc': did you mean proc? allowed is one of"),
        ("chaos run steady --sed 3", "chaos run: unknown: --sed; did you mean --seed? see `testnet chaos run --help`"),
        ("chaos run steady --seed -1", "chaos run: --seed: '-1': allowed is a whole number from 0 to"),
        ("chaos run steady --repeat 0", "chaos run: --repeat: '0': allowed is a whole number from 1 to 10000"),
        ("chaos list extra", "chaos list: unknown: extra; see `testnet chaos list --help`"),
        ("chaos generate --count many", "chaos generate: --count: 'many': allowed is a whole number from 1 to"),
        ("links set --los 5%", "links set: unknown: --los; did you mean --loss?"),
        ("links set --los=5%", "links set: unknown: --los=5%; did you mean --loss?"),
        ("links set --preset 5g", "links set: --preset: '5g': allowed is one of dsl"),
        ("links verify --count 0", "links verify: --count: '0': allowed is a whole number from 1 to 10000"),
        ("fault los --target all", "fault: KIND: 'los': did you mean loss? allowed is one of loss, bursts"),
        ("fault loss --target all --for 3s", "fault loss: missing: --share"),
        ("fault kill --target node-1", "fault kill: missing: --for"),
        ("fault kill --target node-1 --for -3s", "fault kill: --for: needs a value, and none begins with -"),
        ("fault loss --share 5% --target all --for 3s --direction up", "fault loss: --direction: 'up': allowed is"),
        ("up -n 0", "up: -n/--nodes: '0': allowed is a whole number from 1 to 200"),
        ("up --timeout 0", "up: --timeout: '0': allowed is a number of seconds from 1 to 3600"),
        ("up --runner sim", "up: --runner: 'sim': allowed is one of auto, docker, proc"),
        ("replay-metrics x --port 70000", "replay-metrics: --port: '70000': allowed is a whole number from 0 to 65535"),
    ],
)
def test_words_that_are_no_command_are_one_line(line: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(line.split())
    told = capsys.readouterr()
    assert ended.value.code == 2
    assert told.err.startswith(f"testnet: {said}")
    assert told.err.count("\n") == 1
    assert not told.out


def test_words_that_are_no_command_are_told_in_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["chaos", "run", "steady", "--runner", "mars", "--json"])
    told = capsys.readouterr()
    record = json.loads(told.out)
    assert record["status"] == 2
    assert told.err == f"testnet: {record['error']}\n"


def test_help_is_still_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["chaos", "run", "--help"])
    assert not ended.value.code
    assert "usage: testnet chaos run" in capsys.readouterr().out
