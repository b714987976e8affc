"""A defect that is planted in every node turns the shipped scenario against it red, and the report says why."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from node.testnet.run.verdict import Verdict
from node.testnet.runners.sim import SimRunner
from tests.testnet.defects import DEFECTS, planted

COSTLY = ("dedup_off", "never_dials_again")
"""Whose like `test_defects` plants at a third of the cost."""


@pytest.mark.timeout(300)  # a quarter of a minute of one processor, which others may want as well
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in COSTLY else []) for name in DEFECTS]
)
def test_a_defect_turns_its_scenario_red_with_the_reason_in_the_report(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    DEFECTS[name].plant(monkeypatch.setattr)
    conductor, page = planted(name, SimRunner(), tmp_path)
    assert conductor.outcome.verdict is Verdict.FAILED
    assert DEFECTS[name].said in conductor.outcome.reason
    assert DEFECTS[name].said.rstrip(": ") in page.read_text()
    (failure,) = ElementTree.parse(page.with_name("junit.xml")).iter("failure")
    assert DEFECTS[name].said in str(failure.get("message"))
