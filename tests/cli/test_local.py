from __future__ import annotations

import json
from pathlib import Path

import pytest

from node.cli.main import main
from node.config import FIELDS
from node.storage.keyfile import load


def test_keygen_makes_a_key_and_shows_its_id(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keygen", "--data-dir", str(tmp_path / "state"), "--json"]) == 0

    answer = json.loads(capsys.readouterr().out)
    assert load(answer["path"]).node_id == answer["node_id"]
    assert Path(answer["path"]).stat().st_mode & 0o777 == 0o600


def test_keygen_never_overwrites_a_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["keygen", "--data-dir", str(tmp_path)])
    before = (tmp_path / "identity.key").read_bytes()

    assert main(["keygen", "--data-dir", str(tmp_path)]) == 1

    assert (tmp_path / "identity.key").read_bytes() == before
    assert capsys.readouterr().err.count("\n") == 1


def test_keygen_without_a_place_for_the_key_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keygen", "--data-dir", ""]) == 1
    assert "data_dir is empty" in capsys.readouterr().err


def test_check_shows_every_setting_with_its_origin(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check", "--port", "9000", "--json"]) == 0

    table = json.loads(capsys.readouterr().out)
    assert list(table) == list(FIELDS)
    assert table["port"] == {"value": 9000, "origin": "flag --port"}
    assert table["metrics_port"] == {"value": 9576, "origin": "derived from port"}

    assert main(["config", "check"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(FIELDS)


def test_check_reports_every_mistake_with_status_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSITRON_PROT", "1")

    assert main(["config", "check", "--mtu", "1", "--bootstrp=a:1"]) == 2

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "positron: environment: variable 'POSITRON_PROT' is unknown; nearest is POSITRON_PORT",
        "positron: flag --mtu: mtu = '1': allowed is a whole number from 1200 to 65507",
        "positron: flag '--bootstrp' is unknown; nearest is --bootstrap-nodes",
    ]
