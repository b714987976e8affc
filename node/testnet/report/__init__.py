"""The page of a run: what was asked, what happened, what came of it, in one file for people."""

from __future__ import annotations

from pathlib import Path

from node.testnet.errors import TestnetFailed
from node.testnet.report.page import render_report
from node.testnet.report.stored import load

__all__ = ["REPORT", "write_report"]

REPORT = "report.html"


def write_report(folder: Path) -> Path:
    """Writes the page of the run in that folder; its path. TestnetMisused, TestnetFailed."""
    path = folder / REPORT
    page = render_report(load(folder))
    try:
        path.write_text(page)
    except OSError as error:
        raise TestnetFailed(f"{path} cannot be written: {error.strerror}") from error
    return path
