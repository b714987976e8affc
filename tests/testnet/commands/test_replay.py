from __future__ import annotations

from pathlib import Path

import pytest

from node.testnet.main import main


def test_what_is_no_run_cannot_be_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay-metrics", str(tmp_path)]) == 2
    assert "is not the folder of a run" in capsys.readouterr().err


def test_a_port_is_a_whole_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["replay-metrics", str(tmp_path), "--port", "70000"])
    assert ended.value.code == 2
    assert "allowed is a whole number from 0 to 65535" in capsys.readouterr().err
