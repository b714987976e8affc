from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from node.testnet.compose import COMPOSE_FILE
from node.testnet.main import main

FILE = str(Path(__file__).parents[3] / COMPOSE_FILE)


def test_a_file_for_groups_and_versions_is_written(tmp_path: Path) -> None:
    out = tmp_path / "made.yml"
    words = ["render", "-n", "4", "--group", "old=2", "--image", "old=node:1", "--file", FILE, "--out", str(out)]
    assert main(words) == 0
    services = yaml.safe_load(out.read_text())["services"]
    assert [services[name]["image"] for name in ("seed", "node-1")] == ["node:1", "node:1"]
    assert services["node-3"]["networks"]["p2p"]["ipv4_address"] == "10.64.0.13"


def test_addresses_are_shown_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", "-n", "2", "--file", FILE, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["node-1"] == {"p2p": "10.64.0.11", "mgmt": "10.64.4.11"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--group", "eu"], "--group 'eu': allowed is NAME=VALUE"),
        (["--group", "eu=x"], "'x' is no number of nodes"),
        (["--group", "eu=9"], "groups have 9 nodes, and there are 6"),
        (["--image", "mars=x"], "no node or group 'mars'"),
        (["--p2p", "10.0.0.1/8"], "--p2p 10.0.0.1/8"),
        (["--mgmt", "10.64.0.0/16"], "overlap"),
        (["--p2p", "10.64.0.0/29"], "have room for 0"),
    ],
)
def test_what_makes_no_sense_is_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", "--file", FILE, *words]) == 2
    assert said in capsys.readouterr().err
