"""The page of a run: what was asked, what happened, what came of it, in one file for people."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from node.testnet.errors import TestnetFailed
from node.testnet.report.page import LOSS, render_report
from node.testnet.report.stored import load

__all__ = ["REPORT", "Written", "write_report"]

REPORT = "report.html"


class Written(NamedTuple):
    """A page. damage: what it lacks because a file of the run is damaged, line by line. empty: charts without data."""

    path: Path
    damage: list[str]
    empty: list[str]


def write_report(folder: Path) -> Written:
    """Writes the page of the run in that folder. TestnetMisused, TestnetFailed."""
    path = folder / REPORT
    run = load(folder)
    page = render_report(run)
    try:
        path.write_text(page.text)
    except OSError as error:
        raise TestnetFailed(f"{path} cannot be written: {error.strerror}") from error
    damage = [f"{folder / name} {wrong}; {LOSS[name]}" for name, wrong in sorted(run.damage.items())]
    return Written(path, damage, page.empty)
