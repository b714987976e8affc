"""`scripts/check-grafana --pictures` with a real browser, and a stand-in for Grafana."""

from __future__ import annotations

from pathlib import Path

import pytest

from grafana.check import Grafana, pictures
from tests.grafana.standin import StandIn, served

pytestmark = pytest.mark.timeout(300)


def test_every_board_is_pictured(tmp_path: Path) -> None:
    with served(StandIn("http://127.0.0.1:9", 0.0, 1.0)) as grafana:
        assert list(pictures(Grafana(grafana.address), tmp_path / "new", "chromium")) == []
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        f"{uid}.png" for uid in ("chaos", "gossip", "link", "links", "node", "overview")
    ]


def test_a_browser_that_draws_nothing_is_told(tmp_path: Path) -> None:
    problems = list(pictures(Grafana("http://127.0.0.1:9"), tmp_path, "true"))
    assert len(problems) == 6
    assert problems[0] == "picture of chaos: the browser drew nothing"
