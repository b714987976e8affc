"""docs/SIMULATOR.md says what the simulator does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from node.sim.checks.suite import INVARIANTS

DOCUMENT = (Path(__file__).parent.parent.parent / "docs" / "SIMULATOR.md").read_text()


def test_every_invariant_is_in_the_table_and_none_that_is_not() -> None:
    table = DOCUMENT.split("## The invariants")[1].split("\n## ")[0]
    named = re.findall(r"`([a-z-]+)`", " ".join(line for line in table.splitlines() if line.startswith("| `")))
    assert sorted(named) == sorted(INVARIANTS)


def test_example_in_python_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL) if "import Suite" in block)
    exec(compile(code, "SIMULATOR.md", "exec"), {})
    assert capsys.readouterr().out == "9\n"
