from __future__ import annotations

import json
from pathlib import Path

import pytest

from node.cli.main import main
from tests.ports import two_in_a_row

pytestmark = pytest.mark.loopback


def test_a_machine_without_faults_is_healthy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = two_in_a_row(range(32_800, 34_000, 3))[0]
    status = main(["doctor", "--port", str(port), "--data-dir", str(tmp_path), "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["is_healthy"] is (status == 0)
    assert [finding for finding in report["findings"] if finding["verdict"] == "failed"] == []


def test_a_fault_is_status_1_with_its_cure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "identity.key").write_text("no key")
    (tmp_path / "identity.key").chmod(0o600)

    assert main(["doctor", "--port", "0", "--data-dir", str(tmp_path)]) == 1

    text = capsys.readouterr().out
    assert "failed   key file" in text
    assert "-> " in text
    assert text.splitlines()[-1].startswith("1 failed, ")


def test_an_impossible_address_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--peer", "nonsense"]) == 2
    assert capsys.readouterr().err == "positron: --peer 'nonsense': allowed is HOST:PORT or [IPV6]:PORT\n"


def test_without_udp_bootstrap_nodes_are_tried_where_the_node_would_dial_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["doctor", "--port", "0", "--data-dir", str(tmp_path), "--timeout", "0.1", "--json"]
    main([*command, "--enable-udp", "false", "--bootstrap", "127.0.0.1:1", "--peer", "127.0.0.1:5"])
    subjects = [finding["subject"] for finding in json.loads(capsys.readouterr().out)["findings"]]
    assert [subject for subject in subjects if " to " in subject] == ["TCP to 127.0.0.1:1", "TCP to 127.0.0.1:6"]
