"""The lab itself: whoever trusts a measurement made in it must be able to trust that its netem is real."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

LAB = Path(__file__).parent / "netem-lab"

pytestmark = pytest.mark.timeout(180)


def lab(out: Path, script: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Runs the script with bash inside the lab; its files survive in `out` alone."""
    command = [str(LAB), "--mem", "1G", "--out", str(out), *options, "--", "bash", "-euc", script]
    return subprocess.run(command, cwd=out.parent, capture_output=True, text=True, check=False)


def test_delay_and_loss_are_those_that_tc_was_asked_for(tmp_path: Path) -> None:
    done = lab(
        tmp_path / "out",
        "tc qdisc add dev lo root netem delay 20ms; ping -q -c 20 -i 0.05 127.0.0.1;"
        "tc qdisc change dev lo root netem loss 50%; ping -q -c 200 -i 0.005 -W 1 127.0.0.1 || true",
    )
    assert done.returncode == 0, done.stderr
    lost = [int(percent) for percent in re.findall(r"(\d+)(?:\.\d+)?% packet loss", done.stdout)]
    average = re.findall(r"= [\d.]+/([\d.]+)/", done.stdout)[0]
    # The delay is met on the way there and on the way back, and so is the loss: 75 % of 200, within 5 deviations.
    assert 40.0 <= float(average) < 45.0
    assert lost[0] == 0
    assert 60 <= lost[1] <= 90


def test_the_status_comes_out_and_only_files_in_out_do(tmp_path: Path) -> None:
    done = lab(tmp_path / "out", f"echo kept >$OUT/kept; echo gone >{tmp_path}/gone; cat {tmp_path}/gone; exit 7")
    assert done.returncode == 7
    assert done.stdout == "gone\n"
    assert (tmp_path / "out" / "kept").read_text() == "kept\n"
    assert not (tmp_path / "gone").exists()


def test_a_command_that_does_not_end_is_ended(tmp_path: Path) -> None:
    done = lab(tmp_path / "out", "tail -f /dev/null", "--timeout", "8")
    assert done.returncode == 124
    assert "did not finish within 8 s" in done.stderr
