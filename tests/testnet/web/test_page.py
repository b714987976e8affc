"""The page of a board."""

from __future__ import annotations

import base64
import hashlib
import re

from node.testnet.web.live import board_of
from node.testnet.web.page import POLICY, render_page

OVERVIEW, LINK = board_of("overview"), board_of("link")


def page(uid: str, **choices: str) -> str:
    board = board_of(uid)
    assert board is not None
    drawings = {panel.number: f"<i>{panel.number}</i>" for panel in board.panels}
    options = {"node": {"a<b": "a<b", "c": "c"}, "peer": {"k1": "c"}}
    return render_page(board, drawings, "2 of 2 <up>", options, choices)


def test_the_policy_allows_the_script_of_the_page_and_no_other() -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", page("overview"), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in POLICY
    assert "default-src 'none'" in POLICY


def test_every_panel_has_its_drawing_and_what_normal_looks_like() -> None:
    assert OVERVIEW is not None
    text = page("overview")
    for panel in OVERVIEW.panels:
        assert f'<div id="panel-{panel.number}"><i>{panel.number}</i></div>' in text
    assert text.count("What normal looks like") == len(OVERVIEW.panels)


def test_the_way_to_other_boards_keeps_what_is_chosen() -> None:
    text = page("link", node="c", peer="k1")
    assert '<a href="/link?node=c&amp;peer=k1" aria-current="page">' in text
    assert '<a href="/chaos?node=c">' in text
    assert '<option value="c" selected>c</option>' in text


def test_what_nodes_are_called_is_text() -> None:
    text = page("overview")
    assert "a<b" not in text
    assert "a&lt;b" in text
    assert "2 of 2 &lt;up&gt;" in text


def test_nothing_is_loaded_from_elsewhere() -> None:
    assert not re.search(r"(src|href)=\"(https?:)?//", page("overview"))
