"""What the live page shows after each scrape."""

from __future__ import annotations

import re

import pytest

from node.testnet.boards import BOARDS
from node.testnet.metrics.rules import recorded
from node.testnet.web import live
from node.testnet.web.live import WINDOW, Live, board_of

OVERVIEW, NODE, LINK, CHAOS = (board_of(uid) for uid in ("overview", "node", "link", "chaos"))
assert OVERVIEW is not None
assert NODE is not None
assert LINK is not None
assert CHAOS is not None
LOSS = "Loss, asked and applied"


def exposition(name: str, *, loss: float = 0.0, fault: str = "") -> str:
    lines = [
        f'positron_node_info{{node="{name}",node_id="{name}-key",peer="{name}-k"}} 1',
        f'positron_impairment_loss_ratio{{node="{name}",dir="egress"}} {loss}',
    ]
    if fault:
        lines.append(f'positron_chaos_active{{node="{name}",step="{fault}",kind="loss"}} 1')
    return "\n".join(lines) + "\n"


def shown(page: Live, uid: str, title: str) -> str:
    board = board_of(uid)
    assert board is not None
    (panel,) = [one for one in board.panels if one.title == title]
    return page.drawings(board, page.choices(board, {}))[panel.number]


def after(seconds: int, *, fault: range = range(0), look: bool = True) -> Live:
    page = Live({})
    for second in range(seconds):
        loss = 0.2 if second in fault else 0.0
        page.take(float(second), {"a": exposition("a", loss=loss, fault="lossy" if loss else ""), "b": exposition("b")})
        if look:
            shown(page, "chaos", LOSS)
    return page


def points(drawing: str, name: str) -> int:
    (path,) = re.findall(rf'd="([^"]*)"><title>{name}</title>', drawing)
    return len(re.findall(r"[ML]", path))


def test_a_line_has_a_point_for_each_scrape_whether_somebody_looked_or_not() -> None:
    for look in (True, False):
        assert points(shown(after(20, look=look), "chaos", LOSS), "a applied") == 20


def test_a_fault_is_shaded_for_as_long_as_it_lasted_and_named() -> None:
    drawing = shown(after(30, fault=range(10, 20)), "chaos", LOSS)
    (band,) = re.findall(r'class="band" x="([\d.]+)" y="\d+" width="([\d.]+)" height="\d+"><title>([^<]*)<', drawing)
    left, width, name = float(band[0]), float(band[1]), band[2]
    # A panel of 8 columns has a chart that is 224 wide and begins at 64; the last scrape is at 29 s.
    assert left == pytest.approx(64 + 10 / 29 * 224, abs=1)
    # What a scrape saw may be old for some seconds before it is stale.
    assert 9 / 29 * 224 - 1 <= width <= 13 / 29 * 224 + 1
    assert name == "lossy: loss"


def test_two_stretches_of_a_fault_are_two_bands() -> None:
    page = Live({})
    for second in range(40):
        is_on = second in range(5, 10) or second in range(25, 30)
        page.take(float(second), {"a": exposition("a", fault="again" if is_on else "")})
    assert shown(page, "chaos", LOSS).count('class="band"') == 2


def test_only_the_last_minutes_are_kept() -> None:
    page = after(int(WINDOW) + 60)
    assert points(shown(page, "chaos", LOSS), "a applied") == int(WINDOW) + 1
    kept = [series for series in page._recording if len(series.times) > WINDOW + live.FORGET_INTERVAL + 1]
    assert kept == []


def test_a_series_that_is_older_than_that_is_let_go() -> None:
    page = Live({})
    page.take(0.0, {"gone": exposition("gone")})
    for second in range(1, int(WINDOW) + 40):
        page.take(float(second), {"a": exposition("a")})
    assert page.nodes() == ["a"]


def test_what_nobody_wants_to_know_is_forgotten_and_found_again() -> None:
    page = after(5)
    for second in range(5, 10 + live.UNSEEN_MAX):
        page.take(float(second), {"a": exposition("a"), "b": exposition("b")})
    assert page._memory.found == {}
    assert points(shown(page, "chaos", LOSS), "a applied") == 10 + live.UNSEEN_MAX


def test_a_node_that_does_not_answer_is_not_up() -> None:
    page = after(3)
    assert page.up() == (2, 2)
    page.take(3.0, {"a": exposition("a"), "b": None})
    assert page.up() == (1, 2)
    assert Live({}).up() == (0, 0)


def test_a_board_of_one_node_shows_the_first_until_another_is_chosen() -> None:
    page = after(3)
    assert NODE is not None
    assert LINK is not None
    assert page.choices(NODE, {}) == {"node": "a"}
    assert page.choices(NODE, {"node": "b"}) == {"node": "b"}
    assert page.choices(NODE, {"node": 'b"} or vector(1'}) == {"node": "a"}
    assert page.choices(LINK, {}) == {"node": "a", "peer": "b-k"}
    assert page.choices(LINK, {"node": "b"}) == {"node": "b", "peer": "a-k"}


def test_a_board_of_all_nodes_shows_all_until_one_is_chosen() -> None:
    page = after(3)
    assert CHAOS is not None
    assert page.choices(CHAOS, {}) == {}
    assert page.choices(CHAOS, {"node": "nobody"}) == {}
    drawing = page.drawings(CHAOS, {"node": "b"})
    assert all("a applied" not in one for one in drawing.values())
    assert any("b applied" in one for one in drawing.values())


def test_a_name_with_letters_of_patterns_is_that_name_alone() -> None:
    page = Live({})
    page.take(0.0, {"n.1": exposition("n.1"), "nx1": exposition("nx1"), "n-1": exposition("n-1")})
    assert CHAOS is not None
    drawn = "".join(page.drawings(CHAOS, {"node": "n.1"}).values())
    assert "n.1 applied" in drawn
    assert "nx1 applied" not in drawn


def test_every_board_can_be_drawn_before_anything_is_known() -> None:
    for board in BOARDS:
        drawings = Live({}).drawings(board, {})
        assert drawings
        assert all("No data" in one or "<svg" in one for one in drawings.values())


def test_a_board_that_is_not_there_is_none() -> None:
    assert board_of("nix") is None


def test_a_ratio_rises_with_a_fault_and_is_at_its_base_ten_seconds_after_it() -> None:
    page = Live(recorded())
    shares = {}
    for second in range(60):
        during = min(max(second - 15, 0), 20)
        page.take(
            float(second),
            {
                "a": exposition("a")
                + f'positron_sent_packets_total{{node="a",transport="udp"}} {100 * second}\n'
                + f'positron_retransmitted_packets_total{{node="a",cause="reordering"}} {20 * during}\n'
            },
        )
        shares[second] = re.findall(r"<b>([^<]+)</b>", shown(page, "overview", "Retransmission ratio"))
    assert shares[15] == ["0 %"]
    assert shares[35] == ["20 %"]
    assert shares[45] == ["0 %"]
