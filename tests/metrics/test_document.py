"""The document of the metrics is what the catalogue says."""

from __future__ import annotations

from pathlib import Path

from node.metrics.document import document
from node.metrics.names import CATALOGUE

WRITTEN = Path(__file__).parents[2] / "docs" / "METRICS.md"


def test_the_document_is_up_to_date() -> None:
    assert WRITTEN.read_text() == document(), "python -m node.metrics.document > docs/METRICS.md"


def test_every_metric_is_in_it_once() -> None:
    text = document()
    assert all(text.count(f"| `{name}` |") == 1 for name in CATALOGUE)
